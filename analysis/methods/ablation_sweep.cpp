// ablation-sweep: what happens to the answers without each head.
//
// Round 1 runs every prompt as it is (and its corrupted twin, to resample from); round 2 answers every prompt
// without each group of heads; round 3 answers without the strongest groups together, and without as many
// others, drawn at random with a seed and truly excluding the strongest, as the control.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "analysis/logit_map.h"
#include "analysis/methods/ablation_plan.h"
#include "analysis/methods/head_fields.h"
#include "analysis/methods/reference_runs.h"
#include "analysis/methods/registry.h"

namespace saccade {
namespace {

using namespace ablation;  // NOLINT(google-build-using-namespace): its own part

constexpr double least_baseline = 0.1;  // below it, a share of the baseline means nothing

MethodInfo make_info() {
  MethodInfo info;
  info.id = "ablation-sweep";
  info.title = "What each head is needed for";
  info.summary =
      "Ablates every head in turn on a set of prompts, and the strongest together beside random others.";
  info.citation =
      "ablation kinds: zero, mean, resample as in Wang et al. 2023 (arXiv 2211.00593); self-repair: McGrath "
      "et al. "
      "2023 (arXiv 2307.15771); interval: Student's t over prompts";
  info.parameters = {
      choice("kind", "Ablation", "zero, mean, mean-by-position, resample, uniform or identity.",
             {"zero", "mean", "mean-by-position", "resample", "uniform", "identity"}),
      choice("unit", "Ablated together", "head, kv-head or layer.", {"head", "kv-head", "layer"}),
      choice("metric", "Metric",
             "logit-difference, probability, loss, kl, accuracy (right above wrong) or exact-match (right "
             "above all).",
             {"logit-difference", "probability", "loss", "kl", "accuracy", "exact-match"}),
      {"strongest", "Strongest", "How many of the strongest are ablated together.", 3, 0, 1000},
      {"controls", "Random controls", "How many sets of as many other heads are ablated beside them.", 5, 0,
       100},
  };
  for (ParameterInfo& parameter : prompt_parameters()) info.parameters.push_back(std::move(parameter));
  return info;
}

class AblationSweep final : public AnalysisMethod {
 public:
  [[nodiscard]] const MethodInfo& info() const override { return info_; }

  [[nodiscard]] Result<std::vector<Wanted>> plan(const MethodInput& input) const override {
    SACCADE_TRY(const Plan plan, read_plan(input));
    std::vector<Wanted> wanted;
    if (input.outcomes.empty()) {
      for (const PromptPair& pair : plan.prompts.pairs)
        wanted.emplace_back(RunWanted{reference_request(input, pair.clean)});
      if (plan.kind == Kind::resample)
        for (const PromptPair& pair : plan.prompts.pairs)
          wanted.emplace_back(RunWanted{reference_request(input, pair.corrupt)});
      return wanted;
    }
    Ablation ablation(plan, input);
    SACCADE_CHECK(ablation.prepare());
    std::vector<std::vector<HeadId>> sets;
    if (input.outcomes.size() == plan.runs()) {
      sets = plan.groups;
    } else if (input.outcomes.size() == plan.runs() + plan.singles()) {
      for (const auto& groups : joint_sets(plan, Results(plan, input).ranking()))
        sets.push_back(heads_of_groups(plan, groups));
    }
    for (const auto& heads : sets)
      for (size_t pair = 0; pair < plan.prompts.pairs.size(); ++pair) {
        SACCADE_TRY(AnswerWanted answer, ablation.without(heads, pair));
        wanted.emplace_back(std::move(answer));
      }
    return wanted;
  }

  [[nodiscard]] Result<AnalysisResult> compute(const MethodInput& input,
                                               const JobContext& job) const override {
    SACCADE_TRY(const Plan plan, read_plan(input));
    const Results results(plan, input);
    AnalysisResult result;
    result.method = info_.id;
    result.parameters = input.parameters;
    result.requests = {input.base.digest()};
    add_effects(plan, results, input, result);
    SACCADE_CHECK(add_direct_effects(plan, input, job, result));
    result.tables.push_back(heads_table(result.fields));
    add_joint(plan, results, result);
    return result;
  }

 private:
  static void add_effects(const Plan& plan, const Results& results, const MethodInput& input,
                          AnalysisResult& result) {
    const ModelSpec& spec = input.model->spec();
    Field effect =
        head_field("effect", fmt::format("Change of {}", label_of(plan.metric)), unit_of(plan.metric),
                   ValueKind::signed_difference, spec.n_layer, spec.n_head, input.base.digest());
    Field interval =
        head_field("effect_interval", "Half of its 95 % interval over prompts", unit_of(plan.metric),
                   ValueKind::magnitude, spec.n_layer, spec.n_head, input.base.digest());
    for (size_t g = 0; g < plan.groups.size(); ++g) {
      const MeanInterval mean = mean_interval(results.effects_of_group(g));
      for (const HeadId head : plan.groups[g]) {
        const auto at = static_cast<size_t>(int64_t{head.layer.value} * spec.n_head + head.head.value);
        effect.values.mutable_values()[at] = static_cast<float>(mean.mean);
        interval.values.mutable_values()[at] = static_cast<float>(mean.half_width);
      }
    }
    result.fields = {std::move(effect), std::move(interval)};
  }

