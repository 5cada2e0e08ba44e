// retrieval: which heads copy a needle out of a haystack, and whether the answer is lost without them.
//
// Round 1 decodes the answer of every needle at every length and depth, with every head's strongest key at
// every step. Round 2 decodes again with the strongest heads masked, and with as many random others.
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cmath>

#include "analysis/methods/head_fields.h"
#include "analysis/methods/needle_plan.h"
#include "analysis/methods/registry.h"
#include "analysis/statistics/rank.h"

namespace saccade {
namespace {

using namespace needles;  // NOLINT(google-build-using-namespace): its own part

constexpr double retrieval_head = 0.1;  // mean score from which the paper calls a head one
constexpr size_t most_step_rows = 4000;

MethodInfo make_info() {
  MethodInfo info;
  info.id = "retrieval";
  info.title = "Retrieval heads";
  info.summary =
      "Hides needles in a haystack, scores every head by how it copies them into the answer, and masks the "
      "strongest beside random others.";
  info.citation =
      "Wu et al. 2024, Retrieval Head (arXiv 2404.15574); count: as its program counts, set: as its paper "
      "defines; controls truly exclude the masked heads";
  info.parameters = needle_parameters();
  ParameterInfo read{"read", "Score file", "Rank heads by this file of {\"layer-head\": [scores]} instead.",
                     ""};
  ParameterInfo write{"write", "Write scores to", "A file to write the scores to, in the same form.", ""};
  read.is_file = write.is_file = true;
  for (ParameterInfo& parameter : std::vector<ParameterInfo>{
           choice("score", "Score",
                  "set: distinct keys hit; count: every hit. Both over the answer's length.",
                  {"set", "count"}),
           {"mask", "Masked heads", "How many of the strongest are masked; 0: no causal test.", 3, 0, 1000},
           choice(
               "mode", "Mask",
               "uniform-decode: equal weights on every visible key while decoding (as the paper's program); "
               "uniform-all: in the prompt too; zero-output: z is 0 everywhere.",
               {"uniform-decode", "uniform-all", "zero-output"}),
           {"controls", "Random controls", "How many sets of as many other heads are masked beside them.", 3,
            0, 100},
           {"seed", "Seed", "Of the random controls.", 1, 0, 1e9},
           std::move(read),
           std::move(write)})
    info.parameters.push_back(std::move(parameter));
  return info;
}

// What is decoded with heads masked: the strongest first, then the controls, each on every test case.
struct Test {
  std::vector<std::vector<size_t>> sets;
  std::vector<size_t> cases;
};

Edit mask_of(HeadId head, const std::string& mode, int64_t prompt_length) {
  Edit edit;
  edit.target = target_of(head);
  if (mode == "zero-output") return edit;
  edit.verb = EditVerb::uniform;
  if (mode == "uniform-decode") edit.query = PositionRange{prompt_length - 1, PositionRange::open_end};
  return edit;
}

class Retrieval final : public AnalysisMethod {
 public:
  [[nodiscard]] const MethodInfo& info() const override { return info_; }

  [[nodiscard]] Result<std::vector<Wanted>> plan(const MethodInput& input) const override {
    SACCADE_TRY(const Plan plan, read_plan(input));
    std::vector<Wanted> wanted;
    if (input.outcomes.empty()) {
      SACCADE_TRY(const ScoresOfHeads given, given_scores(input));  // refused before any work
      for (const Case& one : plan.cases) wanted.emplace_back(generation(plan, one, input, {}, true));
      return wanted;
    }
    if (input.outcomes.size() > plan.cases.size()) return wanted;
    SACCADE_TRY(const Samples samples, scored(plan, input));
    const Test test = test_of(plan, input, samples);
    const auto mode = input.parameters["mode"].get<std::string>();
    for (const auto& set : test.sets)
      for (const size_t index : test.cases) {
        const Case& one = plan.cases[index];
        std::vector<Edit> edits;
        for (const size_t head : set)
          edits.push_back(mask_of(head_at(static_cast<int64_t>(head), input.model->spec().n_head), mode,
                                  one.prompt.tokens.size()));
        wanted.emplace_back(generation(plan, one, input, edits, false));
      }
    return wanted;
  }

