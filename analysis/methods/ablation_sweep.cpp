// ablation-sweep: what happens to the answers without each head.
//
// Round 1 runs every prompt as it is (and its corrupted twin, to resample from); round 2 answers every prompt
// without each group of heads; round 3 answers without the strongest groups together, and without as many
// others, drawn at random with a seed and truly excluding the strongest, as the control.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <numeric>
#include <random>

#include "analysis/logit_map.h"
#include "analysis/methods/head_fields.h"
#include "analysis/methods/metric.h"
#include "analysis/methods/reference_runs.h"
#include "analysis/methods/registry.h"

namespace saccade {
namespace {

constexpr double nan = std::numeric_limits<double>::quiet_NaN();
constexpr double least_baseline = 0.1;  // below it, a share of the baseline means nothing

enum class Kind { zero, mean, mean_by_position, resample, uniform, identity };
constexpr std::array<std::pair<const char*, Kind>, 6> kinds{{{"zero", Kind::zero},
                                                             {"mean", Kind::mean},
                                                             {"mean-by-position", Kind::mean_by_position},
                                                             {"resample", Kind::resample},
                                                             {"uniform", Kind::uniform},
                                                             {"identity", Kind::identity}}};

struct Plan {
  Kind kind = Kind::zero;
  Metric metric = Metric::logit_difference;
  PromptSet prompts;
  std::vector<std::vector<HeadId>> groups;  // ablated together: a head, the heads of a KV head, or a layer
  size_t strongest = 0, controls = 0;
  uint64_t seed = 0;

  [[nodiscard]] size_t runs() const { return prompts.pairs.size() * (kind == Kind::resample ? 2 : 1); }
  [[nodiscard]] size_t singles() const { return groups.size() * prompts.pairs.size(); }
};

Result<std::vector<std::vector<HeadId>>> groups_of(const std::string& unit, const ModelSpec& spec) {
  const int32_t size = unit == "head"      ? 1
                       : unit == "kv-head" ? spec.n_head / spec.n_kv_head
                       : unit == "layer"   ? spec.n_head
                                           : 0;
  if (size == 0)
    return make_error(ErrorCode::invalid_argument,
                      fmt::format("unit is head, kv-head or layer, found '{}'", unit));
  std::vector<std::vector<HeadId>> groups;
  for (int32_t l = 0; l < spec.n_layer; ++l)
    for (int32_t h = 0; h < spec.n_head; h += size) {
      groups.emplace_back();
      for (int32_t i = 0; i < size; ++i) groups.back().push_back({LayerIndex{l}, HeadIndex{h + i}});
    }
  return groups;
}

Result<Plan> read_plan(const MethodInput& input) {
  const auto& p = input.parameters;
  if (!input.model)
    return make_error(ErrorCode::invalid_argument,
                      "ablation-sweep needs the model, not only a capture of a run");
  Plan plan;
  const std::string kind = p["kind"].get<std::string>();
  const auto known = std::find_if(kinds.begin(), kinds.end(), [&](const auto& k) { return kind == k.first; });
  if (known == kinds.end())
    return make_error(
        ErrorCode::invalid_argument,
        fmt::format("kind is zero, mean, mean-by-position, resample, uniform or identity, found '{}'", kind));
  plan.kind = known->second;
  plan.seed = p["seed"].get<uint64_t>();
  SACCADE_TRY(plan.metric, parse_metric(p["metric"].get<std::string>()));
  SACCADE_TRY(plan.prompts,
              prompt_set(p["prompts"].get<std::string>(), *input.model, p["count"].get<int>(), plan.seed));
  SACCADE_TRY(plan.groups, groups_of(p["unit"].get<std::string>(), input.model->spec()));
  plan.strongest = std::min(p["strongest"].get<size_t>(), plan.groups.size());
  plan.controls = 2 * plan.strongest <= plan.groups.size() ? p["controls"].get<size_t>() : 0;
  if (plan.kind == Kind::resample) SACCADE_CHECK(plan.prompts.aligned());
  if (plan.kind == Kind::mean_by_position) SACCADE_CHECK(same_length(plan.prompts));
  return plan;
}

// The edits that ablate heads, and what they refer to.
class Ablation {
 public:
  Ablation(const Plan& plan, const MethodInput& input) : plan_(plan), input_(input) {}

  Result<void> prepare() {
    const size_t pairs = plan_.prompts.pairs.size();
    if (plan_.kind != Kind::mean && plan_.kind != Kind::mean_by_position) return {};
    std::vector<std::shared_ptr<const Capture>> captures;
    for (size_t i = 0; i < pairs; ++i) {
      const auto* run = std::get_if<std::shared_ptr<const Run>>(&input_.outcomes[i]);
      if (run == nullptr) return make_error(ErrorCode::cancelled, "cancelled");
      captures.push_back((*run)->capture);
    }
    mean_ = plan_.kind == Kind::mean ? all_rows_of_z(captures) : mean_z_by_position(captures);
    return {};
  }

  [[nodiscard]] Result<AnswerWanted> without(const std::vector<HeadId>& heads, size_t pair) const {
    const PromptPair& prompts = plan_.prompts.pairs[pair];
    const auto& clean = std::get<std::shared_ptr<const Run>>(input_.outcomes[pair]);
    AnswerWanted wanted;
    wanted.request = clean->request;
    wanted.request.capture = {};
    wanted.ids = ids_of(prompts);
    if (plan_.metric == Metric::kl)
      wanted.reference = std::make_shared<HostTensor>(clean->capture->last_logits);
    if (mean_) wanted.request.references["reference"] = mean_;
    if (plan_.kind == Kind::resample)
      wanted.request.references["reference"] =
          std::get<std::shared_ptr<const Run>>(input_.outcomes[plan_.prompts.pairs.size() + pair])->capture;
    for (const HeadId head : heads) {
      SACCADE_TRY(Edit edit, parse_edit(text_of(head)));
      wanted.request.edits.push_back(std::move(edit));
    }
    return wanted;
  }

