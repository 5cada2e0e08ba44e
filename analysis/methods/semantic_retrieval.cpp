// semantic-retrieval: heads by their whole weight on the needle while its answer is decoded, the best of
// every layer, and which tokens of the prompt at hand those heads would keep.
//
// Round 1 decodes the answers. Round 2 answers the prompt at hand with the last tokens cut off from every key
// that would not be kept: what keeping only those costs.
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cmath>
#include <optional>

#include "analysis/methods/head_fields.h"
#include "analysis/methods/needle_plan.h"
#include "analysis/methods/registry.h"
#include "analysis/methods/token_importance.h"
#include "core/capture/attention_map.h"

namespace saccade {
namespace {

using namespace needles;  // NOLINT(google-build-using-namespace): its own part

MethodInfo make_info() {
  MethodInfo info;
  info.id = "semantic-retrieval";
  info.title = "Semantic retrieval heads";
  info.summary =
      "Scores every head by its whole weight on the needle while the answer is decoded, and shows which "
      "tokens "
      "of this prompt the best heads of every layer would keep.";
  info.citation =
      "CompressKV (repository TUDa-HWAI/CompressKV): semantic retrieval score, top heads per layer, window "
      "of 8 "
      "queries, average pooling of 5 keys";
  info.parameters = needle_parameters();
  info.parameters.push_back({"top", "Heads per layer", "The best of every layer.", 4, 1, 1000});
  info.parameters.push_back(
      {"window", "Window", "The last tokens, whose attention counts and which are always kept.", 8, 1, 1000});
  info.parameters.push_back(
      {"budget", "Kept tokens", "How many tokens are kept, the window included.", 64, 1, 1e9});
  return info;
}

class SemanticRetrieval final : public AnalysisMethod {
 public:
  [[nodiscard]] const MethodInfo& info() const override { return info_; }

  [[nodiscard]] Result<std::vector<Wanted>> plan(const MethodInput& input) const override {
    SACCADE_TRY(const Plan plan, read_plan(input));
    std::vector<Wanted> wanted;
    if (input.outcomes.empty()) {
      for (const Case& one : plan.cases)
        if (!plan.needle(one).test) wanted.emplace_back(generation(plan, one, input, {}, true));
      return wanted;
    }
    if (input.outcomes.size() > scoring(plan).cases.size()) return wanted;
    SACCADE_TRY(std::optional<AnswerWanted> answer, what_if(plan, input));
    if (answer) wanted.emplace_back(std::move(*answer));
    return wanted;
  }

  [[nodiscard]] Result<AnalysisResult> compute(const MethodInput& input,
                                               const JobContext& /*job*/) const override {
    SACCADE_TRY(const Plan read, read_plan(input));
    const Plan plan = scoring(read);
    const Samples samples = score_samples(plan, input, ScoreKind::semantic);
    const ModelSpec& spec = input.model->spec();
    AnalysisResult result;
    result.method = info_.id;
    result.parameters = input.parameters;
    result.requests = {input.base.digest()};
    result.partial = samples.missing > 0;
    result.findings.push_back(describe(plan, samples));
    Field score = head_field("semantic", "Semantic retrieval score", "", ValueKind::magnitude, spec.n_layer,
                             spec.n_head, input.base.digest());
    Field spread = head_field("spread", "Its standard deviation", "", ValueKind::magnitude, spec.n_layer,
                              spec.n_head, input.base.digest());
    const std::vector<double> means = means_of(samples.scores);
    for (size_t head = 0; head < means.size(); ++head) {
      score.values.mutable_values()[head] = static_cast<float>(means[head]);
      spread.values.mutable_values()[head] = static_cast<float>(deviation_of(samples.scores[head]));
    }
    result.fields = {std::move(score), std::move(spread)};
    result.tables.push_back(heads_table(result.fields));
    if (samples.kept.empty()) return result;
    add_best(input, means, result);
    SACCADE_CHECK(add_importance(input, means, result));
    add_what_if(input, plan.cases.size(), result);
    return result;
  }

 private:
  // Without the needles that are only for a causal test.
  static Plan scoring(Plan plan) {
    std::erase_if(plan.cases, [&](const Case& one) { return plan.needle(one).test; });
    return plan;
  }

  static std::vector<HeadId> best_of_layer(const MethodInput& input, const std::vector<double>& means,
                                           int32_t layer) {
    const auto heads = static_cast<size_t>(input.model->spec().n_head);
    const auto first = means.begin() + static_cast<ptrdiff_t>(static_cast<size_t>(layer) * heads);
    const std::vector<size_t> order = ranking({first, first + static_cast<ptrdiff_t>(heads)});
    std::vector<HeadId> best;
    for (size_t i = 0; i < std::min(order.size(), input.parameters["top"].get<size_t>()); ++i)
      best.push_back({LayerIndex{layer}, HeadIndex{static_cast<int32_t>(order[i])}});
    return best;
  }

  static void add_best(const MethodInput& input, const std::vector<double>& means, AnalysisResult& result) {
    Table table{"best", {"layer", "heads", "score"}, {}};
    for (int32_t layer = 0; layer < input.model->spec().n_layer; ++layer) {
      std::vector<std::string> names;
      double highest = 0.0;
      for (const HeadId head : best_of_layer(input, means, layer)) {
        names.push_back(to_string(head));
        highest = std::max(
            highest,
            means[static_cast<size_t>(int64_t{layer} * input.model->spec().n_head + head.head.value)]);
      }
      table.rows.push_back({int64_t{layer}, fmt::format("{}", fmt::join(names, " ")), highest});
    }
    const size_t best = ranking(means).front();
    result.findings.push_back(fmt::format(
        "The strongest is {}: {:.3f} of weight on the answer's tokens, summed over an answer's steps.",
        to_string(head_at(static_cast<int64_t>(best), input.model->spec().n_head)), means[best]));
    result.tables.push_back(std::move(table));
  }