  [[nodiscard]] Result<AnalysisResult> compute(const MethodInput& input,
                                               const JobContext& /*job*/) const override {
    SACCADE_TRY(const Plan plan, read_plan(input));
    SACCADE_TRY(const Samples samples, scored(plan, input));
    AnalysisResult result;
    result.method = info_.id;
    result.parameters = input.parameters;
    result.requests = {input.base.digest()};
    result.findings.push_back(describe(plan, samples));
    result.partial = samples.missing > 0;
    add_scores(samples, input, result);
    add_stability(plan, samples, input, result);
    const Test test = test_of(plan, input, samples);
    add_test(plan, test, input, result);
    add_samples(plan, input, result);
    add_steps(plan, samples, input, result);
    if (const auto file = input.parameters["write"].get<std::string>();
        !file.empty() && !samples.kept.empty() && !result.partial)
      SACCADE_CHECK(write_head_scores(file, samples.scores, input.model->spec()));
    return result;
  }

 private:
  // Empty without a file.
  static Result<ScoresOfHeads> given_scores(const MethodInput& input) {
    const auto file = input.parameters["read"].get<std::string>();
    if (file.empty()) return ScoresOfHeads();
    return read_head_scores(file, input.model->spec());
  }

  // The file's scores take the place of those decoded, where one is given.
  static Result<Samples> scored(const Plan& plan, const MethodInput& input) {
    const bool count = input.parameters["score"] == "count";
    Samples samples = score_samples(plan, input, count ? ScoreKind::count : ScoreKind::set);
    SACCADE_TRY(ScoresOfHeads given, given_scores(input));
    if (!given.empty()) samples.scores = std::move(given);
    return samples;
  }

  static Test test_of(const Plan& plan, const MethodInput& input, const Samples& samples) {
    Test test;
    const bool own_needles = std::any_of(plan.set.needles.begin(), plan.set.needles.end(),
                                         [](const Needle& needle) { return needle.test; });
    for (size_t i = 0; i < plan.cases.size(); ++i)
      if (plan.needle(plan.cases[i]).test == own_needles) test.cases.push_back(i);
    const std::vector<double> means = means_of(samples.scores);
    const auto count = std::min(input.parameters["mask"].get<size_t>(), means.size());
    if (count == 0 || *std::max_element(means.begin(), means.end()) <= 0.0) return test;
    std::vector<size_t> strongest = ranking(means);
    strongest.resize(count);
    test.sets.push_back(strongest);
    const auto seed = input.parameters["seed"].get<uint64_t>();
    for (uint64_t draw = 0; draw < input.parameters["controls"].get<uint64_t>(); ++draw)
      test.sets.push_back(draw_others(means.size(), strongest, count, seed * 1000 + draw));
    return test;
  }

  static void add_scores(const Samples& samples, const MethodInput& input, AnalysisResult& result) {
    const ModelSpec& spec = input.model->spec();
    const auto field = [&](const char* name, const char* label) {
      return head_field(name, label, "", ValueKind::magnitude, spec.n_layer, spec.n_head,
                        input.base.digest());
    };
    Field score = field("retrieval", "Retrieval score"), spread = field("spread", "Its standard deviation");
    const std::vector<double> means = means_of(samples.scores);
    for (size_t head = 0; head < means.size(); ++head) {
      score.values.mutable_values()[head] = static_cast<float>(means[head]);
      spread.values.mutable_values()[head] = static_cast<float>(deviation_of(samples.scores[head]));
    }
    result.fields = {std::move(score), std::move(spread)};
    Table table = heads_table(result.fields);
    table.columns.emplace_back("samples");
    for (size_t head = 0; head < means.size(); ++head)
      table.rows[head].emplace_back(static_cast<int64_t>(samples.scores[head].size()));
    result.tables.push_back(std::move(table));
    if (*std::max_element(means.begin(), means.end()) <= 0.0) return;
    const auto share = [&](auto&& in) {
      return 100.0 * static_cast<double>(std::count_if(means.begin(), means.end(), in)) /
             static_cast<double>(means.size());
    };
    const size_t best = ranking(means).front();
    result.findings.push_back(fmt::format(
        "{:.1f} % of {} heads are retrieval heads (mean score at least {}), {:.1f} % score over 0.5, {:.1f} "
        "% "
        "exactly 0; the strongest is {} with {:.3f} ± {:.3f} (standard deviation over {} samples).",
        share([](double mean) { return mean >= retrieval_head; }), means.size(), retrieval_head,
        share([](double mean) { return mean > 0.5; }), share([](double mean) { return mean == 0.0; }),
        to_string(head_at(static_cast<int64_t>(best), spec.n_head)), means[best],
        deviation_of(samples.scores[best]), samples.scores[best].size()));
  }

