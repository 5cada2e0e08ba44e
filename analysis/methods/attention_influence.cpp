// attention-influence: how much the loss of a text grows without the heads that retrieve.
//
// Round 1 scores the heads on needles (or a file says the scores); round 2 runs every document as it is, with
// the strongest heads attending uniformly, and with as many random others.
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>

#include "analysis/methods/head_fields.h"
#include "analysis/methods/influence.h"
#include "analysis/methods/needle_plan.h"
#include "analysis/methods/registry.h"
#include "core/base/files.h"

namespace saccade {
namespace {

using namespace needles;  // NOLINT(google-build-using-namespace): its own part

MethodInfo make_info() {
  MethodInfo info;
  info.id = "attention-influence";
  info.title = "What texts need retrieval heads";
  info.summary =
      "Compares the loss of texts with the retrieval heads attending uniformly, and with as many random "
      "others.";
  info.citation =
      "AttentionInfluence (Hua et al. 2025): (L_ref - L_base) / L_base, uniform attention on the visible "
      "keys; "
      "per token and the control: own";
  ParameterInfo documents{"documents", "Documents",
                          "A JSON array of texts, or one text in a file; empty: the prompt at hand.", ""};
  ParameterInfo read{"read", "Score file",
                     "Rank heads by this file of {\"layer-head\": [scores]} instead of by needles.", ""};
  documents.is_file = read.is_file = true;
  info.parameters = {std::move(documents),
                     std::move(read),
                     {"share", "Share of heads", "The strongest, at least one.", 0.05, 0.0, 0.5},
                     {"controls", "Random controls", "How many sets of as many other heads.", 3, 0, 100},
                     {"seed", "Seed", "Of the random controls.", 1, 0, 1e9}};
  for (ParameterInfo& parameter : needle_parameters()) info.parameters.push_back(std::move(parameter));
  return info;
}

class AttentionInfluence final : public AnalysisMethod {
 public:
  [[nodiscard]] const MethodInfo& info() const override { return info_; }

  [[nodiscard]] Result<std::vector<Wanted>> plan(const MethodInput& input) const override {
    std::vector<Wanted> wanted;
    SACCADE_TRY(const auto documents, documents_of(input));
    SACCADE_TRY(const size_t scoring, scoring_outcomes(input));
    if (input.outcomes.size() < scoring) {
      SACCADE_TRY(const Plan plan, scoring_plan(input));
      for (const Case& one : plan.cases) wanted.emplace_back(generation(plan, one, input, {}, true));
      return wanted;
    }
    if (input.outcomes.size() > scoring) return wanted;
    SACCADE_TRY(const auto sets, sets_of(input));
    for (const auto& set : sets)
      for (const TokenSequence& document : documents)
        wanted.emplace_back(RunWanted{without(input, document, set)});
    return wanted;
  }

  [[nodiscard]] Result<AnalysisResult> compute(const MethodInput& input,
                                               const JobContext& /*job*/) const override {
    SACCADE_TRY(const auto documents, documents_of(input));
    SACCADE_TRY(const size_t scoring, scoring_outcomes(input));
    SACCADE_TRY(const auto sets, sets_of(input));
    AnalysisResult result;
    result.method = info_.id;
    result.parameters = input.parameters;
    result.requests = {input.base.digest()};
    if (scoring > 0) {
      SACCADE_TRY(const Plan plan, scoring_plan(input));
      result.findings.push_back(describe(plan, score_samples(plan, input, ScoreKind::set)));
    }
    if (sets.size() < 2) return result;
    std::vector<std::string> names;
    for (const size_t head : sets[1])
      names.push_back(to_string(head_at(static_cast<int64_t>(head), input.model->spec().n_head)));
    result.findings.push_back(fmt::format("Attending uniformly: {}.", fmt::join(names, ", ")));
    Table table{"documents",
                {"document", "tokens", "loss", "masked", "influence", "control", "control_half_interval"},
                {}};
    std::vector<double> influences, control_means;
    for (size_t d = 0; d < documents.size(); ++d) {
      const auto losses = [&](size_t set) { return losses_at(input, scoring + set * documents.size() + d); };
      const double base = mean_loss(losses(0)), masked = mean_loss(losses(1));
      std::vector<double> controls;
      for (size_t s = 2; s < sets.size(); ++s) controls.push_back(influence(base, mean_loss(losses(s))));
      const MeanInterval control = mean_interval(controls);
      influences.push_back(influence(base, masked));
      control_means.push_back(control.mean);
      table.rows.push_back({static_cast<int64_t>(d), documents[d].size(), base, masked, influences.back(),
                            control.mean, control.half_width});
    }
    result.tables.push_back(std::move(table));
    add_tokens(input, documents, scoring, sets.size(), result);
    add_finding(influences, control_means, sets, result);
    return result;
  }

