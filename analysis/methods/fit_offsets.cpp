// fit-offsets: head offsets z := (1 + a) z + v that make the right answers more probable, from a few
// examples.
//
// gradient (LoFiT): stage 1 trains a for all heads with an L1 penalty and ranks heads by |a|_2; stage 2
// starts again and trains v on the best K. Loss: the mean of -ln p(right answers) at the last position of the
// clean prompts; Adam over the whole set at once. examples (training-free, after ITI): v = strength * spread
// * direction from the corrupted to the clean prompts' mean z at the last position, on the K heads that tell
// the two apart best. Outcomes of plan(): gradient: step by step a gradient of every prompt, then an answer
// of every prompt under the result; examples: clean runs, corrupted runs, then the answers without and with
// the result.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

#include "analysis/methods/head_fields.h"
#include "analysis/methods/metric.h"
#include "analysis/methods/offset_fit.h"
#include "analysis/methods/reference_runs.h"
#include "analysis/methods/registry.h"
#include "core/base/memory.h"
#include "core/capture/vector_writer.h"

namespace saccade {
namespace {

constexpr double nan = std::numeric_limits<double>::quiet_NaN();

struct Plan {
  PromptSet prompts;
  ModelSpec spec;
  bool by_gradient = true;
  size_t steps = 0, heads = 0;
  double rate = 0.0, penalty = 0.0, strength = 0.0;
  std::string out;

