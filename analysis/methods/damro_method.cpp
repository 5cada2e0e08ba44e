// damro: the image tokens that the vision encoder looks at most, whether the decoder's heads do so, too, and
// the answer that is steered away from what these tokens alone would say.
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cmath>

#include "analysis/methods/damro.h"
#include "analysis/methods/head_fields.h"
#include "analysis/methods/picture_input.h"
#include "analysis/methods/registry.h"
#include "core/capture/attention_map.h"

namespace saccade {
namespace {

MethodInfo make_info() {
  MethodInfo info;
  info.id = "damro";
  info.title = "Encoder outliers as the other voice";
  info.summary =
      "The image tokens that the vision encoder looks at most, how far the decoder agrees, and the answer "
      "contrasted with a prompt whose picture is these tokens alone (DAMRO).";
  info.citation =
      "Gong et al. 2024 (arXiv 2410.04514): CLS weights, top K, contrast and cut; Jaccard overlap per layer, "
      "and towers without a CLS: own";
  info.parameters = damro::parameters();
  info.parameters.push_back({"generate", "Tokens", "Of both answers; 0: none.", 16, 0, 4096});
  return info;
}

class Damro final : public AnalysisMethod {
 public:
  [[nodiscard]] const MethodInfo& info() const override { return info_; }

  [[nodiscard]] Result<std::vector<Wanted>> plan(const MethodInput& input) const override {
    SACCADE_CHECK(check(input));
    std::vector<Wanted> wanted;
    const size_t pictures = input.base.tokens.images.size(), done = input.outcomes.size();
    if (done == 0)
      for (const PlacedImage& placed : input.base.tokens.images)
        wanted.emplace_back(TowerWanted{placed.image, damro::tower_plan()});
    if (done != pictures || input.parameters["generate"].get<int>() == 0) return wanted;
    SACCADE_TRY(const auto found, found_in(input));
    GenerationWanted plain{input.base, {}};
    plain.options.max_tokens = input.parameters["generate"].get<int>();
    GenerationWanted steered = plain;
    SACCADE_TRY(steered.options.contrast,
                damro::contrast(input.base, found.outliers, damro::read_options(input.parameters)));
    wanted.emplace_back(std::move(plain));
    wanted.emplace_back(std::move(steered));
    return wanted;
  }

  [[nodiscard]] Result<AnalysisResult> compute(const MethodInput& input,
                                               const JobContext& job) const override {
    SACCADE_CHECK(check(input));
    SACCADE_TRY(const Found found, found_in(input));
    AnalysisResult result;
    result.method = info_.id;
    result.parameters = input.parameters;
    result.requests = {input.capture->provenance.request};
    add_tokens(input, found, result);
    SACCADE_CHECK(add_overlap(input, found, job, result));
    add_answers(input, result);
    return result;
  }

 private:
  struct Found {
    std::vector<std::vector<double>> weights;    // [picture][patch]
    std::vector<std::vector<int32_t>> outliers;  // the largest first
  };

  Result<void> check(const MethodInput& input) const {
    SACCADE_CHECK(require_model(input, info_.id));
    const ModelSpec& spec = input.model->spec();
    SACCADE_CHECK(require_picture_and_text(input.base.tokens.places(), spec, info_.id));
    if (!input.model->tower())
      return make_error(ErrorCode::unsupported,
                        fmt::format("damro contrasts answers, and {} has no vision tower before a decoder",
                                    input.model->name()));
    return {};
  }

  static Result<Found> found_in(const MethodInput& input) {
    const damro::Options options = damro::read_options(input.parameters);
    Found found;
    for (size_t i = 0; i < input.base.tokens.images.size(); ++i) {
      const auto tower = capture_in(input.outcomes, i);
      if (!tower) return make_error(ErrorCode::cancelled, "cancelled");
      SACCADE_TRY(std::vector<double> weights,
                  damro::encoder_weights(tower, options.by_heads, *input.kernels));
      SACCADE_TRY(weights, damro::weights_of_positions(std::move(weights), tower->images[0],
                                                       input.base.tokens.images[i].region));
      if (static_cast<int64_t>(weights.size()) <= options.k)
        return make_error(
            ErrorCode::invalid_argument,
            fmt::format("outliers: the picture has {} tokens; fewer of them must be the outliers, "
                        "found {} (the paper takes 10 of 576)",
                        weights.size(), options.k));
      found.outliers.push_back(damro::outliers(weights, options.k));
      found.weights.push_back(std::move(weights));
    }
    return found;
  }

