// act-filter: which heads answer better when their sinks are calibrated (ACT).
//
// Round 1 runs every labelled text and finds each head's sinks in it; round 2 answers every text with one
// head at a time calibrated; round 3 with all heads together whose calibration raised the accuracy, with the
// heads of a published list, and with as many random others as the control. Accuracy compares a dataset's
// labels only; the mean over datasets decides, as in ACT's offline filter.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "analysis/methods/act_filter_plan.h"
#include "analysis/methods/head_fields.h"
#include "analysis/methods/registry.h"

namespace saccade {
namespace {

using namespace act;  // NOLINT(google-build-using-namespace): its own part

constexpr double nan = std::numeric_limits<double>::quiet_NaN();

MethodInfo make_info() {
  MethodInfo info;
  info.id = "act-filter";
  info.title = "Heads that answer better when calibrated";
  info.summary =
      "Calibrates the attention sinks of one head at a time (ACT) on your labelled texts; accuracy before "
      "and "
      "after, overall and by dataset, and the heads to keep.";
  info.citation =
      "Yu et al. 2024 (arXiv 2406.15765): offline head filter; heads are kept whose calibration raises the "
      "mean accuracy over datasets";
  ParameterInfo file{"file", "Labelled texts",
                     "CSV or JSON: text, label, and dataset where there are several.", ""};
  ParameterInfo list{"list", "Head list", "Heads to calibrate together besides: JSON or names; empty: none.",
                     ""};
  file.is_file = list.is_file = true;
  info.parameters = {
      file,
      {"heads", "Heads", "auto (layers 2 to the last but one, where there are 8), or a target like 5-7.*.",
       "auto"},
      list,
      {"list_first_layer", "List's first layer", "The layer of a nested list's first entry (ACT's lists: 2).",
       2, 0, 1000},
      {"texts", "Texts", "At most so many of each dataset (ACT: 900).", 100, 1, 100000},
      {"held_out", "Held out", "Share of the texts kept aside to judge the chosen heads on.", 0.0, 0.0, 0.9},
      {"controls", "Random controls", "How many sets of as many other heads are calibrated beside them.", 3,
       0, 100},
      {"seed", "Seed", "Of what is drawn.", 1, 0, 1e9}};
  for (ParameterInfo& parameter : act::parameters()) info.parameters.push_back(std::move(parameter));
  return info;
}

// What the answers of the second round say, head by head.
struct Singles {
  std::vector<double> change;                   // mean over datasets; NaN = not done
  std::vector<std::vector<double>> by_dataset;  // [head][dataset]
  std::vector<double> with_sinks;               // share of texts in which the head has one
};

class ActFilter final : public AnalysisMethod {
 public:
  [[nodiscard]] const MethodInfo& info() const override { return info_; }

  [[nodiscard]] Result<std::vector<Wanted>> plan(const MethodInput& input) const override {
    SACCADE_TRY(const FilterPlan plan, read_filter_plan(input));
    const Filter filter(plan, input);
    std::vector<Wanted> wanted;
    if (input.outcomes.empty()) {
      for (const size_t text : plan.texts) {
        RunRequest request = input.base;
        request.tokens = plan.set.texts[text].tokens;
        request.edits.clear();
        request.references.clear();
        request.vectors.clear();
        request.capture = CapturePlan{};
        request.capture.attention = request.capture.residuals = request.capture.loss = false;
        wanted.emplace_back(RunWanted{std::move(request)});
      }
      return wanted;
    }
    SACCADE_TRY(const auto pairs, filter.singles());
    if (input.outcomes.size() == filter.runs() && !pairs.empty()) {
      for (const auto& [head, text] : pairs) {
        SACCADE_TRY(AnswerWanted answer, filter.answer({plan.heads[head]}, text));
        wanted.emplace_back(std::move(answer));
      }
    } else if (input.outcomes.size() == filter.runs() + pairs.size()) {
      for (const HeadSet& set : filter.sets(read_singles(plan, filter, pairs, input).change))
        for (const size_t text : plan.judge) {
          SACCADE_TRY(AnswerWanted answer, filter.answer(set.heads, text));
          if (!answer.request.edits.empty()) wanted.emplace_back(std::move(answer));
        }
    }
    return wanted;
  }

