// head-hunter: which few heads, perturbed together, move the answer most: greedy selection.
//
// The perturbation draws a head's map to something that carries no information: p := (1 - u) p + u I
// (identity, SoftPAG), or to the uniform map, or takes its output away. Round 1 scores every head alone and
// keeps the best; every later round scores each remaining head together with those kept, and ends where
// nothing is gained. Lowering the metric serves guidance: guided = M + w (M - M_perturbed) is highest where
// M_perturbed is lowest. Outcomes of plan(): an answer of every prompt as it is, of every prompt with each
// whole layer perturbed, then round by round of every prompt with each candidate.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <optional>

#include "analysis/methods/head_fields.h"
#include "analysis/methods/metric.h"
#include "analysis/methods/reference_runs.h"
#include "analysis/methods/registry.h"

namespace saccade {
namespace {

constexpr double nan = std::numeric_limits<double>::quiet_NaN();

struct Plan {
  Metric metric = Metric::logit_difference;
  PromptSet prompts;
  ModelSpec spec;
  std::string perturbation;
  double strength = 1.0, guidance = 0.0;
  bool lower = true;
  size_t most = 4;

  [[nodiscard]] size_t pairs() const { return prompts.pairs.size(); }
  [[nodiscard]] size_t heads() const { return static_cast<size_t>(spec.n_heads_total()); }
  [[nodiscard]] size_t first_round() const { return (1 + static_cast<size_t>(spec.n_layer)) * pairs(); }
  // Larger is better.
  [[nodiscard]] double gain(double metric_value) const { return lower ? -metric_value : metric_value; }
};

Result<Plan> read_plan(const MethodInput& input) {
  const auto& p = input.parameters;
  SACCADE_CHECK(require_model(input, "head-hunter"));
  Plan plan;
  plan.spec = input.model->spec();
  plan.perturbation = p["perturbation"].get<std::string>();
  plan.strength = p["strength"].get<double>();
  plan.guidance = p["guidance"].get<double>();
  plan.lower = p["goal"].get<std::string>() == "lower";
  plan.most = std::min(p["most"].get<size_t>(), plan.heads());
  SACCADE_TRY(plan.metric, parse_metric(p["metric"].get<std::string>()));
  SACCADE_TRY(plan.prompts, prompts_of(input));
  return plan;
}

Result<void> ask(const Plan& plan, const MethodInput& input, const std::vector<std::string>& targets,
                 std::vector<Wanted>& wanted) {
  for (const PromptPair& pair : plan.prompts.pairs) {
    AnswerWanted answer;
    answer.request = input.base;
    answer.request.tokens = pair.clean;
    answer.request.edits.clear();
    answer.request.references.clear();
    answer.request.capture = {};
    answer.ids = ids_of(pair);
    for (const std::string& target : targets) {
      const std::string text = plan.perturbation == "zero"
                                   ? fmt::format("scale {} by={}", target, 1.0 - plan.strength)
                                   : fmt::format("{} {} by={}", plan.perturbation, target, plan.strength);
      SACCADE_TRY(Edit edit, parse_edit(text));
      answer.request.edits.push_back(std::move(edit));
    }
    wanted.emplace_back(std::move(answer));
  }
  return {};
}

// The metric of every prompt, answers from `first` on; NaN for what was not done.
std::vector<double> metrics(const Plan& plan, const MethodInput& input, size_t first) {
  std::vector<double> values;
  for (size_t pair = 0; pair < plan.pairs(); ++pair) {
    const KeptAnswer* answer = answer_in(input.outcomes, first + pair);
    values.push_back(answer == nullptr ? nan : value_of(plan.metric, *answer, plan.prompts.pairs[pair]));
  }
  return values;
}

// The mean; NaN unless every prompt was answered.
double whole_mean(const std::vector<double>& values) {
  double sum = 0.0;
  for (const double value : values) sum += value;
  return sum / static_cast<double>(values.size());
}

struct Round {
  std::vector<size_t> candidates;
  std::vector<double> means;   // of the metric, per candidate
  std::optional<size_t> kept;  // the head it added; none where no head gains anything
};

// What the rounds so far chose, read from their answers.
struct Hunt {
  double baseline = nan;
  std::vector<Round> rounds;
  std::vector<size_t> kept;
  double reached = nan;  // the metric with all kept
  size_t next = 0;       // the first outcome that no round has read
  bool over = false;