  // [layer][token before the window]; empty where the prompt is no longer than the window.
  static Result<std::vector<std::vector<double>>> importance(const MethodInput& input,
                                                             const std::vector<double>& means) {
    std::vector<std::vector<double>> layers;
    const int64_t n = input.capture->n_token(), window = input.parameters["window"].get<int64_t>();
    if (n <= window) return layers;
    for (int32_t layer = 0; layer < input.model->spec().n_layer; ++layer) {
      std::vector<std::vector<float>> rows;
      for (const HeadId head : best_of_layer(input, means, layer)) {
        SACCADE_TRY(const AttentionMap map, AttentionMap::of(input.capture, head, *input.kernels));
        rows.emplace_back(static_cast<size_t>(window * n));
        SACCADE_CHECK(map.rows(n - window, n, n, rows.back()));
      }
      layers.push_back(token_importance(rows, window, n));
    }
    return layers;
  }

  static std::vector<int64_t> kept_of(const MethodInput& input, const std::vector<double>& layer) {
    const auto window = input.parameters["window"].get<int64_t>();
    return strongest_tokens(layer, std::max<int64_t>(0, input.parameters["budget"].get<int64_t>() - window));
  }

  // Null where there is nothing to leave out.
  static Result<std::optional<AnswerWanted>> what_if(const Plan& plan, const MethodInput& input) {
    const Samples samples = score_samples(scoring(plan), input, ScoreKind::semantic);
    std::optional<AnswerWanted> none;
    if (samples.kept.empty() || !input.base.edits.empty() || input.capture->last_logits.empty()) return none;
    SACCADE_TRY(const auto layers, importance(input, means_of(samples.scores)));
    AnswerWanted wanted{input.base, {}, std::make_shared<HostTensor>(input.capture->last_logits)};
    const int64_t n = input.capture->n_token();
    for (size_t layer = 0; layer < layers.size(); ++layer) {
      std::vector<PositionRange> left_out;
      const std::vector<int64_t> kept = kept_of(input, layers[layer]);
      for (int64_t key = 0; key < static_cast<int64_t>(layers[layer].size()); ++key)
        if (!std::binary_search(kept.begin(), kept.end(), key)) left_out.push_back({key, key + 1});
      if (left_out.empty()) continue;
      Edit cut;
      cut.verb = EditVerb::knockout;
      cut.target = HeadTarget{{{{static_cast<int32_t>(layer), static_cast<int32_t>(layer)}}}, {}};
      cut.query = PositionRange{n - 1, n};
      cut.key = PositionSet(std::move(left_out));
      wanted.request.edits.push_back(std::move(cut));
    }
    return wanted.request.edits.empty() ? none : std::optional(std::move(wanted));
  }

  static Result<void> add_importance(const MethodInput& input, const std::vector<double>& means,
                                     AnalysisResult& result) {
    SACCADE_TRY(const auto layers, importance(input, means));
    const int64_t n = input.capture->n_token();
    if (layers.empty()) {
      result.findings.push_back(
          fmt::format("The prompt has {} tokens, no more than the window: all of them are kept.", n));
      return {};
    }
    Field field{"importance",
                "Weight that the best heads of the layer give each token",
                "",
                ValueKind::magnitude,
                {{AxisKind::layer, "layer", {}}, {AxisKind::token, "token", {}}},
                HostTensor({static_cast<int64_t>(layers.size()), n}),
                input.base.digest()};
    for (const Token& token : input.capture->tokens) field.axes[1].labels.push_back(display_text(token));
    Table table{"kept", {"layer", "tokens", "texts"}, {}};
    for (size_t layer = 0; layer < layers.size(); ++layer) {
      float* row = field.values.mutable_values().data() + static_cast<int64_t>(layer) * n;
      std::fill_n(row, n, std::nanf(""));
      std::copy(layers[layer].begin(), layers[layer].end(), row);
      const std::vector<int64_t> kept = kept_of(input, layers[layer]);
      std::vector<std::string> texts;
      for (const int64_t key : kept)
        texts.push_back(display_text(input.capture->tokens[static_cast<size_t>(key)]));
      table.rows.push_back({static_cast<int64_t>(layer), fmt::format("{}", fmt::join(kept, " ")),
                            fmt::format("{}", fmt::join(texts, " "))});
    }
    result.fields.push_back(std::move(field));
    result.tables.push_back(std::move(table));
    return {};
  }

  static void add_what_if(const MethodInput& input, size_t outcome, AnalysisResult& result) {
    const KeptAnswer* answer = answer_in(input.outcomes, outcome);
    if (answer == nullptr) return;
    result.findings.push_back(
        fmt::format("With the last token of this prompt seeing only what is kept ({} of {} tokens in every "
                    "layer), the next "
                    "token's distribution moves by KL = {:.4f} nats and {}.",
                    std::min(input.parameters["budget"].get<int64_t>(), input.capture->n_token()),
                    input.capture->n_token(), answer->kl,
                    answer->top_id == most_probable(input.capture->last_logits)
                        ? "the most probable one stays"
                        : "another one becomes the most probable"));
  }

  static int32_t most_probable(const HostTensor& logits) {
    const auto values = logits.values();
    return static_cast<int32_t>(std::max_element(values.begin(), values.end()) - values.begin());
  }

  MethodInfo info_ = make_info();
};

}  // namespace

std::unique_ptr<AnalysisMethod> make_semantic_retrieval() { return std::make_unique<SemanticRetrieval>(); }

}  // namespace saccade