 private:
  [[nodiscard]] std::string text_of(HeadId head) const {
    switch (plan_.kind) {
      case Kind::zero:
        return "zero " + to_string(head);
      case Kind::mean:
        return "mean " + to_string(head) + " from=reference";
      case Kind::mean_by_position:
      case Kind::resample:
        return "replace " + to_string(head) + " from=reference";
      case Kind::uniform:
        return "uniform " + to_string(head);
      case Kind::identity:
        return "identity " + to_string(head) + " by=1";
    }
    return "";
  }

  const Plan& plan_;
  const MethodInput& input_;
  std::shared_ptr<const Capture> mean_;
};

// What the outcomes say, group by group.
class Results {
 public:
  Results(const Plan& plan, const MethodInput& input) : plan_(plan), input_(input) {}

  [[nodiscard]] double baseline(size_t pair) const {
    const auto* run = pair < input_.outcomes.size()
                          ? std::get_if<std::shared_ptr<const Run>>(&input_.outcomes[pair])
                          : nullptr;
    if (run == nullptr) return nan;
    const HostTensor& logits = (*run)->capture->last_logits;
    return value_of(plan_.metric, logits, plan_.prompts.pairs[pair], &logits);
  }
  // Metric without the heads minus metric with them; NaN where it was not done.
  [[nodiscard]] double effect(size_t first_outcome, size_t pair) const {
    const size_t at = first_outcome + pair;
    const auto* answer =
        at < input_.outcomes.size() ? std::get_if<KeptAnswer>(&input_.outcomes[at]) : nullptr;
    return answer == nullptr ? nan
                             : value_of(plan_.metric, *answer, plan_.prompts.pairs[pair]) - baseline(pair);
  }
  [[nodiscard]] std::vector<double> effects(size_t first_outcome) const {
    std::vector<double> values;
    for (size_t pair = 0; pair < plan_.prompts.pairs.size(); ++pair)
      values.push_back(effect(first_outcome, pair));
    return values;
  }
  [[nodiscard]] std::vector<double> effects_of_group(size_t group) const {
    return effects(plan_.runs() + group * plan_.prompts.pairs.size());
  }
  // Groups by |mean effect|, strongest first; those not done come last.
  [[nodiscard]] std::vector<size_t> ranking() const {
    std::vector<double> size;
    for (size_t g = 0; g < plan_.groups.size(); ++g) {
      const double mean = mean_interval(effects_of_group(g)).mean;
      size.push_back(std::isnan(mean) ? -1.0 : std::abs(mean));
    }
    std::vector<size_t> order(plan_.groups.size());
    std::iota(order.begin(), order.end(), size_t{0});
    std::stable_sort(order.begin(), order.end(), [&](size_t a, size_t b) { return size[a] > size[b]; });
    return order;
  }

 private:
  const Plan& plan_;
  const MethodInput& input_;
};

// The strongest groups, then the control sets: as many others, drawn without replacement.
std::vector<std::vector<size_t>> joint_sets(const Plan& plan, const std::vector<size_t>& ranking) {
  std::vector<std::vector<size_t>> sets;
  if (plan.strongest == 0) return sets;
  const auto cut = ranking.begin() + static_cast<ptrdiff_t>(plan.strongest);
  sets.emplace_back(ranking.begin(), cut);
  std::mt19937_64 random(plan.seed);
  for (size_t c = 0; c < plan.controls; ++c) {
    std::vector<size_t> others(cut, ranking.end());
    std::sort(others.begin(), others.end());
    for (size_t i = 0; i < plan.strongest; ++i)
      std::swap(others[i], others[i + random() % (others.size() - i)]);
    others.resize(plan.strongest);
    sets.push_back(std::move(others));
  }
  return sets;
}

std::vector<HeadId> heads_of_groups(const Plan& plan, const std::vector<size_t>& groups) {
  std::vector<HeadId> heads;
  for (const size_t g : groups) heads.insert(heads.end(), plan.groups[g].begin(), plan.groups[g].end());
  return heads;
}

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
      {"prompts", "Prompts", "repeat, ioi, greater-than, docstring, colored-objects, or a CSV or JSON file.",
       "repeat"},
      {"count", "Prompt pairs", "How many a preset draws.", 8, 1, 1000},
      {"kind", "Ablation", "zero, mean, mean-by-position, resample, uniform or identity.", "zero"},
      {"unit", "Ablated together", "head, kv-head or layer.", "head"},
      {"metric", "Metric", "logit-difference, probability, loss, kl or accuracy.", "logit-difference"},
      {"strongest", "Strongest", "How many of the strongest are ablated together.", 3, 0, 1000},
      {"controls", "Random controls", "How many sets of as many other heads are ablated beside them.", 5, 0,
       100},
      {"seed", "Seed", "Of the prompts and the controls.", 1, 0, 1e9}};
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
        const auto at = static_cast<size_t>(head.layer.value * spec.n_head + head.head.value);
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
      const auto* run = std::get_if<std::shared_ptr<const Run>>(&input.outcomes[i]);
      if (run == nullptr)
        return make_error(ErrorCode::unsupported, "the sweep was stopped before its first runs");
      const PromptPair& pair = plan.prompts.pairs[i];
      const Capture& capture = *(*run)->capture;
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
