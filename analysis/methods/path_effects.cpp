#include "analysis/methods/path_effects.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <limits>
#include <set>

#include "analysis/methods/reference_runs.h"
#include "core/base/digest.h"
#include "core/base/memory.h"
#include "core/model/weight_reader.h"

namespace saccade {
namespace {

constexpr double nan = std::numeric_limits<double>::quiet_NaN();
constexpr int64_t references_at_once = int64_t{256} << 20;  // bytes of residuals that wait for their answers

int32_t highest_layer(const PathEnd& end, const ModelSpec& spec) {
  if (end.receivers.empty()) return spec.n_layer;
  int32_t highest = 0;
  for (const HeadReceiver& receiver : end.receivers) highest = std::max(highest, receiver.head.layer.value);
  return highest;
}

bool receives(const PathEnd& end, const CircuitNode& node) {
  return node.kind == CircuitNode::Kind::head &&
         std::any_of(end.receivers.begin(), end.receivers.end(),
                     [&](const HeadReceiver& receiver) { return receiver.head == node.head; });
}

std::vector<HeadPart> inputs_of(HeadPart part) {
  if (part == HeadPart::q) return {HeadPart::q_input};
  if (part == HeadPart::k) return {HeadPart::k_input};
  if (part == HeadPart::v) return {HeadPart::v_input};
  return {HeadPart::q_input, HeadPart::k_input, HeadPart::v_input};
}

std::string query_text(const std::vector<int64_t>& positions) {
  return fmt::format("{}", fmt::join(positions, ","));
}

// (z' - z) W_O of a head at one position: what its write changes by.
std::vector<float> change_of(std::span<const float> now, std::span<const float> before,
                             const HostTensor& output, double factor) {
  std::vector<float> change(static_cast<size_t>(output.shape()[1]), 0.0F);
  for (size_t e = 0; e < now.size(); ++e) {
    const auto by = static_cast<float>(factor * (double{now[e]} - before[e]));
    const std::span<const float> row = output.slice(static_cast<int64_t>(e));
    for (size_t x = 0; x < row.size(); ++x) change[x] += by * row[x];
  }
  return change;
}

}  // namespace

int32_t PathEnd::lowest_layer(const ModelSpec& spec) const {
  int32_t lowest = spec.n_layer;
  for (const HeadReceiver& receiver : receivers) lowest = std::min(lowest, receiver.head.layer.value);
  return lowest;
}

std::string PathEnd::name() const {
  if (receivers.empty()) return "logits";
  std::string name;
  for (const HeadReceiver& receiver : receivers) name += (name.empty() ? "" : "+") + receiver.name();
  return name;
}

void add_paths(PathPlan& plan, const ModelSpec& spec) {
  for (size_t end = 0; end < plan.ends.size(); ++end)
    for (const CircuitNode& sender : plan.senders)
      if (sender.layer() < highest_layer(plan.ends[end], spec) && !receives(plan.ends[end], sender))
        plan.paths.push_back({sender, end});
}

Result<void> check_path_plan(const PathPlan& plan, const Model& model) {
  const ModelSpec& spec = model.spec();
  if (!spec.looks_back() || spec.block == BlockKind::post_norm ||
      model.weights().get(Slot::attn_out_norm_weight, 0).tensor != nullptr)
    return make_error(
        ErrorCode::unsupported,
        fmt::format("{}: what a head writes is normalised before or with the residual, or there "
                    "is no next token: paths are defined for causal models whose heads write "
                    "straight into the residual",
                    model.name()));
  if (!plan.prompts.has_corrupt())
    return make_error(ErrorCode::invalid_argument,
                      fmt::format("{}: every prompt needs a corrupted twin for its paths to be patched from",
                                  plan.prompts.name));
  size_t positions = 1;
  for (size_t i = 0; i < plan.pairs(); ++i) {
    positions = std::max(positions, plan.positions[i].clean.size());
    const bool reaches_last =
        std::find(plan.positions[i].clean.begin(), plan.positions[i].clean.end(),
                  plan.prompts.pairs[i].clean.size() - 1) != plan.positions[i].clean.end();
    for (const PathEnd& end : plan.ends)
      if (end.receivers.empty() && !reaches_last)
        return make_error(ErrorCode::invalid_argument,
                          "the logits are read at the last position: a direct path into them needs position "
                          "last or all");
  }
  std::set<int32_t> layers;
  for (const PathEnd& end : plan.ends) {
    if (end.receivers.empty()) layers.insert(spec.n_layer);
    for (const HeadReceiver& receiver : end.receivers) {
      layers.insert(receiver.head.layer.value);
      if (receiver.part == HeadPart::z && spec.n_kv_head != spec.n_head)
        return make_error(ErrorCode::unsupported,
                          fmt::format("{}: keys and values of {} belong to {} query heads, so that z of one "
                                      "cannot receive alone; name its .q, .k or .v",
                                      receiver.name(), model.name(), spec.n_head / spec.n_kv_head));
    }
  }
  int64_t rows = static_cast<int64_t>(plan.pairs() * plan.senders.size() * positions * layers.size());
  for (const PromptPair& pair : plan.prompts.pairs)  // residual, z, attn_out and mlp_out of every layer
    rows += (pair.clean.size() + pair.corrupt.size()) * spec.n_layer * 4;
  const int64_t bytes = rows * spec.d_model * static_cast<int64_t>(sizeof(float));
  if (bytes > available_bytes() / 2)
    return make_error(
        ErrorCode::out_of_memory,
        fmt::format("the residuals of {} pairs, {} senders, {} positions and {} receiving layers "
                    "take {}, {} are free; use fewer pairs or position last",
                    plan.pairs(), plan.senders.size(), positions, layers.size(), format_bytes(bytes),
                    format_bytes(available_bytes())));
  return {};
}

std::vector<int32_t> PathWork::layers() const {
  const ModelSpec& spec = input_.model->spec();
  std::set<int32_t> layers;
  for (const PathEnd& end : plan_.ends) {
    if (end.receivers.empty()) layers.insert(spec.n_layer);
    for (const HeadReceiver& receiver : end.receivers) layers.insert(receiver.head.layer.value);
  }
  return {layers.begin(), layers.end()};
}

RunRequest PathWork::request(const MethodInput& input, const TokenSequence& tokens) {
  RunRequest request = reference_request(input, tokens);
  const ModelSpec& spec = input.model->spec();
  for (int32_t l = 0; l < spec.n_layer; ++l)
    for (const HookSite site : {HookSite::attn_out, HookSite::mlp_out})
      if (exists({site, l}, spec)) request.capture.sites.push_back({site, l});
  return request;
}

const Run* PathWork::run(size_t pair, bool corrupt) const {
  const size_t at = runs_ + pair + (corrupt ? plan_.pairs() : 0);
  return run_in(input_.outcomes, at);
}

Result<std::vector<Wanted>> PathWork::next() const {
  std::vector<Wanted> wanted;
  const size_t done = input_.outcomes.size(), pairs = plan_.pairs();
  if (done == runs_ && runs_ < rest_) {
    for (const bool corrupt : {false, true})
      for (const PromptPair& pair : plan_.prompts.pairs)
        wanted.emplace_back(RunWanted{request(input_, corrupt ? pair.corrupt : pair.clean)});
    return wanted;
  }
  if (done == rest_) return residuals();
  int64_t bytes = 0;
  for (size_t at = done - rest_ - pairs; at < plan_.paths.size() * pairs && bytes < references_at_once;
       ++at) {
    const size_t pair = at / plan_.paths.size();
    SACCADE_TRY(Wanted answer, patched_answer(pair, at % plan_.paths.size()));
    const auto& references = std::get<AnswerWanted>(answer).request.references;
    for (const auto& [site, values] : references.at("path")->sites) bytes += values.bytes();
    wanted.push_back(std::move(answer));
  }
  return wanted;
}

// One question per pair, its writes sender by sender, each at all its positions.
Result<std::vector<Wanted>> PathWork::residuals() const {
  const ModelSpec& spec = input_.model->spec();
  const WeightReader weights(input_.model);
  std::vector<PathsWanted> questions(plan_.pairs());
  for (size_t pair = 0; pair < plan_.pairs(); ++pair) {
    questions[pair].run = std::get<std::shared_ptr<const Run>>(input_.outcomes[runs_ + pair]);
    questions[pair].question.layers = layers();
    for (int32_t l = 0; plan_.free_mlps && l < spec.n_layer; ++l)
      questions[pair].question.free_mlps.push_back(l);
  }
  for (const CircuitNode& sender : plan_.senders) {
    const bool head = sender.kind == CircuitNode::Kind::head;
    const HostTensor output = head ? weights.output(sender.head) : HostTensor();
    const SiteRef site{head ? HookSite::z : HookSite::mlp_out, sender.layer()};
    const auto width = static_cast<size_t>(head ? spec.d_head : spec.d_model);
    const size_t column = head ? static_cast<size_t>(sender.head.head.value) * width : 0;
    for (size_t pair = 0; pair < plan_.pairs(); ++pair) {
      const HostTensor& clean = run(pair, false)->capture->sites.at(site);
      const HostTensor& corrupt = run(pair, true)->capture->sites.at(site);
      const AlignedPositions& positions = plan_.positions[pair];
      for (size_t i = 0; i < positions.clean.size(); ++i) {
        const std::span<const float> before = clean.slice(positions.clean[i]).subspan(column, width),
                                     now = corrupt.slice(positions.corrupt[i]).subspan(column, width);
        PathWrite write{sender.layer(), positions.clean[i], {}, !head};
        if (head) {
          write.change = change_of(now, before, output, spec.residual_scale);
        } else {
          for (size_t x = 0; x < width; ++x) write.change.push_back(now[x] - before[x]);
        }
        questions[pair].question.writes.push_back(std::move(write));
      }
    }
  }
  return std::vector<Wanted>(std::make_move_iterator(questions.begin()),
                             std::make_move_iterator(questions.end()));
}

// The clean run's residuals with the path's at its positions, named by what they are made of.
std::shared_ptr<const Capture> PathWork::received(size_t pair, const Path& path) const {
  const ModelSpec& spec = input_.model->spec();
  const Capture& clean = *run(pair, false)->capture;
  const HostTensor& residuals = *std::get<PathResiduals>(input_.outcomes[rest_ + pair]);
  const std::vector<int64_t>& positions = plan_.positions[pair].clean;
  const auto sender = static_cast<int64_t>(
      std::find(plan_.senders.begin(), plan_.senders.end(), path.sender) - plan_.senders.begin());
  const PathEnd& end = plan_.ends[path.end];
  auto made = std::make_shared<Capture>();
  made->spec = clean.spec;
  made->tokens = clean.tokens;
  made->provenance = clean.provenance;
  Digest digest;
  digest.add("residual on a path").add(clean.provenance.request);
  digest.add(run(pair, true)->capture->provenance.request).add(path.sender.name()).add(end.name());
  digest.add(int64_t{plan_.free_mlps});
  for (size_t i = 0; i < positions.size(); ++i)
    digest.add(positions[i]).add(plan_.positions[pair].corrupt[i]);
  made->provenance.request = digest.hex();
  const std::vector<int32_t> asked = layers();
  for (size_t a = 0; a < asked.size(); ++a) {
    const bool final = asked[a] == spec.n_layer;
    if (final ? !end.receivers.empty()
              : std::none_of(end.receivers.begin(), end.receivers.end(), [&](const HeadReceiver& receiver) {
                  return receiver.head.layer.value == asked[a];
                }))
      continue;
    const HostTensor& own =
        final ? clean.final_resid : clean.layers[static_cast<size_t>(asked[a])]->resid_pre;
    HostTensor changed(own.shape(), false);
    std::copy_n(own.data(), own.size(), changed.mutable_values().data());
    for (size_t i = 0; i < positions.size(); ++i) {
      const std::span<const float> row =
          residuals.slice(sender * static_cast<int64_t>(positions.size()) + static_cast<int64_t>(i))
              .subspan(a * static_cast<size_t>(spec.d_model), static_cast<size_t>(spec.d_model));
      std::copy(row.begin(), row.end(), changed.mutable_values().data() + positions[i] * spec.d_model);
    }
    made->sites[final ? SiteRef{HookSite::resid_post, spec.n_layer - 1}
                      : SiteRef{HookSite::resid_pre, asked[a]}] = std::move(changed);
  }
  return made;
}

Result<Wanted> PathWork::patched_answer(size_t pair, size_t path) const {
  const ModelSpec& spec = input_.model->spec();
  AnswerWanted wanted;
  wanted.request = run(pair, false)->request;
  wanted.request.capture = {};
  wanted.ids = ids_of(plan_.prompts.pairs[pair]);
  wanted.request.references["path"] = received(pair, plan_.paths[path]);
  const std::string query = query_text(plan_.positions[pair].clean);
  std::vector<std::string> texts;
  const PathEnd& end = plan_.ends[plan_.paths[path].end];
  if (end.receivers.empty())
    texts.push_back(fmt::format("replace {} from=path query={}",
                                full_name({HookSite::resid_post, spec.n_layer - 1}), query));
  for (const HeadReceiver& receiver : end.receivers)
    for (const HeadPart part : inputs_of(receiver.part))
      texts.push_back(fmt::format("replace {} from=path at={} query={}", to_string(receiver.head),
                                  to_string(part), query));
  for (const std::string& text : texts) {
    SACCADE_TRY(Edit edit, parse_edit(text));
    wanted.request.edits.push_back(std::move(edit));
  }
  return Wanted(std::move(wanted));
}

double PathWork::metric(size_t pair, bool corrupt) const {
  const Run* done = run(pair, corrupt);
  return done == nullptr
             ? nan
             : value_of(plan_.metric, done->capture->last_logits, plan_.prompts.pairs[pair], nullptr);
}

const KeptAnswer* PathWork::answer(size_t pair, size_t path) const {
  const size_t at = rest_ + plan_.pairs() + pair * plan_.paths.size() + path;
  return answer_in(input_.outcomes, at);
}

double PathWork::patched(size_t pair, size_t path) const {
  const KeptAnswer* kept = answer(pair, path);
  return kept == nullptr ? nan : value_of(plan_.metric, *kept, plan_.prompts.pairs[pair]);
}

std::vector<double> PathWork::scores(size_t path) const {
  std::vector<double> scores;
  for (size_t pair = 0; pair < plan_.pairs(); ++pair)
    scores.push_back(normalised_effect(patched(pair, path), metric(pair, false), metric(pair, true)));
  return scores;
}

}  // namespace saccade