  [[nodiscard]] size_t pairs() const { return prompts.pairs.size(); }
  // Outcomes before the answers under the result.
  [[nodiscard]] size_t before() const { return (by_gradient ? 2 * steps : 3) * pairs(); }
};

Result<void> check_memory(const Plan& plan) {
  int64_t numbers = 0;
  for (const PromptPair& pair : plan.prompts.pairs)
    numbers += 2 * pair.clean.size() * int64_t{plan.spec.n_heads_total()} * plan.spec.d_head;
  const int64_t needed = numbers * static_cast<int64_t>(sizeof(float) * 2 * plan.steps);
  if (!plan.by_gradient || needed <= available_bytes()) return {};
  return make_error(
      ErrorCode::out_of_memory,
      fmt::format("{} steps over {} prompts need {}, {} are free; take fewer of either", 2 * plan.steps,
                  plan.pairs(), format_bytes(needed), format_bytes(available_bytes())));
}

Result<Plan> read_plan(const MethodInput& input) {
  const auto& p = input.parameters;
  SACCADE_CHECK(require_model(input, "fit-offsets"));
  Plan plan;
  plan.spec = input.model->spec();
  plan.by_gradient = p["fit"].get<std::string>() == "gradient";
  plan.steps = p["steps"].get<size_t>();
  plan.heads = std::min(p["heads"].get<size_t>(), static_cast<size_t>(plan.spec.n_heads_total()));
  plan.rate = p["rate"].get<double>();
  plan.penalty = p["penalty"].get<double>();
  plan.strength = p["strength"].get<double>();
  plan.out = p["out"].get<std::string>();
  SACCADE_TRY(plan.prompts, prompts_of(input));
  if (!plan.by_gradient && (!plan.prompts.has_corrupt() || plan.pairs() < 2))
    return make_error(ErrorCode::invalid_argument,
                      fmt::format("{}: fit=examples needs at least 2 prompts with corrupted twins, found {}",
                                  plan.prompts.name, plan.pairs()));
  SACCADE_CHECK(check_memory(plan));
  return plan;
}

// The request of a prompt under offsets.
RunRequest with_offsets(const Plan& plan, const MethodInput& input, const TokenSequence& tokens,
                        const std::shared_ptr<const VectorFile>& file) {
  RunRequest request = reference_request(input, tokens);
  request.capture = {};
  Edit edit;
  edit.verb = EditVerb::offset;
  edit.target = HeadTarget{};
  edit.from = plan.out.empty() ? "fitted" : plan.out;
  request.vectors[edit.from] = file;
  request.edits.push_back(std::move(edit));
  return request;
}

double length(const std::vector<double>& values) {
  return std::sqrt(std::inner_product(values.begin(), values.end(), values.begin(), 0.0));
}

std::vector<size_t> largest(const std::vector<double>& values, size_t count) {
  std::vector<size_t> order(values.size());
  std::iota(order.begin(), order.end(), size_t{0});
  std::stable_sort(order.begin(), order.end(), [&](size_t a, size_t b) { return values[a] > values[b]; });
  order.resize(std::min(order.size(), count));
  return order;
}

struct Fit {
  HeadOffsets offsets;
  std::vector<double> score;   // per head: |a| of stage 1, or the probe's accuracy
  std::vector<size_t> chosen;  // heads, best first; empty until they are chosen
  std::vector<double> losses;  // before each step, nats
  size_t done = 0;             // steps
};

// The training so far, made again from its gradients: outcomes are all that is kept between rounds.
Fit train(const Plan& plan, const MethodInput& input) {
  Fit fit;
  fit.offsets = HeadOffsets(plan.spec);
  Adam scales(plan.rate), shifts(plan.rate);
  for (; fit.done < 2 * plan.steps; ++fit.done) {
    HeadOffsets sums(plan.spec);
    double loss = 0.0;
    for (size_t pair = 0; pair < plan.pairs(); ++pair) {
      const GradientCapture* gradient = gradient_in(input.outcomes, fit.done * plan.pairs() + pair);
      if (gradient == nullptr) return fit;
      loss += gradient->scalar / static_cast<double>(plan.pairs());
      add_gradients(*gradient, plan.spec, fit.offsets, sums);
    }
    fit.losses.push_back(loss);
    const bool first_stage = fit.done < plan.steps;
    for (size_t head = 0; head < sums.a.size(); ++head) {
      const bool trained = std::find(fit.chosen.begin(), fit.chosen.end(), head) != fit.chosen.end();
      for (size_t d = 0; d < sums.a[head].size(); ++d) {
        const double a = fit.offsets.a[head][d], sign = a > 0.0 ? 1.0 : a < 0.0 ? -1.0 : 0.0;
        sums.a[head][d] = sums.a[head][d] / static_cast<double>(plan.pairs()) + plan.penalty * sign;
        sums.v[head][d] = trained ? sums.v[head][d] / static_cast<double>(plan.pairs()) : 0.0;
      }
    }
    if (first_stage)
      scales.step(fit.offsets.a, sums.a);
    else
      shifts.step(fit.offsets.v, sums.v);
    if (fit.done + 1 != plan.steps) continue;
    for (const std::vector<double>& a : fit.offsets.a) fit.score.push_back(length(a));
    fit.chosen = largest(fit.score, plan.heads);
    fit.offsets = HeadOffsets(plan.spec);
  }
  return fit;
}

// The training-free offsets; nothing chosen where runs are missing.
Fit from_examples(const Plan& plan, const MethodInput& input) {
  Fit fit;
  fit.offsets = HeadOffsets(plan.spec);
  for (size_t i = 0; i < 2 * plan.pairs(); ++i)
    if (run_in(input.outcomes, i) == nullptr) return fit;
  std::vector<HeadProbe> probes;
  for (int64_t head = 0; head < plan.spec.n_heads_total(); ++head) {
    std::vector<std::vector<double>> sides[2];
    for (size_t i = 0; i < 2 * plan.pairs(); ++i) {
      const std::span<const float> z =
          last_z(*run_in(input.outcomes, i)->capture, head_at(head, plan.spec.n_head));
      sides[i < plan.pairs() ? 0 : 1].emplace_back(z.begin(), z.end());
    }
    probes.push_back(probe_head(sides[0], sides[1]));
    fit.score.push_back(probes.back().accuracy);
  }
  fit.chosen = largest(fit.score, plan.heads);
  for (const size_t head : fit.chosen)
    for (size_t d = 0; d < probes[head].direction.size(); ++d)
      fit.offsets.v[head][d] = plan.strength * probes[head].spread * probes[head].direction[d];
  return fit;
}

// -ln p(right) of the answers from `first` on, mean; NaN where one is missing.
double loss_of(const Plan& plan, const MethodInput& input, size_t first) {
  double sum = 0.0;
  for (size_t pair = 0; pair < plan.pairs(); ++pair) {
    const KeptAnswer* answer = answer_in(input.outcomes, first + pair);
    if (answer == nullptr) return nan;
    sum += value_of(Metric::loss, *answer, plan.prompts.pairs[pair]) / static_cast<double>(plan.pairs());
  }
  return sum;
}

MethodInfo make_info() {
  MethodInfo info;
  info.id = "fit-offsets";
  info.title = "Head offsets from a few examples";
  info.summary =
      "Finds a few heads and an offset for each that make the right answers more probable, and writes them "
      "for the "
      "`offset` edit.";
  info.citation =
      "Yin et al. 2024 (LoFiT, arXiv 2406.01563), two stages; fit=examples is own, after Li et al. 2023 "
      "(ITI, arXiv "
      "2306.03341)";
  info.parameters = {
      choice("fit", "Fit",
             "gradient: LoFiT's two stages; examples: clean against corrupted, without training.",
             {"gradient", "examples"}),
      {"heads", "Heads", "How many get an offset.", 4, 1, 100000},
      {"steps", "Steps", "Of each stage; one pass over the prompts each.", 10, 1, 500},
      {"rate", "Learning rate", "Adam's.", 0.01, 0.0, 1.0},
      {"penalty", "Penalty", "On the sum of |a| in stage 1.", 0.001, 0.0, 10.0},
      {"strength", "Strength", "Of fit=examples, in standard deviations.", 5.0, 0.0, 20.0},
      {"out", "File", "HDF5 file to write; empty: none.", "", 0.0, 0.0, {}, true}};
  for (ParameterInfo& parameter : prompt_parameters()) info.parameters.push_back(std::move(parameter));
  return info;
}

class FitOffsets final : public AnalysisMethod {
 public:
  [[nodiscard]] const MethodInfo& info() const override { return info_; }

