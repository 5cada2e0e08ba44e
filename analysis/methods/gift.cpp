// gift: where the picture draws the eye while the question is read (analysis/images/gaze_shift.h), and the
// edits that amplify it while the model answers.
//
// Multiplying weights after the softmax by m and normalising the row is adding ln m to the scores before it:
// the edits are `bias`, from the prompt's last position on, so that what is decoded follows. r, the factor of
// the question, is of each head's own row at the prompt's last position, and stays.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <map>

#include "analysis/images/gaze_shift.h"
#include "analysis/images/patch_field.h"
#include "analysis/images/picture_run.h"
#include "analysis/methods/head_fields.h"
#include "analysis/methods/registry.h"
#include "core/capture/attention_map.h"

namespace saccade {
namespace {

constexpr double shift_layer = 11.0 / 32.0, first_layer = 12.0 / 32.0,
                 last_layer = 22.0 / 32.0;  // LLaVA-1.5-7B

MethodInfo make_info() {
  MethodInfo info;
  info.id = "gift";
  info.title = "Gaze shifts while the question is read";
  info.summary =
      "How much each patch gains attention from one word of the question to the next, and edits that amplify "
      "those patches, and the question, while the model answers.";
  info.citation =
      "Qi et al. 2025 (GIFT, arXiv 2510.22067), saliency and constants from copies of the authors' code; the "
      "question's factor inferred; content words by a list of function words: own";
  info.parameters = {
      {"alpha", "Alpha", "Strength: the most salient patch is amplified exp(alpha) times.", 5.0, 0.0, 20.0},
      {"layer", "Layer of the gaze", "-1: 11/32 of the depth.", -1, -1, 1000},
      {"from", "Amplified from", "First layer; -1: 12/32 of the depth.", -1, -1, 1000},
      {"to", "Amplified to", "Last layer; -1: 22/32 of the depth.", -1, -1, 1000},
      {"question", "Question", "Positions, such as 40:47; empty: all that follows the picture.", ""},
      {"content_words", "Content words only", "Leave out function words and punctuation.", true},
      {"steps", "Steps", "Saliency is rounded to this many levels, one edit for each.", 32, 2, 256}};
  return info;
}

struct Gaze {
  ImageRegion region;
  PositionRange question;
  int32_t layer = 0, from = 0, to = 0;
  std::vector<double> saliency;
  Field shifts, factors;  // [layer, head]: total shift; r
  std::vector<std::string> edits;
};

int32_t layer_or(const nlohmann::json& p, const char* name, double share, int32_t layers) {
  const auto given = p[name].get<int32_t>();
  return given >= 0 ? given : static_cast<int32_t>(std::lround(share * layers));
}

class Gift final : public AnalysisMethod {
 public:
  [[nodiscard]] const MethodInfo& info() const override { return info_; }

  [[nodiscard]] Result<std::vector<Wanted>> plan(const MethodInput& input) const override {
    std::vector<Wanted> wanted;
    SACCADE_TRY(const Gaze gaze, gaze_of(input, {}));
    if (!input.outcomes.empty() || !input.model || input.capture->last_logits.empty()) return wanted;
    SACCADE_TRY(AnswerWanted answer, answer_under(input, gaze.edits));
    wanted.emplace_back(std::move(answer));
    return wanted;
  }

  [[nodiscard]] Result<AnalysisResult> compute(const MethodInput& input,
                                               const JobContext& job) const override {
    MethodInput complete = input;
    SACCADE_TRY(complete.parameters, complete_parameters(info_, input.parameters));
    SACCADE_TRY(Gaze gaze, gaze_of(complete, job));
    const double alpha = complete.parameters["alpha"].get<double>();
    AnalysisResult result;
    result.method = info_.id;
    result.parameters = complete.parameters;
    const std::string& request = input.capture->provenance.request;
    result.requests = {request};
    const auto factors = amplification(gaze.saliency, alpha);
    result.fields = {over_patches("saliency", "Gaze shift while the question is read", ValueKind::probability,
                                  gaze.region, gaze.saliency, request),
                     over_patches("amplification", "Factor of the weight on each patch", ValueKind::magnitude,
                                  gaze.region, factors, request),
                     std::move(gaze.shifts), std::move(gaze.factors)};
    Table table{"edits", {"edit"}, {}};
    for (const std::string& edit : gaze.edits) table.rows.push_back({edit});
    result.tables.push_back(std::move(table));
    say(complete, gaze, result);
    return result;
  }

