#include "analysis/methods/circuit_plan.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>
#include <random>
#include <sstream>

#include "analysis/methods/head_fields.h"
#include "analysis/methods/reference_runs.h"
#include "core/base/digest.h"

namespace saccade::circuits {
namespace {

constexpr double nan = std::numeric_limits<double>::quiet_NaN();
constexpr size_t most_answers = 2000000;  // what a sweep may ask for before it is refused

SiteRef site_of(const CircuitNode& node) {
  return {node.kind == CircuitNode::Kind::head ? HookSite::z : HookSite::mlp_out, node.layer()};
}

// Mean of z and mlp_out over runs: over all their rows (one row is kept), or position by position.
std::shared_ptr<const Capture> mean_capture(const std::vector<std::shared_ptr<const Capture>>& captures,
                                            bool by_position) {
  auto made = std::make_shared<Capture>();
  made->spec = captures[0]->spec;
  made->tokens = captures[0]->tokens;
  made->provenance = captures[0]->provenance;
  Digest digest;
  digest.add(by_position ? "mean by position" : "mean");
  for (const auto& capture : captures) digest.add(capture->provenance.request);
  made->provenance.request = digest.hex();
  for (const auto& [site, first] : captures[0]->sites) {
    if (site.site != HookSite::z && site.site != HookSite::mlp_out) continue;
    std::vector<int64_t> shape = first.shape();
    if (!by_position) shape[0] = 1;
    HostTensor mean(shape);
    std::vector<double> sums(static_cast<size_t>(mean.size()), 0.0);
    double rows = 0.0;
    for (const auto& capture : captures) {
      const std::span<const float> values = capture->sites.at(site).values();
      for (size_t i = 0; i < values.size(); ++i) sums[i % sums.size()] += values[i];
      rows += static_cast<double>(values.size()) / static_cast<double>(sums.size());
    }
    for (size_t i = 0; i < sums.size(); ++i) mean.mutable_values()[i] = static_cast<float>(sums[i] / rows);
    made->sites[site] = std::move(mean);
  }
  return made;
}

Result<void> check_prompts(const Plan& plan, const PromptSet& prompts) {
  const bool twins = plan.by_patching || plan.ablation == Ablation::corrupt;
  if (!prompts.has_corrupt())
    return make_error(
        ErrorCode::invalid_argument,
        fmt::format("{}: every prompt needs a corrupted twin: paths between heads are measured by it",
                    prompts.name));
  if (twins) SACCADE_CHECK(prompts.aligned());
  if (plan.ablation == Ablation::mean_by_position) SACCADE_CHECK(same_length(prompts));
  return {};
}

Result<void> read_repair(const nlohmann::json& p, const ModelSpec& spec, Plan& plan) {
  SACCADE_TRY(plan.repair_heads, parse_heads(p["repair-heads"].get<std::string>(), spec));
  std::istringstream words(p["repair-keys"].get<std::string>());
  for (std::string word; words >> word;) plan.repair_keys.push_back(word);
  if (plan.repair_heads.empty()) return {};
  if (plan.repair_keys.empty())
    return make_error(ErrorCode::invalid_argument,
                      "repair-keys: name the roles that the heads are forced onto");
  for (size_t pair = 0; pair < plan.pairs(); ++pair)
    for (const std::string& role : plan.repair_keys)
      if (!plan.prompts.pairs[pair].clean_roles.contains(role))
        return make_error(ErrorCode::invalid_argument,
                          fmt::format("repair-keys: pair {} of {} has no role '{}'; roles are {}", pair + 1,
                                      plan.prompts.name, role, fmt::join(common_roles(plan.prompts), ", ")));
  return {};
}

}  // namespace

Result<Plan> read_plan(const MethodInput& input) {
  SACCADE_CHECK(require_model(input, "circuit"));
  const auto& p = input.parameters;
  const ModelSpec& spec = input.model->spec();
  Plan plan;
  SACCADE_TRY(plan.metric, parse_metric(p["metric"].get<std::string>()));
  plan.by_patching = p["rank"] == "patching";
  const std::string ablation = p["ablation"].get<std::string>();
  plan.ablation = ablation == "mean"               ? Ablation::mean
                  : ablation == "mean-by-position" ? Ablation::mean_by_position
                  : ablation == "corrupt"          ? Ablation::corrupt
                                                   : Ablation::zero;
  plan.seed = p["seed"].get<uint64_t>();
  SACCADE_TRY(plan.prompts, prompts_of(input));
  SACCADE_CHECK(check_prompts(plan, plan.prompts));
  if (const std::string second = p["second-prompts"].get<std::string>(); !second.empty()) {
    SACCADE_TRY(plan.second, prompt_set(second, *input.model, p["count"].get<int>(), plan.seed));
    SACCADE_CHECK(check_prompts(plan, plan.second));
  }
  plan.nodes = nodes_of(spec, p["mlps"].get<bool>());
  plan.top = p["top"].get<double>();
  plan.threshold = p["threshold"].get<double>();
  plan.edge_part = p["edges"].get<std::string>();
  plan.position = p["position"].get<std::string>();
  plan.least_edge = p["least-edge"].get<double>();
  plan.draws = p["draws"].get<int>();
  SACCADE_CHECK(read_repair(p, spec, plan));
  if (const size_t answers = plan.paths(); answers > most_answers)
    return make_error(
        ErrorCode::out_of_memory,
        fmt::format("ranking {} nodes on {} prompts takes {} answers, at most {} are done: use "
                    "fewer prompts",
                    plan.nodes.size(), plan.pairs() + plan.second.pairs.size(), answers, most_answers));
  return plan;
}

Result<PathPlan> path_plan(const Plan& plan, const MethodInput& input, const NodeSet& circuit) {
  const ModelSpec& spec = input.model->spec();
  PathPlan paths;
  paths.metric = plan.metric;
  paths.prompts = plan.prompts;
  paths.free_mlps = true;
  if (plan.edge_part == "none") return paths;
  for (size_t pair = 0; pair < plan.pairs(); ++pair) {
    SACCADE_TRY(AlignedPositions positions, aligned_positions(plan.prompts, pair, plan.position));
    paths.positions.push_back(std::move(positions));
  }
  std::vector<HeadPart> parts;
  for (const HeadPart part : {HeadPart::q, HeadPart::k, HeadPart::v})
    if (plan.edge_part == "each" || plan.edge_part == to_string(part)) parts.push_back(part);
  if (plan.edge_part == "z") parts = {HeadPart::z};
  paths.ends.push_back({});
  for (size_t n = 0; n < circuit.size(); ++n) {
    if (!circuit[n]) continue;
    paths.senders.push_back(plan.nodes[n]);
    if (plan.nodes[n].kind == CircuitNode::Kind::head && plan.nodes[n].layer() > 0)
      for (const HeadPart part : parts) paths.ends.push_back({{{plan.nodes[n].head, part}}});
  }
  add_paths(paths, spec);
  if (paths.paths.size() * plan.pairs() > most_answers)
    return make_error(
        ErrorCode::out_of_memory,
        fmt::format("{} edges between {} nodes on {} prompts are more than {} answers: keep fewer "
                    "nodes with top or threshold",
                    paths.paths.size(), paths.senders.size(), plan.pairs(), most_answers));
  SACCADE_CHECK(check_path_plan(paths, *input.model));
  return paths;
}

const std::shared_ptr<const Capture>& Removal::mean_of(size_t first_run, size_t pairs) const {
  std::shared_ptr<const Capture>& mean = means_[first_run];
  if (mean) return mean;
  std::vector<std::shared_ptr<const Capture>> captures;
  for (size_t pair = 0; pair < pairs; ++pair)
    captures.push_back(capture_in(input_.outcomes, first_run + pair));
  mean = mean_capture(captures, plan_.ablation == Ablation::mean_by_position);
  return mean;
}

// One edit for the heads of a layer that go, one for its MLP.
std::vector<std::string> Removal::texts(const NodeSet& removed, Ablation ablation) const {
  const char* verb = ablation == Ablation::zero ? "zero" : ablation == Ablation::mean ? "mean" : "replace";
  const char* from = ablation == Ablation::zero ? "" : " from=reference";
  std::map<int32_t, std::vector<int32_t>> heads;
  std::vector<std::string> texts;
  for (size_t n = 0; n < removed.size(); ++n) {
    if (!removed[n]) continue;
    const CircuitNode& node = plan_.nodes[n];
    if (node.kind == CircuitNode::Kind::head)
      heads[node.layer()].push_back(node.head.head.value);
    else
      texts.push_back(fmt::format("{} {}{}", verb, full_name(site_of(node)), from));
  }
  for (const auto& [layer, list] : heads)
    texts.push_back(fmt::format("{} {}.{}{}", verb, layer, fmt::join(list, ","), from));
  return texts;
}

Result<AnswerWanted> Removal::without(const NodeSet& removed, const PromptSet& prompts, size_t first_run,
                                      size_t pair, bool patching) const {
  const auto& clean = std::get<std::shared_ptr<const Run>>(input_.outcomes[first_run + pair]);
  const Ablation ablation = patching ? Ablation::corrupt : plan_.ablation;
  AnswerWanted wanted;
  wanted.request = clean->request;
  wanted.request.capture = {};
  wanted.ids = ids_of(prompts.pairs[pair]);
  if (plan_.metric == Metric::kl)
    wanted.reference = std::make_shared<HostTensor>(clean->capture->last_logits);
  if (ablation == Ablation::corrupt)
    wanted.request.references["reference"] =
        capture_in(input_.outcomes, first_run + prompts.pairs.size() + pair);
  else if (ablation != Ablation::zero)
    wanted.request.references["reference"] = mean_of(first_run, prompts.pairs.size());
  for (const std::string& text : texts(removed, ablation)) {
    SACCADE_TRY(Edit edit, parse_edit(text));
    wanted.request.edits.push_back(std::move(edit));
  }
  return wanted;
}

double Results::whole(const PromptSet& prompts, size_t first_run, size_t pair, bool corrupt) const {
  const auto capture = capture_in(input_.outcomes, first_run + pair + (corrupt ? prompts.pairs.size() : 0));
  return capture ? value_of(plan_.metric, capture->last_logits, prompts.pairs[pair], &capture->last_logits)
                 : nan;
}

double Results::answered(const PromptSet& prompts, size_t outcome, size_t pair) const {
  const auto* answer = answer_in(input_.outcomes, outcome);
  return answer == nullptr ? nan : value_of(plan_.metric, *answer, prompts.pairs[pair]);
}

std::vector<std::vector<double>> Results::effects(bool second) const {
  const PromptSet& prompts = second ? plan_.second : plan_.prompts;
  const size_t runs = second ? plan_.second_runs() : 0,
               answers = second ? plan_.second_ranking() : plan_.ranking();
  std::vector<std::vector<double>> effects(plan_.nodes.size());
  for (size_t n = 0; n < effects.size(); ++n)
    for (size_t pair = 0; pair < prompts.pairs.size(); ++pair) {
      const double now = answered(prompts, answers + pair * plan_.nodes.size() + n, pair),
                   clean = whole(prompts, runs, pair, false);
      effects[n].push_back(plan_.by_patching ? normalised_effect(now, clean, whole(prompts, runs, pair, true))
                                             : now - clean);
    }
  return effects;
}

std::vector<size_t> Results::ranked(const std::vector<std::vector<double>>& effects) {
  std::vector<double> size;
  for (const auto& values : effects) {
    const double mean = mean_interval(values).mean;
    size.push_back(std::isnan(mean) ? -1.0 : std::abs(mean));
  }
  std::vector<size_t> order(effects.size());
  std::iota(order.begin(), order.end(), size_t{0});
  std::stable_sort(order.begin(), order.end(), [&](size_t a, size_t b) { return size[a] > size[b]; });
  return order;
}

NodeSet Results::circuit() const {
  const auto all = effects(false);
  const std::vector<size_t> order = ranked(all);
  const auto count = static_cast<size_t>(
      std::max(1.0, std::round(plan_.top / 100.0 * static_cast<double>(plan_.nodes.size()))));
  NodeSet circuit(plan_.nodes.size(), false);
  for (size_t i = 0; i < order.size(); ++i) {
    const double mean = std::abs(mean_interval(all[order[i]]).mean);
    circuit[order[i]] = !std::isnan(mean) && (plan_.threshold > 0.0 ? mean >= plan_.threshold : i < count);
  }
  return circuit;
}

Evaluation evaluation_of(const Plan& plan, const NodeSet& circuit) {
  Evaluation evaluation;
  NodeSet others = circuit;
  others.flip();
  evaluation.removed = {others, NodeSet(circuit.size(), true)};
  for (size_t n = 0; n < circuit.size(); ++n) {
    if (!circuit[n]) continue;
    evaluation.members.push_back(n);
    evaluation.removed.push_back(others);
    evaluation.removed.back()[n] = true;
  }
  std::mt19937_64 random(plan.seed);
  for (int draw = 0; draw < plan.draws && evaluation.members.size() > 1; ++draw) {
    std::vector<size_t> half = evaluation.members;
    for (size_t i = half.size(); i > 1; --i) std::swap(half[i - 1], half[random() % i]);
    half.resize(half.size() / 2);
    NodeSet drawn(circuit.size(), false);
    for (const size_t n : half) drawn[n] = true;
    NodeSet both = others;
    for (const size_t n : half) both[n] = true;
    evaluation.removed.push_back(std::move(both));
    evaluation.removed.push_back(drawn);
    evaluation.drawn.push_back(std::move(drawn));
  }
  return evaluation;
}

size_t shared_strongest(const std::vector<size_t>& a, const std::vector<size_t>& b, size_t k) {
  const auto end_a = a.begin() + static_cast<ptrdiff_t>(k), end_b = b.begin() + static_cast<ptrdiff_t>(k);
  return static_cast<size_t>(std::count_if(
      a.begin(), end_a, [&](size_t node) { return std::find(b.begin(), end_b, node) != end_b; }));
}

Result<AnswerWanted> repair(const Plan& plan, const MethodInput& input, size_t pair, bool edited) {
  const PromptPair& prompts = plan.prompts.pairs[pair];
  AnswerWanted wanted;
  wanted.request = std::get<std::shared_ptr<const Run>>(input.outcomes[pair])->request;
  wanted.request.capture = {};
  wanted.ids = ids_of(prompts);
  std::vector<int32_t> keys;
  for (const std::string& role : plan.repair_keys) {
    keys.push_back(prompts.clean_roles.at(role));
    wanted.ids.push_back(prompts.clean.tokens[static_cast<size_t>(keys.back())].id);
  }
  for (const HeadId head : edited ? plan.repair_heads : std::vector<HeadId>()) {
    SACCADE_TRY(Edit edit, parse_edit(fmt::format("force {} by=1 query={} key={}", to_string(head),
                                                  prompts.clean.size() - 1, fmt::join(keys, ","))));
    wanted.request.edits.push_back(std::move(edit));
  }
  return wanted;
}

}  // namespace saccade::circuits