  [[nodiscard]] std::vector<size_t> remaining(size_t heads) const {
    std::vector<size_t> left;
    for (size_t head = 0; head < heads; ++head)
      if (std::find(kept.begin(), kept.end(), head) == kept.end()) left.push_back(head);
    return left;
  }
};

Hunt hunt(const Plan& plan, const MethodInput& input) {
  Hunt so_far;
  so_far.baseline = so_far.reached = whole_mean(metrics(plan, input, 0));
  so_far.next = plan.first_round();
  while (so_far.kept.size() < plan.most) {
    Round round;
    round.candidates = so_far.remaining(plan.heads());
    if (so_far.next + round.candidates.size() * plan.pairs() > input.outcomes.size()) return so_far;
    for (size_t i = 0; i < round.candidates.size(); ++i)
      round.means.push_back(whole_mean(metrics(plan, input, so_far.next + i * plan.pairs())));
    if (std::any_of(round.means.begin(), round.means.end(), [](double mean) { return std::isnan(mean); }))
      return so_far;  // cancelled in the middle
    so_far.next += round.candidates.size() * plan.pairs();
    size_t best = 0;
    for (size_t i = 1; i < round.means.size(); ++i)
      if (plan.gain(round.means[i]) > plan.gain(round.means[best])) best = i;
    so_far.over = !(plan.gain(round.means[best]) > plan.gain(so_far.reached));
    if (!so_far.over) {
      round.kept = round.candidates[best];
      so_far.reached = round.means[best];
      so_far.kept.push_back(*round.kept);
    }
    so_far.rounds.push_back(std::move(round));
    if (so_far.over) return so_far;
  }
  so_far.over = true;
  return so_far;
}

std::vector<std::string> targets_of(const Plan& plan, const std::vector<size_t>& heads) {
  std::vector<std::string> targets;
  for (const size_t head : heads)
    targets.push_back(to_string(head_at(static_cast<int64_t>(head), plan.spec.n_head)));
  return targets;
}

MethodInfo make_info() {
  MethodInfo info;
  info.id = "head-hunter";
  info.title = "Which few heads to perturb";
  info.summary =
      "Greedy selection of the heads that, perturbed together, move the answer most: one more head each "
      "round.";
  info.citation =
      "HeadHunter and SoftPAG (fine-grained perturbation guidance by attention heads, 2025); the form for "
      "language "
      "models is own";
  info.parameters = {
      choice("perturbation", "Perturbation",
             "identity: each token reads only itself; uniform: all alike; zero: the head writes nothing.",
             {"identity", "uniform", "zero"}),
      {"strength", "Strength", "1: all of the perturbation.", 1.0, 0.0, 1.0},
      choice("goal", "Goal", "Lower or raise the metric; lowering it is what guidance wants.",
             {"lower", "raise"}),
      choice("metric", "Metric", "logit-difference, probability or loss.",
             {"logit-difference", "probability", "loss"}),
      {"most", "Heads", "How many to choose at most.", 4, 1, 1000},
      {"guidance", "Guidance w", "Says what M + w (M - M perturbed) would be.", 1.0, 0.0, 3.0}};
  for (ParameterInfo& parameter : prompt_parameters()) info.parameters.push_back(std::move(parameter));
  return info;
}

class HeadHunter final : public AnalysisMethod {
 public:
  [[nodiscard]] const MethodInfo& info() const override { return info_; }

  [[nodiscard]] Result<std::vector<Wanted>> plan(const MethodInput& input) const override {
    SACCADE_TRY(const Plan plan, read_plan(input));
    std::vector<Wanted> wanted;
    if (input.outcomes.empty()) {
      SACCADE_CHECK(ask(plan, input, {}, wanted));
      for (int32_t l = 0; l < plan.spec.n_layer; ++l)
        SACCADE_CHECK(ask(plan, input, {fmt::format("{}.*", l)}, wanted));
      return wanted;
    }
    const Hunt so_far = hunt(plan, input);
    if (so_far.over) return wanted;
    for (const size_t head : so_far.remaining(plan.heads())) {
      std::vector<size_t> together = so_far.kept;
      together.push_back(head);
      SACCADE_CHECK(ask(plan, input, targets_of(plan, together), wanted));
    }
    return wanted;
  }