 private:
  static Result<void> check(const MethodInput& input) {
    SACCADE_CHECK(picture_region(*input.capture, 0, "gift"));
    if (input.capture->spec.is_picture_model())
      return make_error(
          ErrorCode::unsupported,
          "gift follows a question about a picture; this model reads pictures alone: use a decoder");
    if (!input.capture->layers.empty() && input.capture->layers[0]->keeps_attention()) return {};
    return make_error(ErrorCode::invalid_argument, "gift needs a run with captured attention");
  }

  static Result<Gaze> gaze_of(const MethodInput& input, const JobContext& job) {
    SACCADE_CHECK(check(input));
    const nlohmann::json& p = input.parameters;
    const Capture& capture = *input.capture;
    const int32_t layers = capture.spec.n_layer;
    Gaze gaze;
    SACCADE_TRY(gaze.region, picture_region(capture, 0, "gift"));
    SACCADE_TRY(gaze.question,
                question_after(capture, gaze.region, p["question"].get<std::string>(), "gift"));
    gaze.layer = layer_or(p, "layer", shift_layer, layers);
    gaze.from = layer_or(p, "from", first_layer, layers);
    gaze.to = std::min(layer_or(p, "to", last_layer, layers), std::max(layers - 1, 0));
    if (gaze.layer >= layers || gaze.from >= layers || gaze.to < gaze.from)
      return make_error(ErrorCode::invalid_argument,
                        fmt::format("layers {} and {} to {} do not fit a model of {} layers", gaze.layer,
                                    gaze.from, gaze.to, layers));
    SACCADE_CHECK(read_shifts(input, gaze, job));
    SACCADE_CHECK(make_edits(input, gaze, job));
    return gaze;
  }

  // Weights of one row on the patches.
  static Result<std::vector<double>> image_row(const AttentionMap& map, const ImageRegion& region,
                                               int64_t row) {
    std::vector<float> weights(static_cast<size_t>(map.size()));
    SACCADE_CHECK(map.rows(row, row + 1, map.size(), weights));
    const std::vector<float> patches = over_patches(region, weights);
    return std::vector<double>(patches.begin(), patches.end());
  }

  static Result<void> read_shifts(const MethodInput& input, Gaze& gaze, const JobContext& job) {
    const Capture& capture = *input.capture;
    const int64_t heads = capture.spec.n_head, count = gaze.question.end - gaze.question.begin;
    std::vector<bool> counted;
    for (int64_t t = gaze.question.begin; t < gaze.question.end; ++t)
      counted.push_back(input.parameters["content_words"].get<bool>() &&
                        is_content_word(capture.tokens[static_cast<size_t>(t)].text));
    gaze.shifts = head_field("shift", "Total gaze shift", "", ValueKind::magnitude, capture.spec.n_layer,
                             heads, capture.provenance.request);
    std::vector<std::vector<double>> of_layer;
    for (int64_t at = 0; at < gaze.shifts.values.size(); ++at) {
      SACCADE_CHECK(job.check());
      SACCADE_TRY(const AttentionMap map,
                  AttentionMap::of(input.capture, head_at(at, heads), *input.kernels));
      mechanisms::Matrix rows(count + 1, gaze.region.patches());
      for (int64_t t = 0; t <= count; ++t) {
        SACCADE_TRY(const auto row, image_row(map, gaze.region, gaze.question.begin - 1 + t));
        std::copy(row.begin(), row.end(), rows.row(t).begin());
      }
      std::vector<double> shift = gaze_shift(rows, counted);
      double total = 0.0;
      for (const double value : shift) total += value;
      gaze.shifts.values.mutable_values()[static_cast<size_t>(at)] = static_cast<float>(total);
      if (at / heads == gaze.layer) of_layer.push_back(std::move(shift));
    }
    gaze.saliency = gaze_saliency(of_layer);
    return {};
  }

