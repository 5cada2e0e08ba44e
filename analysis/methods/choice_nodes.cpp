#include "analysis/methods/choice_nodes.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

#include "analysis/logit_map.h"
#include "analysis/methods/head_fields.h"
#include "analysis/methods/metric.h"
#include "analysis/methods/reference_runs.h"
#include "analysis/methods/subspace.h"
#include "core/base/digest.h"
#include "core/base/memory.h"
#include "core/capture/attention_map.h"

namespace saccade::choices {
namespace {

constexpr double nan = std::numeric_limits<double>::quiet_NaN();

HookSite site_of(HeadPart part) {
  return part == HeadPart::q ? HookSite::q : part == HeadPart::k ? HookSite::k : HookSite::v;
}

// The rows of a part that the test projects: the query at the last position, keys and values at the labels.
std::vector<int64_t> rows_of(const ChoicePrompt& prompt, HeadPart part) {
  return part == HeadPart::q ? std::vector<int64_t>{prompt.pair.clean.size() - 1} : prompt.label_positions;
}

// One head's numbers in a row of q, k or v.
struct Columns {
  int64_t begin = 0, width = 0, row = 0;
};
Columns columns_of(const ModelSpec& spec, HeadId head, HeadPart part) {
  const bool query = part == HeadPart::q;
  return {(query ? head.head.value : spec.kv_head_of(head.head.value)) * spec.d_head, spec.d_head,
          (query ? spec.n_head : spec.n_kv_head) * spec.d_head};
}

HostTensor samples_of(const Plan& plan, const MethodInput& input, HeadId head, HeadPart part) {
  const Columns columns = columns_of(input.model->spec(), head, part);
  std::vector<float> numbers;
  for (size_t i = 0; i < plan.count(); ++i) {
    const HostTensor& values =
        capture_in(input.outcomes, i).get()->sites.at({site_of(part), head.layer.value});
    for (const int64_t row : rows_of(plan.prompts[i], part)) {
      const float* from = values.data() + row * columns.row + columns.begin;
      numbers.insert(numbers.end(), from, from + columns.width);
    }
  }
  HostTensor samples({static_cast<int64_t>(numbers.size()) / columns.width, columns.width}, false);
  std::copy(numbers.begin(), numbers.end(), samples.mutable_values().begin());
  return samples;
}

VocabularyDirection centred_direction(const ChoicePrompt& prompt) {
  VocabularyDirection direction;
  const auto n = static_cast<float>(prompt.labels.size());
  for (size_t i = 0; i < prompt.labels.size(); ++i) {
    direction.ids.push_back(prompt.labels[i]);
    direction.weights.push_back((i == prompt.correct ? 1.0F : 0.0F) - 1.0F / n);
  }
  return direction;
}

}  // namespace

Result<Plan> read_plan(const MethodInput& input) {
  SACCADE_CHECK(require_model(input, "output-nodes"));
  const auto& p = input.parameters;
  const int count = p["count"].get<int>();
  const auto seed = p["seed"].get<uint64_t>();
  Plan plan;
  plan.format = p["format"].get<std::string>();
  SACCADE_TRY(plan.prompts, choice_prompts(plan.format, *input.model, count, seed));
  for (const std::string& format :
       p["mutations"].get<bool>() ? choice_formats() : std::vector<std::string>()) {
    if (format == plan.format) continue;
    auto prompts = choice_prompts(format, *input.model, count, seed);
    if (prompts.ok())
      plan.others.emplace_back(format, std::move(*prompts));
    else
      plan.unusable.push_back(prompts.error().message);
  }
  plan.nodes = nodes_of(input.model->spec(), true);
  plan.most = std::min(p["most"].get<size_t>(), plan.nodes.size());
  plan.enough = p["enough"].get<double>() / 100.0;
  plan.subspace_heads = p["subspace-heads"].get<size_t>();
  plan.ranks = std::min<int64_t>(p["ranks"].get<int64_t>(), input.model->spec().d_head);
  return plan;
}

std::vector<Wanted> runs(const Plan& plan, const MethodInput& input) {
  std::vector<Wanted> wanted;
  const ModelSpec& spec = input.model->spec();
  const auto add = [&](const TokenSequence& tokens, bool attention, std::initializer_list<HookSite> sites) {
    RunRequest request = reference_request(input, tokens);
    request.capture.attention = attention;
    request.capture.sites.clear();
    for (int32_t l = 0; l < spec.n_layer; ++l)
      for (const HookSite site : sites)
        if (exists({site, l}, spec)) request.capture.sites.push_back({site, l});
    wanted.emplace_back(RunWanted{std::move(request)});
  };
  for (const ChoicePrompt& prompt : plan.prompts)
    add(prompt.pair.clean, true, {HookSite::z, HookSite::mlp_out, HookSite::q, HookSite::k, HookSite::v});
  for (const ChoicePrompt& prompt : plan.prompts)
    add(prompt.pair.corrupt, false, {HookSite::z, HookSite::mlp_out});
  for (const auto& [format, prompts] : plan.others)
    for (const ChoicePrompt& prompt : prompts) add(prompt.pair.clean, true, {});
  return wanted;
}

Result<std::vector<Wanted>> patched(const Plan& plan, const MethodInput& input,
                                    const std::vector<std::vector<size_t>>& sets) {
  std::vector<Wanted> wanted;
  for (const std::vector<size_t>& set : sets)
    for (size_t i = 0; i < plan.count(); ++i) {
      AnswerWanted answer;
      answer.request = reference_request(input, plan.prompts[i].pair.clean);
      answer.request.capture = {};
      answer.ids = plan.prompts[i].labels;
      answer.request.references["other"] =
          std::get<std::shared_ptr<const Run>>(input.outcomes[plan.count() + i])->capture;
      for (const size_t n : set) {
        const CircuitNode& node = plan.nodes[n];
        const std::string target = node.kind == CircuitNode::Kind::head
                                       ? to_string(node.head)
                                       : full_name({HookSite::mlp_out, node.layer()});
        SACCADE_TRY(Edit edit, parse_edit("replace " + target + " from=other"));
        answer.request.edits.push_back(std::move(edit));
      }
      wanted.emplace_back(std::move(answer));
    }
  return wanted;
}

Result<std::vector<Wanted>> projected(const Plan& plan, const MethodInput& input,
                                      const std::vector<HeadId>& heads) {
  const ModelSpec& spec = input.model->spec();
  int64_t bytes = 0;
  for (const ChoicePrompt& prompt : plan.prompts)
    bytes += static_cast<int64_t>(heads.size() * parts.size()) * plan.ranks * prompt.pair.clean.size() *
             spec.n_head * spec.d_head * static_cast<int64_t>(sizeof(float));
  if (bytes > available_bytes() / 4)
    return make_error(
        ErrorCode::out_of_memory,
        fmt::format("the subspace test of {} heads, {} ranks and {} prompts would hold {}, {} are "
                    "free; use fewer of either",
                    heads.size(), plan.ranks, plan.count(), format_bytes(bytes),
                    format_bytes(available_bytes())));
  std::vector<Wanted> wanted;
  for (const HeadId head : heads)
    for (const HeadPart part : parts) {
      const Subspace subspace = Subspace::of(samples_of(plan, input, head, part));
      const Columns columns = columns_of(spec, head, part);
      const SiteRef site{site_of(part), head.layer.value};
      for (int64_t rank = 1; rank <= plan.ranks; ++rank)
        for (size_t i = 0; i < plan.count(); ++i) {
          const Capture& clean = *capture_in(input.outcomes, i).get();
          const HostTensor& values = clean.sites.at(site);
          HostTensor changed(values.shape(), false);
          std::copy_n(values.data(), values.size(), changed.mutable_values().data());
          const std::vector<int64_t> rows = rows_of(plan.prompts[i], part);
          for (const int64_t row : rows) {
            const int64_t begin = row * columns.row + columns.begin;
            const std::vector<float> kept = subspace.projected(
                values.values().subspan(static_cast<size_t>(begin), static_cast<size_t>(columns.width)),
                rank);
            std::copy(kept.begin(), kept.end(), changed.mutable_values().data() + begin);
          }
          auto reference = std::make_shared<Capture>();
          reference->spec = clean.spec;
          reference->tokens = clean.tokens;
          reference->provenance.request = Digest()
                                              .add("projected")
                                              .add(plan.prompts[i].pair.clean.text)
                                              .add(std::as_bytes(changed.values()))
                                              .hex();
          reference->sites[site] = std::move(changed);
          AnswerWanted answer;
          answer.request = reference_request(input, plan.prompts[i].pair.clean);
          answer.request.capture = {};
          answer.ids = plan.prompts[i].labels;
          answer.request.references["projected"] = std::move(reference);
          SACCADE_TRY(Edit edit,
                      parse_edit(fmt::format("replace {} from=projected at={} query={}", to_string(head),
                                             to_string(part), fmt::join(rows, ","))));
          answer.request.edits = {std::move(edit)};
          wanted.emplace_back(std::move(answer));
        }
    }
  return wanted;
}

Result<std::vector<double>> direct_effects(const Plan& plan, const MethodInput& input) {
  const ModelSpec& spec = input.model->spec();
  const WeightReader weights(input.model);
  std::vector<LogitMap> maps;
  for (size_t i = 0; i < plan.count(); ++i) {
    const Capture& capture = *capture_in(input.outcomes, i).get();
    SACCADE_TRY(LogitMap map, LogitMap::make(weights, spec, capture.final_resid.slice(capture.n_token() - 1),
                                             centred_direction(plan.prompts[i])));
    maps.push_back(std::move(map));
  }
  std::vector<double> effects;
  for (const CircuitNode& node : plan.nodes) {
    const bool head = node.kind == CircuitNode::Kind::head;
    const HostTensor output = head ? weights.output(node.head) : HostTensor();
    double sum = 0.0;
    for (size_t i = 0; i < plan.count(); ++i) {
      const Capture& capture = *capture_in(input.outcomes, i).get();
      sum += head ? maps[i].contribution(last_z(capture, node.head), output)
                  : maps[i].contribution(
                        capture.sites.at({HookSite::mlp_out, node.layer()}).slice(capture.n_token() - 1));
    }
    effects.push_back(sum / static_cast<double>(plan.count()));
  }
  return effects;
}

Said said_by(const KeptAnswer& answer, const ChoicePrompt& prompt) {
  const double own = answer.logits[prompt.correct];
  Said said{own, answer.log_sum_exp - own, true};
  for (size_t i = 0; i < prompt.labels.size(); ++i) {
    said.centred -= answer.logits[i] / static_cast<double>(prompt.labels.size());
    said.right = said.right && (i == prompt.correct || answer.logits[i] < own);
  }
  return said;
}

namespace {

void add_to(MeanSaid& mean, const Said& said, size_t count) {
  const auto n = static_cast<double>(count);
  mean.centred += said.centred / n;
  mean.loss += said.loss / n;
  mean.right += said.right ? 1.0 / n : 0.0;
}

}  // namespace

MeanSaid mean_said(const Plan& plan, const MethodInput& input, size_t outcome) {
  MeanSaid mean;
  for (size_t i = 0; i < plan.count(); ++i) {
    const auto* answer = answer_in(input.outcomes, outcome + i);
    if (answer == nullptr) return {nan, nan, nan};
    add_to(mean, said_by(*answer, plan.prompts[i]), plan.count());
  }
  return mean;
}

MeanSaid mean_said_by_runs(const std::vector<ChoicePrompt>& prompts, const MethodInput& input,
                           size_t first_run) {
  MeanSaid mean;
  for (size_t i = 0; i < prompts.size(); ++i) {
    const Capture* capture = capture_in(input.outcomes, first_run + i).get();
    if (capture == nullptr) return {nan, nan, nan};
    add_to(mean, said_by(keep_answer(capture->last_logits, prompts[i].labels, nullptr), prompts[i]),
           prompts.size());
  }
  return mean;
}

std::vector<size_t> by_direct_effect(const std::vector<double>& effects) {
  std::vector<size_t> order(effects.size());
  std::iota(order.begin(), order.end(), size_t{0});
  std::stable_sort(order.begin(), order.end(),
                   [&](size_t a, size_t b) { return std::abs(effects[a]) > std::abs(effects[b]); });
  return order;
}

OutputSet output_set(const Plan& plan, const MethodInput& input) {
  const double clean = mean_said_by_runs(plan.prompts, input, 0).loss,
               corrupt = mean_said_by_runs(plan.prompts, input, plan.count()).loss;
  OutputSet set{plan.most, nan};
  for (size_t k = 1; k <= plan.most; ++k) {
    const double loss = mean_said(plan, input, plan.together() + (k - 1) * plan.count()).loss;
    set = {k, normalised_effect(loss, clean, corrupt)};
    if (set.share >= plan.enough) break;
  }
  return set;
}

std::vector<HeadId> subspace_heads(const Plan& plan, const MethodInput& input,
                                   const std::vector<double>& direct) {
  std::vector<HeadId> heads;
  const std::vector<size_t> order = by_direct_effect(direct);
  const size_t size = output_set(plan, input).size;
  for (size_t i = 0; i < size && heads.size() < plan.subspace_heads; ++i)
    if (plan.nodes[order[i]].kind == CircuitNode::Kind::head) heads.push_back(plan.nodes[order[i]].head);
  return heads;
}

std::string category_of(const std::vector<LabelMasses>& masses) {
  const auto n = static_cast<double>(masses.size());
  const size_t labels = masses[0].labels.size();
  double margin = 0.0, on_labels = 0.0, entropy = 0.0, content = 0.0;
  std::vector<double> dominant(labels, 0.0);
  for (const LabelMasses& mass : masses) {
    double other = 0.0, sum = 0.0, spread = 0.0;
    for (size_t i = 0; i < labels; ++i) {
      if (i != mass.correct) other = std::max(other, mass.labels[i]);
      sum += mass.labels[i];
      if (mass.labels[i] >= 0.5) dominant[i] += 1.0 / n;
    }
    for (const double m : mass.labels)
      if (m > 0.0 && sum > 0.0) spread -= m / sum * std::log(m / sum);
    margin += (mass.labels[mass.correct] - other) / n;
    on_labels += sum / n;
    entropy += spread / std::log(static_cast<double>(labels)) / n;
    content += mass.content / n;
  }
  if (margin >= 0.2) return "correct-letter";
  if (*std::max_element(dominant.begin(), dominant.end()) >= 0.8) return "single-letter";
  if (on_labels >= 0.5 && entropy >= 0.9) return "uniform";
  return content >= 0.5 ? "content" : "other";
}

Result<std::vector<LabelMasses>> masses_of(const std::vector<ChoicePrompt>& prompts, const MethodInput& input,
                                           size_t first_run, HeadId head) {
  constexpr int64_t last_tokens = 3;  // "Answer: (" as most tokenizers read it
  std::vector<LabelMasses> masses;
  for (size_t i = 0; i < prompts.size(); ++i) {
    const auto& capture = std::get<std::shared_ptr<const Run>>(input.outcomes[first_run + i])->capture;
    const int64_t n = capture->n_token();
    SACCADE_TRY(const AttentionMap map, AttentionMap::of(capture, head, *input.kernels));
    SACCADE_TRY(const Tile row, map.tile(n - 1, n, 0, n, 1));
    LabelMasses mass;
    mass.correct = prompts[i].correct;
    for (const int64_t position : prompts[i].label_positions)
      mass.labels.push_back(row.block_max.data()[position]);
    for (const int64_t position : prompts[i].content_positions)
      mass.content += row.block_max.data()[position];
    for (int64_t position = n - last_tokens; position < n; ++position)
      mass.content += row.block_max.data()[position];
    masses.push_back(std::move(mass));
  }
  return masses;
}

}  // namespace saccade::choices