  [[nodiscard]] Result<AnalysisResult> compute(const MethodInput& input,
                                               const JobContext& job) const override {
    SACCADE_CHECK(job.check());
    SACCADE_TRY(const FilterPlan plan, read_filter_plan(input));
    const Filter filter(plan, input);
    for (size_t text = 0; text < filter.runs(); ++text)
      if (filter.capture(text) == nullptr) return make_error(ErrorCode::cancelled, "cancelled");
    SACCADE_TRY(const auto pairs, filter.singles());
    const Singles singles = read_singles(plan, filter, pairs, input);
    AnalysisResult result;
    result.method = info_.id;
    result.parameters = input.parameters;
    result.requests = {input.base.digest()};
    add_heads(plan, singles, input, result);
    SACCADE_CHECK(add_sets(plan, filter, singles, pairs.size(), input, result));
    SACCADE_CHECK(add_edits(plan, singles, input, result));
    return result;
  }

 private:
  static Singles read_singles(const FilterPlan& plan, const Filter& filter,
                              const std::vector<std::pair<size_t, size_t>>& pairs, const MethodInput& input) {
    std::vector<double> before;
    for (const size_t text : plan.choose) before.push_back(filter.right_before(text) ? 1.0 : 0.0);
    const Accuracies baseline = accuracies(plan, plan.choose, before);
    Singles singles;
    size_t at = 0;
    for (size_t h = 0; h < plan.heads.size(); ++h) {
      std::vector<double> right = before;
      double sinks = 0.0;
      bool all = true;
      for (size_t i = 0; i < plan.choose.size(); ++i) {
        if (at >= pairs.size() || pairs[at] != std::pair(h, plan.choose[i])) continue;
        const size_t outcome = filter.runs() + at++;
        const auto* answer = answer_in(input.outcomes, outcome);
        all = all && answer != nullptr;
        if (answer != nullptr) right[i] = filter.right(*answer, plan.choose[i]) ? 1.0 : 0.0;
        sinks += 1.0;
      }
      const Accuracies after = accuracies(plan, plan.choose, right);
      singles.change.push_back(all ? after.mean - baseline.mean : nan);
      singles.with_sinks.push_back(sinks / static_cast<double>(plan.choose.size()));
      singles.by_dataset.emplace_back();
      for (size_t d = 0; d < after.of.size(); ++d)
        singles.by_dataset.back().push_back(all ? after.of[d] - baseline.of[d] : nan);
    }
    return singles;
  }

  static void add_heads(const FilterPlan& plan, const Singles& singles, const MethodInput& input,
                        AnalysisResult& result) {
    const ModelSpec& spec = input.model->spec();
    const auto add = [&](const std::string& name, const std::string& label, ValueKind kind,
                         const auto& value) {
      Field field = head_field(name, label, "", kind, spec.n_layer, spec.n_head, input.base.digest());
      auto values = field.values.mutable_values();
      std::fill(values.begin(), values.end(), static_cast<float>(nan));
      for (size_t h = 0; h < plan.heads.size(); ++h)
        values[static_cast<size_t>(int64_t{plan.heads[h].layer.value} * spec.n_head +
                                   plan.heads[h].head.value)] = static_cast<float>(value(h));
      result.fields.push_back(std::move(field));
    };
    add("accuracy_change", "Change of accuracy, calibrated alone", ValueKind::signed_difference,
        [&](size_t h) { return singles.change[h]; });
    add("texts_with_sinks", "Share of texts with a sink after the start", ValueKind::probability,
        [&](size_t h) { return singles.with_sinks[h]; });
    for (size_t d = 0; plan.set.datasets.size() > 1 && d < plan.set.datasets.size(); ++d)
      add("change_" + plan.set.datasets[d], "Change of accuracy on " + plan.set.datasets[d],
          ValueKind::signed_difference, [&](size_t h) { return singles.by_dataset[h][d]; });
    result.tables.push_back(heads_table(result.fields));
  }