  // Whether other contexts name the same heads: every second kept sample against the rest.
  static void add_stability(const Plan& plan, const Samples& samples, const MethodInput& input,
                            AnalysisResult& result) {
    if (samples.kept.size() < 4 || !input.parameters["read"].get<std::string>().empty()) return;
    std::vector<double> halves[2];
    for (const auto& scores : samples.scores) {
      double sums[2] = {0.0, 0.0}, counts[2] = {0.0, 0.0};
      for (size_t i = 0; i < scores.size(); ++i) {
        const size_t half = half_of(plan, samples, i);
        sums[half] += scores[i];
        counts[half] += 1.0;
      }
      for (const size_t half : {0, 1})
        halves[half].push_back(counts[half] > 0.0 ? sums[half] / counts[half] : 0.0);
    }
    const double r = pearson(halves[0], halves[1]);
    if (std::isnan(r)) return;
    result.findings.push_back(fmt::format(
        "Half of the contexts give the same heads as the other half: their scores correlate with r = {:.3f}.",
        r));
  }

  // Neighbouring depths fall into different halves.
  static size_t half_of(const Plan& plan, const Samples& samples, size_t sample) {
    const Case& one = plan.cases[samples.kept[sample]];
    return (one.needle + one.length + one.depth) % 2;
  }

  // Mean recall of the test cases at each length and depth; their generations begin at `first` when masked.
  static Field recall_grid(const Plan& plan, const Test& test, const MethodInput& input, const char* name,
                           const char* label, const std::vector<size_t>& firsts) {
    Field field{
        name,
        label,
        "",
        ValueKind::probability,
        {{AxisKind::other, "length", {}}, {AxisKind::other, "depth", {}}},
        HostTensor({static_cast<int64_t>(plan.lengths.size()), static_cast<int64_t>(plan.depths.size())}),
        input.base.digest()};
    for (const int64_t length : plan.lengths) field.axes[0].labels.push_back(std::to_string(length));
    for (const double depth : plan.depths)
      field.axes[1].labels.push_back(fmt::format("{:.0f} %", 100 * depth));
    std::vector<std::vector<double>> cells(static_cast<size_t>(field.values.size()));
    for (size_t i = 0; i < test.cases.size(); ++i) {
      const Case& one = plan.cases[test.cases[i]];
      for (const size_t first : firsts.empty() ? std::vector<size_t>{test.cases[i] - i} : firsts)
        cells[one.length * plan.depths.size() + one.depth].push_back(
            recall_of(plan, one, decoded(input, first + i)));
    }
    for (size_t cell = 0; cell < cells.size(); ++cell)
      field.values.mutable_values()[cell] = static_cast<float>(mean_interval(cells[cell]).mean);
    return field;
  }

  static std::vector<double> recalls(const Plan& plan, const Test& test, const MethodInput& input,
                                     size_t first) {
    std::vector<double> values;
    for (size_t i = 0; i < test.cases.size(); ++i)
      values.push_back(recall_of(plan, plan.cases[test.cases[i]], decoded(input, first + i)));
    return values;
  }

  static void add_test(const Plan& plan, const Test& test, const MethodInput& input, AnalysisResult& result) {
    result.fields.push_back(recall_grid(plan, test, input, "recall", "Recall of the answer", {}));
    if (test.sets.empty()) return;
    const auto first_of = [&](size_t set) { return plan.cases.size() + set * test.cases.size(); };
    std::vector<double> before;
    for (const size_t index : test.cases)
      before.push_back(recall_of(plan, plan.cases[index], decoded(input, index)));
    Table table{"masked", {"set", "heads", "recall", "half_interval", "answered"}, {}};
    const auto row = [&](const std::string& set, const std::string& heads,
                         const std::vector<double>& values) {
      const MeanInterval mean = mean_interval(values);
      const auto answered =
          std::count_if(values.begin(), values.end(), [](double value) { return value > least_recall; });
      table.rows.push_back({set, heads, mean.mean, mean.half_width, static_cast<int64_t>(answered)});
      return mean.mean;
    };
    const double intact = row("none", "", before);
    std::vector<double> controls;
    std::vector<size_t> firsts;
    double masked = std::nan("");
    for (size_t s = 0; s < test.sets.size(); ++s) {
      std::vector<std::string> names;
      for (const size_t head : test.sets[s])
        names.push_back(to_string(head_at(static_cast<int64_t>(head), input.model->spec().n_head)));
      const double mean =
          row(s == 0 ? "strongest" : fmt::format("random {}", s), fmt::format("{}", fmt::join(names, " ")),
              recalls(plan, test, input, first_of(s)));
      if (s == 0) masked = mean;
      if (s > 0) controls.push_back(mean);
      if (s > 0) firsts.push_back(first_of(s));
    }
    result.fields.push_back(
        recall_grid(plan, test, input, "recall_masked", "Recall, strongest heads masked", {first_of(0)}));
    if (!firsts.empty())
      result.fields.push_back(
          recall_grid(plan, test, input, "recall_random", "Recall, as many random others masked", firsts));
    add_causal_finding(test, input, intact, masked, controls, result);
    result.tables.push_back(std::move(table));
  }