  // Total effect of zeroing a head beside what its write alone adds to the logit difference: where much less
  // is lost than was written, later heads repair it.
  static Result<void> add_direct_effects(const Plan& plan, const MethodInput& input, const JobContext& job,
                                         AnalysisResult& result) {
    if (plan.kind != Kind::zero || plan.metric != Metric::logit_difference ||
        std::any_of(plan.prompts.pairs.begin(), plan.prompts.pairs.end(),
                    [](const PromptPair& pair) { return pair.wrong.empty(); }))
      return {};
    const ModelSpec& spec = input.model->spec();
    Field direct = head_field("direct_effect", "Written into the logit difference directly", "logits",
                              ValueKind::signed_difference, spec.n_layer, spec.n_head, input.base.digest());
    const Result<std::vector<double>> sums = direct_effects(plan, input, job);
    if (!sums.ok()) {
      if (sums.error().code != ErrorCode::unsupported) return sums.error();
      result.findings.push_back("No direct effects: " + sums.error().message + ".");
      return {};
    }
    std::vector<std::string> repaired;
    for (size_t at = 0; at < sums->size(); ++at) {
      direct.values.mutable_values()[at] = static_cast<float>((*sums)[at]);
      const double total = result.fields[0].values.data()[at], written = (*sums)[at];
      if (std::abs(written) >= least_baseline && std::abs(total) < std::abs(written) / 2)
        repaired.push_back(to_string(head_at(static_cast<int64_t>(at), spec.n_head)));
    }
    result.fields.push_back(std::move(direct));
    if (!repaired.empty())
      result.findings.push_back(
          fmt::format("Self-repair: zeroing {} costs less than half of what it writes directly; later parts "
                      "make up for it.",
                      fmt::join(repaired, ", ")));
    return {};
  }

  // Mean over prompts of each head's write at the last position, through the frozen final norm.
  static Result<std::vector<double>> direct_effects(const Plan& plan, const MethodInput& input,
                                                    const JobContext& job) {
    const ModelSpec& spec = input.model->spec();
    const WeightReader weights(input.model);
    std::vector<double> sums(static_cast<size_t>(spec.n_heads_total()), 0.0);
    std::vector<LogitMap> maps;
    std::vector<const Capture*> captures;
    for (size_t i = 0; i < plan.prompts.pairs.size(); ++i) {
      const Run* run = run_in(input.outcomes, i);
      if (run == nullptr)
        return make_error(ErrorCode::unsupported, "the sweep was stopped before its first runs");
      const PromptPair& pair = plan.prompts.pairs[i];
      const Capture& capture = *run->capture;
      SACCADE_TRY(LogitMap map,
                  LogitMap::make(weights, spec, capture.final_resid.slice(capture.n_token() - 1),
                                 direction_of(pair.right, pair.wrong)));
      maps.push_back(std::move(map));
      captures.push_back(&capture);
    }
    for (int64_t at = 0; at < spec.n_heads_total(); ++at) {
      SACCADE_CHECK(job.check());
      const HeadId head = head_at(at, spec.n_head);
      const HostTensor output = weights.output(head);
      for (size_t i = 0; i < maps.size(); ++i)
        sums[static_cast<size_t>(at)] +=
            maps[i].contribution(last_z(*captures[i], head), output) / static_cast<double>(maps.size());
    }
    return sums;
  }

  static void add_joint(const Plan& plan, const Results& results, AnalysisResult& result) {
    std::vector<double> baselines;
    for (size_t i = 0; i < plan.prompts.pairs.size(); ++i) baselines.push_back(results.baseline(i));
    const MeanInterval base = mean_interval(baselines);
    const std::vector<size_t> ranking = results.ranking();
    const std::string how = result.parameters["kind"].get<std::string>();
    const MeanInterval first = mean_interval(results.effects_of_group(ranking.front()));
    if (first.count == 0) {
      result.findings.insert(result.findings.begin(), "Stopped before the first head was ablated.");
      return;
    }
    result.findings.insert(
        result.findings.begin(),
        fmt::format(
            "{}: ablating {} ({}) changes the {} most, from {:.3g} by {:+.3g} ± {:.2g} over {} prompts.",
            plan.prompts.name, to_string(plan.groups[ranking.front()].front()), how, label_of(plan.metric),
            base.mean, first.mean, first.half_width, first.count));
    if (plan.metric != Metric::kl && std::abs(base.mean) < least_baseline)
      result.findings.push_back(fmt::format(
          "The {} is only {:.3g} before anything is ablated: these prompts hardly measure it on this "
          "model, and changes as a share of it mean nothing.",
          label_of(plan.metric), base.mean));
    Table table{"together", {"set", "heads", "effect", "half_interval"}, {}};
    const auto sets = joint_sets(plan, ranking);
    std::vector<double> controls;
    for (size_t s = 0; s < sets.size(); ++s) {
      const MeanInterval mean =
          mean_interval(results.effects(plan.runs() + plan.singles() + s * plan.prompts.pairs.size()));
      std::vector<std::string> names;
      for (const HeadId head : heads_of_groups(plan, sets[s])) names.push_back(to_string(head));
      table.rows.push_back({s == 0 ? std::string("strongest") : fmt::format("random {}", s),
                            fmt::format("{}", fmt::join(names, " ")), mean.mean, mean.half_width});
      if (s > 0) controls.push_back(mean.mean);
    }
    if (table.rows.empty() || std::isnan(std::get<double>(table.rows[0][2]))) return;
    const MeanInterval control = mean_interval(controls);
    result.findings.push_back(
        control.count > 0
            ? fmt::format(
                  "The {} strongest together change it by {:+.3g}; as many random others by {:+.3g} on "
                  "average ({} draws).",
                  plan.strongest, std::get<double>(table.rows[0][2]), control.mean, control.count)
            : fmt::format("The {} strongest together change it by {:+.3g}; no random control was run.",
                          plan.strongest, std::get<double>(table.rows[0][2])));
    result.tables.push_back(std::move(table));
  }

  MethodInfo info_ = make_info();
};

}  // namespace

std::unique_ptr<AnalysisMethod> make_ablation_sweep() { return std::make_unique<AblationSweep>(); }

}  // namespace saccade