  // The sets of heads on the texts to judge on: by dataset, then their mean.
  static Result<void> add_sets(const FilterPlan& plan, const Filter& filter, const Singles& singles,
                               size_t pairs, const MethodInput& input, AnalysisResult& result) {
    std::vector<double> before;
    for (const size_t text : plan.judge) before.push_back(filter.right_before(text) ? 1.0 : 0.0);
    const Accuracies baseline = accuracies(plan, plan.judge, before);
    Table table{"accuracy", {"heads", "count"}, {}};
    for (const std::string& dataset : plan.set.datasets)
      table.columns.push_back(dataset.empty() ? "accuracy" : dataset);
    table.columns.emplace_back("mean");
    const auto add = [&](const std::string& name, size_t count, const Accuracies& values) {
      std::vector<Cell> row{name, static_cast<int64_t>(count)};
      for (const double value : values.of) row.emplace_back(value);
      row.emplace_back(values.mean);
      table.rows.push_back(std::move(row));
    };
    add("as it is", 0, baseline);
    size_t at = filter.runs() + pairs;
    std::vector<double> chosen, random;
    for (const HeadSet& set : filter.sets(singles.change)) {
      std::vector<double> right = before;
      for (size_t i = 0; i < plan.judge.size(); ++i) {
        SACCADE_TRY(const std::vector<Edit> edits, filter.edits(set.heads, plan.judge[i]));
        if (edits.empty()) continue;
        const size_t outcome = at++;
        const auto* answer = answer_in(input.outcomes, outcome);
        right[i] = answer == nullptr ? nan : filter.right(*answer, plan.judge[i]) ? 1.0 : 0.0;
      }
      const Accuracies after = accuracies(plan, plan.judge, right);
      add(set.name, set.heads.size(), after);
      if (set.name == "chosen") chosen.push_back(after.mean);
      if (set.name == "random") random.push_back(after.mean);
    }
    result.tables.push_back(std::move(table));
    say(plan, singles, baseline.mean, chosen, random, pairs, result);
    return {};
  }

  static void say(const FilterPlan& plan, const Singles& singles, double baseline,
                  const std::vector<double>& chosen, const std::vector<double>& random, size_t pairs,
                  AnalysisResult& result) {
    const auto better =
        std::count_if(singles.change.begin(), singles.change.end(), [](double c) { return c > 0.0; });
    if (pairs == 0) {
      result.findings.push_back(
          fmt::format("No head has a sink after the first token in any of the {} texts (threshold {:.3g}): "
                      "there is nothing to calibrate; lower the threshold.",
                      plan.texts.size(), plan.settings.threshold));
      return;
    }
    result.findings.push_back(
        fmt::format("Calibrating one head at a time raises the mean accuracy for {} of {} heads (from {:.1f} "
                    "% on {} texts).",
                    better, plan.heads.size(), 100.0 * baseline, plan.choose.size()));
    if (chosen.empty() || std::isnan(chosen[0])) return;
    const MeanInterval others = mean_interval(random);
    result.findings.push_back(fmt::format(
        "All {} of them together: {:.1f} % on {}{}.", better, 100.0 * chosen[0],
        plan.held_out ? fmt::format("{} texts held out, {:.1f} % before", plan.judge.size(), 100.0 * baseline)
                      : std::string("the texts they were chosen on, which flatters them (set held_out)"),
        others.count > 0 ? fmt::format("; as many others, drawn at random {} times: {:.1f} %", others.count,
                                       100.0 * others.mean)
                         : std::string()));
  }

  // The chosen heads, and their edits for the run that is looked at.
  static Result<void> add_edits(const FilterPlan& plan, const Singles& singles, const MethodInput& input,
                                AnalysisResult& result) {
    Table chosen{"chosen", {"head", "change", "edit"}, {}};
    const Capture& capture = *input.capture;
    const auto settings = plan.settings.for_tokens(capture.n_token());
    for (size_t h = 0; h < plan.heads.size(); ++h) {
      if (!(singles.change[h] > 0.0)) continue;
      const HeadId head = plan.heads[h];
      std::string edit;
      const HostTensor& all = capture.layers[static_cast<size_t>(head.layer.value)]->statistics.received;
      if (settings.ok() && !all.empty()) {
        const auto received = all.slice(head.head.value);
        edit = edit_text(
            head, sinks_of(column_means(capture.spec, head.layer.value, received), received, *settings).keys,
            settings->beta);
      }
      chosen.rows.push_back({to_string(head), singles.change[h], edit});
    }
    std::stable_sort(chosen.rows.begin(), chosen.rows.end(), [](const auto& a, const auto& b) {
      return std::get<double>(a[1]) > std::get<double>(b[1]);
    });
    result.tables.push_back(std::move(chosen));
    return {};
  }

  MethodInfo info_ = make_info();
};

}  // namespace

std::unique_ptr<AnalysisMethod> make_act_filter() { return std::make_unique<ActFilter>(); }

}  // namespace saccade