  static void add_causal_finding(const Test& test, const MethodInput& input, double intact, double masked,
                                 const std::vector<double>& controls, AnalysisResult& result) {
    if (std::isnan(masked) || std::isnan(intact)) return;
    std::string text =
        fmt::format("Masking the {} strongest ({}) takes the recall from {:.2f} to {:.2f}",
                    test.sets[0].size(), input.parameters["mode"].get<std::string>(), intact, masked);
    const MeanInterval control = mean_interval(controls);
    if (control.count > 0)
      text +=
          fmt::format("; masking as many random others, to {:.2f} on average ({:.2f} to {:.2f} in {} draws)",
                      control.mean, *std::min_element(controls.begin(), controls.end()),
                      *std::max_element(controls.begin(), controls.end()), control.count);
    result.findings.push_back(text + fmt::format(", on {} prompts.", test.cases.size()));
    if (intact <= least_recall)
      result.findings.push_back(
          "The test needles are hardly answered with every head intact, so masking shows little: use shorter "
          "contexts or other needles.");
    if (test.sets.size() > 1 && test.sets[1].size() < test.sets[0].size())
      result.findings.push_back(fmt::format(
          "Only {} heads are left for the random controls: mask fewer heads.", test.sets[1].size()));
  }

  static void add_samples(const Plan& plan, const MethodInput& input, AnalysisResult& result) {
    Table table{"samples", {"needle", "length", "tokens", "depth", "response", "recall"}, {}};
    for (size_t i = 0; i < plan.cases.size(); ++i) {
      const Case& one = plan.cases[i];
      const Generation* generation = decoded(input, i);
      if (generation == nullptr) continue;
      table.rows.push_back({static_cast<int64_t>(one.needle), plan.lengths[one.length],
                            one.prompt.tokens.size(), plan.depths[one.depth], generation->text,
                            recall_of(plan, one, generation)});
    }
    result.tables.push_back(std::move(table));
  }

  // Where the strongest heads looked while each answer was decoded.
  static void add_steps(const Plan& plan, const Samples& samples, const MethodInput& input,
                        AnalysisResult& result) {
    Table table{
        "steps",
        {"needle", "length", "depth", "step", "produced", "head", "key", "key_token", "weight", "hit"},
        {}};
    std::vector<size_t> heads = ranking(means_of(samples.scores));
    heads.resize(std::min<size_t>(heads.size(), std::max<size_t>(1, input.parameters["mask"].get<size_t>())));
    bool cut = false;
    for (const size_t index : samples.kept) {
      const Case& one = plan.cases[index];
      const Generation& generation = *decoded(input, index);
      const std::vector<int32_t> prompt = one.prompt.tokens.ids();
      std::vector<int32_t> produced;
      for (const Token& token : generation.tokens) produced.push_back(token.id);
      const DecodedAnswer answer{prompt, one.prompt.span, produced, generation.steps};
      for (size_t step = 0; step < generation.steps.size(); ++step)
        for (const size_t head : heads) {
          cut = cut || table.rows.size() >= most_step_rows;
          if (cut) break;
          const auto key = static_cast<size_t>(std::max(generation.steps[step].max_key[head], 0));
          const std::string seen = key < prompt.size() ? display_text(one.prompt.tokens.tokens[key])
                                                       : display_text(generation.tokens[key - prompt.size()]);
          table.rows.push_back(
              {static_cast<int64_t>(one.needle), plan.lengths[one.length], plan.depths[one.depth],
               static_cast<int64_t>(step), display_text(generation.tokens[step]),
               to_string(head_at(static_cast<int64_t>(head), input.model->spec().n_head)),
               static_cast<int64_t>(key), seen, static_cast<double>(generation.steps[step].max_weight[head]),
               int64_t{hits(answer, step, head)}});
        }
    }
    if (cut) result.findings.push_back(fmt::format("The table of steps ends after {} rows.", most_step_rows));
    result.tables.push_back(std::move(table));
  }

  MethodInfo info_ = make_info();
};

}  // namespace

std::unique_ptr<AnalysisMethod> make_retrieval() { return std::make_unique<Retrieval>(); }

}  // namespace saccade