 private:
  // The prompt at hand when no file is named.
  static Result<std::vector<TokenSequence>> documents_of(const MethodInput& input) {
    const auto file = input.parameters["documents"].get<std::string>();
    if (!input.model)
      return make_error(ErrorCode::invalid_argument, "attention-influence needs a model at hand");
    std::vector<TokenSequence> documents;
    if (file.empty()) {
      documents = {input.base.tokens};
    } else {
      SACCADE_TRY(const std::string text, read_text_file(file));
      nlohmann::json list = nlohmann::json::parse(text, nullptr, false);
      if (!list.is_array()) list = nlohmann::json::array({text});
      for (const nlohmann::json& entry : list) {
        if (!entry.is_string())
          return make_error(ErrorCode::bad_format,
                            file + ": expected an array of texts, found something else in it");
        SACCADE_TRY(TokenSequence tokens, input.model->tokenizer().encode(entry.get<std::string>(), {}));
        documents.push_back(std::move(tokens));
      }
    }
    if (documents.empty()) return make_error(ErrorCode::invalid_argument, file + ": has no texts");
    for (size_t d = 0; d < documents.size(); ++d)
      if (const int64_t n = documents[d].size(); n < 2 || n > input.model->spec().n_context)
        return make_error(ErrorCode::invalid_argument,
                          fmt::format("document {} has {} tokens; it needs 2 to {} for this model", d, n,
                                      input.model->spec().n_context));
    return documents;
  }

  static bool reads_file(const MethodInput& input) {
    return !input.parameters["read"].get<std::string>().empty();
  }

  static Result<Plan> scoring_plan(const MethodInput& input) {
    SACCADE_TRY(Plan plan, read_plan(input));
    std::erase_if(plan.cases, [&](const Case& one) { return plan.needle(one).test; });
    return plan;
  }

  static Result<size_t> scoring_outcomes(const MethodInput& input) {
    if (reads_file(input)) return size_t{0};
    SACCADE_TRY(const Plan plan, scoring_plan(input));
    return plan.cases.size();
  }

  // Nobody, the strongest, then the controls; nobody alone where no head scores.
  static Result<std::vector<std::vector<size_t>>> sets_of(const MethodInput& input) {
    ScoresOfHeads scores;
    if (reads_file(input)) {
      SACCADE_TRY(scores, read_head_scores(input.parameters["read"].get<std::string>(), input.model->spec()));
    } else {
      SACCADE_TRY(const Plan plan, scoring_plan(input));
      scores = score_samples(plan, input, ScoreKind::set).scores;
    }
    const std::vector<double> means = means_of(scores);
    std::vector<std::vector<size_t>> sets(1);
    if (*std::max_element(means.begin(), means.end()) <= 0.0) return sets;
    const auto count = static_cast<size_t>(std::max<long>(
        1, std::lround(input.parameters["share"].get<double>() * static_cast<double>(means.size()))));
    std::vector<size_t> strongest = ranking(means);
    strongest.resize(count);
    sets.push_back(strongest);
    const auto seed = input.parameters["seed"].get<uint64_t>();
    for (uint64_t draw = 0; draw < input.parameters["controls"].get<uint64_t>(); ++draw)
      sets.push_back(draw_others(means.size(), strongest, count, seed * 1000 + draw));
    return sets;
  }