  static void add_tokens(const MethodInput& input, const Found& found, AnalysisResult& result) {
    const Capture& capture = *input.capture;
    const auto field = [&](std::string name, std::string label) {
      Field made{std::move(name),
                 std::move(label),
                 "",
                 ValueKind::probability,
                 {{AxisKind::token, "token", {}}},
                 HostTensor({capture.n_token()}),
                 capture.provenance.request};
      for (const Token& token : capture.tokens) made.axes[0].labels.push_back(display_text(token));
      return made;
    };
    Field weight = field("encoder_weight", "Weight that the encoder's CLS gives the patch");
    Field outlier = field("outlier", "Outlier of the encoder");
    Table table{"outliers", {"picture", "patch", "position", "weight"}, {}};
    for (size_t i = 0; i < found.weights.size(); ++i) {
      const ImageRegion& image = capture.images[i];
      for (size_t p = 0; p < found.weights[i].size(); ++p)
        weight.values.mutable_values()[static_cast<size_t>(image.position(static_cast<int64_t>(p)))] =
            static_cast<float>(found.weights[i][p]);
      for (const int32_t patch : found.outliers[i]) {
        const auto at = static_cast<size_t>(image.position(patch));
        outlier.values.mutable_values()[at] = 1.0F;
        table.rows.push_back({static_cast<int64_t>(i + 1), weight.axes[0].labels[at],
                              static_cast<int64_t>(at), found.weights[i][static_cast<size_t>(patch)]});
      }
    }
    double share = 0.0;
    for (const int32_t patch : found.outliers[0]) share += found.weights[0][static_cast<size_t>(patch)];
    double all = 0.0;
    for (const double one : found.weights[0]) all += one;
    result.findings.push_back(
        fmt::format("{} of {} image tokens take {:.0f} % of the encoder's weight on the picture.",
                    found.outliers[0].size(), found.weights[0].size(), 100.0 * share / all));
    result.fields.push_back(std::move(weight));
    result.fields.push_back(std::move(outlier));
    result.tables.push_back(std::move(table));
  }

  // The same number of image tokens, by the decoder's heads on average at the last position.
  static Result<void> add_overlap(const MethodInput& input, const Found& found, const JobContext& job,
                                  AnalysisResult& result) {
    const Capture& capture = *input.capture;
    const int64_t layers = std::ssize(capture.layers), n = capture.n_token();
    const ImageRegion& image = capture.images[0];
    Field field{"overlap",
                "Jaccard overlap of the encoder's and the decoder's strongest image tokens",
                "",
                ValueKind::probability,
                {{AxisKind::layer, "layer", {}}},
                HostTensor({layers}),
                capture.provenance.request};
    std::vector<float> row(static_cast<size_t>(n));
    for (int64_t l = 0; l < layers; ++l) {
      SACCADE_CHECK(job.check());
      std::vector<double> mean(found.weights[0].size(), 0.0);
      for (int64_t h = 0; h < capture.spec.n_head; ++h) {
        SACCADE_TRY(const AttentionMap map,
                    AttentionMap::of(input.capture, head_at(l * capture.spec.n_head + h, capture.spec.n_head),
                                     *input.kernels));
        SACCADE_CHECK(map.rows(n - 1, n, n, row));
        for (size_t p = 0; p < mean.size(); ++p)
          mean[p] += row[static_cast<size_t>(image.position(static_cast<int64_t>(p)))];
      }
      field.values.mutable_values()[static_cast<size_t>(l)] = static_cast<float>(damro::overlap(
          found.outliers[0], damro::outliers(mean, static_cast<int64_t>(found.outliers[0].size()))));
    }
    const auto values = field.values.values();
    const auto most = std::max_element(values.begin(), values.end()) - values.begin();
    const auto k = static_cast<double>(found.outliers[0].size()), all = double(found.weights[0].size());
    const double shared = k * k / all;
    result.findings.push_back(fmt::format(
        "The decoder agrees most in layer {}: overlap {:.2f}, where chance would give about {:.2f}.", most,
        values[static_cast<size_t>(most)], shared / (2.0 * k - shared)));
    result.fields.push_back(std::move(field));
    return {};
  }

  static void add_answers(const MethodInput& input, AnalysisResult& result) {
    const size_t first = input.base.tokens.images.size();
    if (input.parameters["generate"].get<int>() == 0) return;
    Table table{"answers", {"way", "answer", "tokens"}, {}};
    for (const size_t i : {size_t{0}, size_t{1}}) {
      const Generation* answer = generation_in(input.outcomes, first + i);
      if (answer == nullptr) {
        result.partial = true;
        continue;
      }
      table.rows.push_back({std::string(i == 0 ? "as it is" : "contrasted"), answer->text,
                            static_cast<int64_t>(answer->tokens.size())});
    }
    if (table.rows.size() == 2)
      result.findings.push_back(std::get<std::string>(table.rows[0][1]) ==
                                        std::get<std::string>(table.rows[1][1])
                                    ? std::string("The contrasted answer is the same.")
                                    : fmt::format("Contrasted, the answer is \"{}\" instead of \"{}\".",
                                                  std::get<std::string>(table.rows[1][1]),
                                                  std::get<std::string>(table.rows[0][1])));
    result.tables.push_back(std::move(table));
  }

  MethodInfo info_ = make_info();
};

}  // namespace

std::unique_ptr<AnalysisMethod> make_damro() { return std::make_unique<Damro>(); }

}  // namespace saccade