  [[nodiscard]] Result<AnalysisResult> compute(const MethodInput& input,
                                               const JobContext& /*job*/) const override {
    SACCADE_TRY(const Plan plan, read_plan(input));
    const Hunt done = hunt(plan, input);
    if (done.rounds.empty())
      return make_error(ErrorCode::cancelled, "head-hunter was stopped before its first round was done");
    AnalysisResult result;
    result.method = info_.id;
    result.parameters = input.parameters;
    result.requests = {input.base.digest()};
    Field alone =
        head_field("alone", fmt::format("Change of the {} by the head alone", label_of(plan.metric)),
                   unit_of(plan.metric), ValueKind::signed_difference, plan.spec.n_layer, plan.spec.n_head,
                   input.base.digest());
    for (size_t head = 0; head < plan.heads(); ++head)
      alone.values.mutable_values()[head] = static_cast<float>(done.rounds[0].means[head] - done.baseline);
    result.fields.push_back(std::move(alone));
    result.tables = {chosen_table(plan, done), layers_table(plan, input, done),
                     heads_table(std::span(result.fields).first(1))};
    say(plan, input, done, result);
    return result;
  }

 private:
  static Table chosen_table(const Plan& plan, const Hunt& done) {
    Table table{"chosen", {"round", "head", "metric", "change", "guided"}, {}};
    for (size_t r = 0; r < done.rounds.size(); ++r) {
      const Round& round = done.rounds[r];
      if (!round.kept) continue;
      const auto at = std::find(round.candidates.begin(), round.candidates.end(), *round.kept);
      const double metric = round.means[static_cast<size_t>(at - round.candidates.begin())];
      table.rows.push_back({Cell(static_cast<int64_t>(r + 1)),
                            Cell(to_string(head_at(static_cast<int64_t>(*round.kept), plan.spec.n_head))),
                            Cell(metric), Cell(metric - done.baseline),
                            Cell(done.baseline + plan.guidance * (done.baseline - metric))});
    }
    return table;
  }

  static Table layers_table(const Plan& plan, const MethodInput& input, const Hunt& done) {
    Table table{"layers", {"layer", "metric", "change"}, {}};
    for (int32_t l = 0; l < plan.spec.n_layer; ++l) {
      const double metric = whole_mean(metrics(plan, input, (1 + static_cast<size_t>(l)) * plan.pairs()));
      table.rows.push_back({Cell(int64_t{l}), Cell(metric), Cell(metric - done.baseline)});
    }
    return table;
  }

  static void say(const Plan& plan, const MethodInput& input, const Hunt& done, AnalysisResult& result) {
    if (done.kept.empty()) {
      result.findings.push_back(fmt::format("{}: no head alone {}s the {} of {:.3g}.", plan.prompts.name,
                                            plan.lower ? "lower" : "raise", label_of(plan.metric),
                                            done.baseline));
      return;
    }
    std::string names;
    for (const std::string& name : targets_of(plan, done.kept)) names += (names.empty() ? "" : ", ") + name;
    result.findings.push_back(fmt::format(
        "{}: {} under {} of strength {:.2g} take the {} from {:.3g} to {:.3g}{}.", plan.prompts.name, names,
        plan.perturbation, plan.strength, label_of(plan.metric), done.baseline, done.reached,
        done.kept.size() < plan.most && done.over ? "; no further head adds to that" : ""));
    int32_t best = 0;
    double most = nan;
    for (int32_t l = 0; l < plan.spec.n_layer; ++l) {
      const double metric = whole_mean(metrics(plan, input, (1 + static_cast<size_t>(l)) * plan.pairs()));
      if (!(plan.gain(metric) <= plan.gain(most))) {
        most = metric;
        best = l;
      }
    }
    result.findings.push_back(
        fmt::format("Perturbing all {} heads of layer {}, the strongest layer, gives {:.3g}.",
                    plan.spec.n_head, best, most));
  }

  MethodInfo info_ = make_info();
};

}  // namespace

std::unique_ptr<AnalysisMethod> make_head_hunter() { return std::make_unique<HeadHunter>(); }

}  // namespace saccade