  [[nodiscard]] Result<std::vector<Wanted>> plan(const MethodInput& input) const override {
    SACCADE_TRY(const Plan plan, read_plan(input));
    std::vector<Wanted> wanted;
    const size_t known = input.outcomes.size();
    if (known > plan.before()) return wanted;
    if (!plan.by_gradient && known == 0) {
      for (const bool corrupt : {false, true})
        for (const PromptPair& pair : plan.prompts.pairs)
          wanted.emplace_back(RunWanted{reference_request(input, corrupt ? pair.corrupt : pair.clean)});
      return wanted;
    }
    const Fit fit = plan.by_gradient ? train(plan, input) : from_examples(plan, input);
    const std::shared_ptr<const VectorFile> file = fit.offsets.file(plan.spec);
    if (known == plan.before()) return answers(plan, input, file);
    if (!plan.by_gradient) return answers(plan, input, nullptr);
    for (const PromptPair& pair : plan.prompts.pairs) {
      GradientRequest request;
      request.run = with_offsets(plan, input, pair.clean, file);
      request.scalar = scalar_of(Metric::loss, pair);
      for (int32_t l = 0; l < plan.spec.n_layer; ++l) request.sites.push_back({HookSite::z, l});
      wanted.emplace_back(GradientWanted{std::move(request)});
    }
    return wanted;
  }

  [[nodiscard]] Result<AnalysisResult> compute(const MethodInput& input,
                                               const JobContext& /*job*/) const override {
    SACCADE_TRY(const Plan plan, read_plan(input));
    const Fit fit = plan.by_gradient ? train(plan, input) : from_examples(plan, input);
    if (fit.chosen.empty())
      return make_error(ErrorCode::cancelled, "fit-offsets was stopped before its heads were chosen");
    const double before = plan.by_gradient ? fit.losses.at(0) : loss_of(plan, input, 2 * plan.pairs());
    const double after = loss_of(plan, input, plan.before());
    AnalysisResult result;
    result.method = info_.id;
    result.parameters = input.parameters;
    result.requests = {input.base.digest()};
    add_results(plan, input, fit, result);
    const std::string what = fmt::format("{}: offsets on {} of {} heads", plan.prompts.name,
                                         fit.chosen.size(), plan.spec.n_heads_total());
    result.findings.push_back(
        std::isnan(after) || std::isnan(before)
            ? what + "; stopped before what they do to the loss was measured."
            : what + fmt::format(
                         " take the loss of the right answers from {:.3g} to {:.3g} nats on the {} prompts "
                         "they were fitted to; on others it may not hold.",
                         before, after, plan.pairs()));
    if (plan.by_gradient && fit.done < 2 * plan.steps)
      result.findings.push_back(fmt::format("Stopped after {} of {} steps.", fit.done, 2 * plan.steps));
    if (!plan.out.empty()) {
      SACCADE_CHECK(write_vectors(*fit.offsets.file(plan.spec), "d_head", plan.out));
      result.findings.push_back(fmt::format("Written to {}: try `offset *.* from={}`.", plan.out, plan.out));
    }
    return result;
  }

 private:
  static std::vector<Wanted> answers(const Plan& plan, const MethodInput& input,
                                     const std::shared_ptr<const VectorFile>& file) {
    std::vector<Wanted> wanted;
    for (const PromptPair& pair : plan.prompts.pairs) {
      AnswerWanted answer;
      answer.request =
          file ? with_offsets(plan, input, pair.clean, file) : reference_request(input, pair.clean);
      answer.request.capture = {};
      answer.ids = ids_of(pair);
      wanted.emplace_back(std::move(answer));
    }
    return wanted;
  }

  static void add_results(const Plan& plan, const MethodInput& input, const Fit& fit,
                          AnalysisResult& result) {
    const auto field = [&](const char* name, const char* label, const std::vector<double>& values) {
      Field made = head_field(name, label, "", ValueKind::magnitude, plan.spec.n_layer, plan.spec.n_head,
                              input.base.digest());
      std::transform(values.begin(), values.end(), made.values.mutable_values().begin(),
                     [](double value) { return static_cast<float>(value); });
      result.fields.push_back(std::move(made));
    };
    std::vector<double> lengths;
    for (const std::vector<double>& v : fit.offsets.v) lengths.push_back(length(v));
    field("score", plan.by_gradient ? "Length of a in stage 1" : "Accuracy of telling clean from corrupted",
          fit.score);
    field("offset", "Length of the offset v", lengths);
    result.tables.push_back(heads_table(result.fields));
    Table losses{"losses", {"step", "stage", "loss"}, {}};
    for (size_t step = 0; step < fit.losses.size(); ++step)
      losses.rows.push_back({Cell(static_cast<int64_t>(step)), Cell(int64_t{step < plan.steps ? 1 : 2}),
                             Cell(fit.losses[step])});
    if (!losses.rows.empty()) result.tables.push_back(std::move(losses));
  }

  MethodInfo info_ = make_info();
};

}  // namespace

std::unique_ptr<AnalysisMethod> make_fit_offsets() { return std::make_unique<FitOffsets>(); }

}  // namespace saccade