  static Result<void> make_edits(const MethodInput& input, Gaze& gaze, const JobContext& job) {
    const Capture& capture = *input.capture;
    const double alpha = input.parameters["alpha"].get<double>();
    const auto steps = input.parameters["steps"].get<double>() - 1.0;
    const int64_t last = capture.n_token() - 1, heads = capture.spec.n_head;
    std::map<int64_t, std::vector<int64_t>> levels;
    std::vector<double> rounded;
    for (size_t j = 0; j < gaze.saliency.size(); ++j) {
      const auto level = static_cast<int64_t>(std::lround(gaze.saliency[j] * steps));
      rounded.push_back(static_cast<double>(level) / steps);
      if (level > 0) levels[level].push_back(static_cast<int64_t>(j));
    }
    const std::string layers = fmt::format("{}-{}.*", gaze.from, gaze.to);
    for (const auto& [level, patches] : levels)
      gaze.edits.push_back(fmt::format("bias {} by={:.6g} query={}: key={}", layers,
                                       alpha * static_cast<double>(level) / steps, last,
                                       positions_text(gaze.region, patches)));
    const std::vector<double> factors = amplification(rounded, alpha);
    gaze.factors = head_field("question_factor", "Factor of the weight on the question", "",
                              ValueKind::magnitude, capture.spec.n_layer, heads, capture.provenance.request);
    std::fill(gaze.factors.values.mutable_values().begin(), gaze.factors.values.mutable_values().end(), 1.0F);
    if (levels.empty()) return {};
    for (int64_t at = gaze.from * heads; at < (gaze.to + 1) * heads; ++at) {
      SACCADE_CHECK(job.check());
      SACCADE_TRY(const AttentionMap map,
                  AttentionMap::of(input.capture, head_at(at, heads), *input.kernels));
      SACCADE_TRY(const auto row, image_row(map, gaze.region, last));
      const double factor = question_factor(row, factors);
      gaze.factors.values.mutable_values()[static_cast<size_t>(at)] = static_cast<float>(factor);
      gaze.edits.push_back(fmt::format("bias {} by={:.6g} query={}: key={}:{}", to_string(head_at(at, heads)),
                                       std::log(factor), last, gaze.question.begin, gaze.question.end));
    }
    return {};
  }

  static void say(const MethodInput& input, const Gaze& gaze, AnalysisResult& result) {
    const auto top = mechanisms::top_indices(gaze.saliency, 1);
    if (gaze.edits.empty()) {
      result.findings.emplace_back(
          "No patch gains attention while the question is read: nothing to amplify.");
      return;
    }
    result.findings.push_back(
        fmt::format("While the question is read, layer {} turns most to the patch at row {}, column {}.",
                    gaze.layer, top[0] / gaze.region.grid_width, top[0] % gaze.region.grid_width));
    const KeptAnswer* answer = answer_in(input.outcomes, 0);
    if (answer == nullptr) return;
    const std::string before = top_answer(input), after = answer_text(input, *answer);
    result.findings.push_back(
        fmt::format("Amplified in layers {} to {}, the answer moves by {:.3g} nats (KL): '{}' {}.", gaze.from,
                    gaze.to, answer->kl, before, before == after ? "stays" : "becomes '" + after + "'"));
    result.tables.push_back(Table{"answer", {"kl", "before", "after"}, {{answer->kl, before, after}}});
  }

  MethodInfo info_ = make_info();
};

}  // namespace

std::unique_ptr<AnalysisMethod> make_gift() { return std::make_unique<Gift>(); }

}  // namespace saccade