  static RunRequest without(const MethodInput& input, const TokenSequence& document,
                            const std::vector<size_t>& heads) {
    RunRequest request = input.base;
    request.tokens = document;
    request.edits.clear();
    request.references.clear();
    request.vectors.clear();
    request.capture = CapturePlan{};
    request.capture.attention = request.capture.residuals = request.capture.statistics = false;
    for (const size_t head : heads) {
      Edit edit;
      edit.verb = EditVerb::uniform;
      edit.target = target_of(head_at(static_cast<int64_t>(head), input.model->spec().n_head));
      request.edits.push_back(std::move(edit));
    }
    return request;
  }

  // Of every token but the first; empty when it was not run.
  static std::span<const float> losses_at(const MethodInput& input, size_t outcome) {
    const Run* run = run_in(input.outcomes, outcome);
    return run == nullptr ? std::span<const float>() : std::span<const float>(run->capture->loss);
  }

  static void add_tokens(const MethodInput& input, const std::vector<TokenSequence>& documents,
                         size_t scoring, size_t sets, AnalysisResult& result) {
    Table table{
        "tokens", {"document", "position", "token", "loss", "masked", "change", "control_change"}, {}};
    for (size_t d = 0; d < documents.size(); ++d) {
      const auto losses = [&](size_t set) { return losses_at(input, scoring + set * documents.size() + d); };
      const auto base = losses(0), masked = losses(1);
      if (base.empty() || masked.empty()) continue;
      for (size_t t = 0; t < base.size(); ++t) {
        std::vector<double> controls;
        for (size_t s = 2; s < sets; ++s)
          if (!losses(s).empty()) controls.push_back(losses(s)[t] - base[t]);
        table.rows.push_back({static_cast<int64_t>(d), static_cast<int64_t>(t + 1),
                              display_text(documents[d].tokens[t + 1]), static_cast<double>(base[t]),
                              static_cast<double>(masked[t]), static_cast<double>(masked[t] - base[t]),
                              mean_interval(controls).mean});
      }
    }
    if (documents.size() == 1 && !table.rows.empty()) {
      Field field{"change",
                  "Loss added without the retrieval heads",
                  "nats",
                  ValueKind::signed_difference,
                  {{AxisKind::token, "token", {}}},
                  HostTensor({static_cast<int64_t>(table.rows.size())}),
                  input.base.digest()};
      for (size_t t = 0; t < table.rows.size(); ++t) {
        field.axes[0].labels.push_back(std::get<std::string>(table.rows[t][2]));
        field.values.mutable_values()[t] = static_cast<float>(std::get<double>(table.rows[t][5]));
      }
      result.fields.push_back(std::move(field));
    }
    result.tables.push_back(std::move(table));
  }

  static void add_finding(const std::vector<double>& influences, const std::vector<double>& controls,
                          const std::vector<std::vector<size_t>>& sets, AnalysisResult& result) {
    const MeanInterval mean = mean_interval(influences), control = mean_interval(controls);
    result.partial = mean.count < static_cast<int64_t>(influences.size());
    if (mean.count == 0) return;
    std::string text = fmt::format("Without the {} strongest retrieval heads the loss grows by {:+.1f} %",
                                   sets[1].size(), 100 * mean.mean);
    if (mean.count > 1) text += fmt::format(" ± {:.1f} % over {} texts", 100 * mean.half_width, mean.count);
    if (control.count > 0)
      text += fmt::format("; without as many random others by {:+.1f} % ({} draws)", 100 * control.mean,
                          sets.size() - 2);
    result.findings.push_back(text + ". Compare only texts of one kind: prose, code or mathematics.");
  }

  MethodInfo info_ = make_info();
};

}  // namespace

std::unique_ptr<AnalysisMethod> make_attention_influence() { return std::make_unique<AttentionInfluence>(); }

}  // namespace saccade
