// vlsam-flow: regularised attention flow of a word over a picture, with the points that a segmenter is given.
#include <fmt/format.h>

#include <algorithm>

#include "analysis/flow/vlsam.h"
#include "analysis/images/patch_field.h"
#include "analysis/methods/path_results.h"
#include "analysis/methods/registry.h"
#include "core/model/visibility.h"

namespace saccade {
namespace {

MethodInfo make_info() {
  MethodInfo info;
  info.id = "vlsam-flow";
  info.title = "Regularised attention flow (VL-SAM)";
  info.summary =
      "What a word draws from the picture through all layers, decided heads counting more and early tokens "
      "not, with a positive and a negative point; over a text, from its tokens.";
  info.citation =
      "Lin et al. 2024 (VL-SAM, arXiv 2410.05963), section 3.2: head weights, regularised flow, points; "
      "threshold and rescaling are own";
  info.parameters = {
      query_parameter(),
      {"heads", "Heads", "Which heads are followed, like 5-7.* or *.0,3.", "*.*"},
      {"head_weights", "Head weights", "Heads count as decided as they are; off: all alike.", true},
      {"causal_correction", "Causal correction", "Takes out that early keys are seen by more rows.", true},
      {"deviations", "Threshold", "Standard deviations above the mean from which a patch belongs to an area.",
       1.0, -5.0, 10.0}};
  return info;
}

class VlSamFlow final : public AnalysisMethod {
 public:
  [[nodiscard]] const MethodInfo& info() const override { return info_; }

  [[nodiscard]] Result<AnalysisResult> compute(const MethodInput& given,
                                               const JobContext& job) const override {
    MethodInput input = given;
    SACCADE_TRY(input.parameters, complete_parameters(info_, given.parameters));
    const auto& p = input.parameters;
    FusionOptions options;
    SACCADE_TRY(options.heads, parse_head_target(p["heads"].get<std::string>()));
    if (!input.capture || input.capture->layers.empty())
      return make_error(ErrorCode::invalid_argument, "vlsam-flow needs a run with captured layers");
    if (p["head_weights"].get<bool>()) {
      SACCADE_TRY(options.weights, decided_weights(input.capture, *input.kernels, job));
    }
    SACCADE_TRY(const FusedMaps maps, FusedMaps::make(input.capture, *input.kernels, options));
    const Capture& capture = maps.capture();
    SACCADE_TRY(const PathTarget target, path_target(capture, p["query"].get<int64_t>()));
    SACCADE_TRY(const HostTensor flow,
                vlsam_flow(maps, {p["causal_correction"].get<bool>(), input.threads}, job));
    const int64_t n = maps.size();
    std::vector<double> row(static_cast<size_t>(n), 0.0);
    for (int64_t i = 0; i < n; ++i)
      for (int64_t j = 0; j < n && target.start[static_cast<size_t>(i)] > 0.0; ++j)
        row[static_cast<size_t>(j)] += target.start[static_cast<size_t>(i)] * flow.data()[i * n + j];
    AnalysisResult result;
    result.method = info_.id;
    result.requests = {capture.provenance.request};
    SACCADE_CHECK(add_token_fields(
        capture, field_about("flow", "Regularised flow from " + target.text, ValueKind::magnitude), {}, row,
        result));
    result.tables.push_back(tokens_table(capture, "tokens", {{"flow", row}}));
    const double deviations = p["deviations"].get<double>();
    if (capture.images.empty())
      text_peaks(capture, target, row, deviations, result);
    else
      picture_peaks(capture, target, row, deviations, result);
    if (!options.weights.empty()) result.fields.push_back(weights_field(capture, options.weights));
    result.parameters = std::move(input.parameters);
    return result;
  }

 private:
  static Field weights_field(const Capture& capture, const std::vector<double>& weights) {
    const auto layers = static_cast<int64_t>(capture.layers.size());
    Field field{"head_weight",
                "Mean of each row's largest weight",
                "",
                ValueKind::probability,
                {{AxisKind::layer, "layer", {}}, {AxisKind::head, "head", {}}},
                HostTensor({layers, capture.spec.n_head}),
                capture.provenance.request};
    std::copy(weights.begin(), weights.end(), field.values.mutable_values().begin());
    return field;
  }

  static void picture_peaks(const Capture& capture, const PathTarget& target, const std::vector<double>& row,
                            double deviations, AnalysisResult& result) {
    Table points{"points", {"picture", "point", "patch_row", "patch_column", "x", "y", "flow"}, {}};
    Table areas{"areas", {"picture", "patch_row", "patch_column", "flow"}, {}};
    for (size_t k = 0; k < capture.images.size(); ++k) {
      const ImageRegion& region = capture.images[k];
      const std::vector<float> map = over_patches(region, std::vector<float>(row.begin(), row.end()));
      const PeakPoints peaks = peak_points(map, region.grid_height, region.grid_width, deviations);
      const auto add = [&](const char* point, int64_t patch) {
        const PatchRect rect = rect_of(region, patch);
        points.rows.push_back({static_cast<int64_t>(k), point, patch / region.grid_width,
                               patch % region.grid_width, rect.x + rect.width / 2.0,
                               rect.y + rect.height / 2.0, double{map[static_cast<size_t>(patch)]}});
      };
      if (peaks.positive) add("positive", *peaks.positive);
      add("negative", peaks.negative);
      for (const int64_t patch : peaks.area)
        areas.rows.push_back({static_cast<int64_t>(k), patch / region.grid_width, patch % region.grid_width,
                              double{map[static_cast<size_t>(patch)]}});
      result.findings.push_back(
          peaks.positive
              ? fmt::format("From {} the flow over picture {} peaks at patch {},{} in an area of {} of {} "
                            "patches, and is least at patch {},{}.",
                            target.text, k, *peaks.positive / region.grid_width,
                            *peaks.positive % region.grid_width, peaks.area.size(), map.size(),
                            peaks.negative / region.grid_width, peaks.negative % region.grid_width)
              : fmt::format("The flow over picture {} is above {:.3g} nowhere: there is no positive point.",
                            k, peaks.threshold));
    }
    result.tables.push_back(std::move(points));
    result.tables.push_back(std::move(areas));
  }

  static void text_peaks(const Capture& capture, const PathTarget& target, const std::vector<double>& row,
                         double deviations, AnalysisResult& result) {
    // Of a causal row the keys up to it.
    const int64_t n = capture.n_token();
    const int64_t end = target.query >= 0 ? seen_keys(capture.spec, 0, target.query, n).end : n;
    const std::vector<float> map(row.begin(), row.begin() + end);
    const PeakPoints peaks = peak_points(map, 1, end, deviations);
    result.findings.push_back(
        peaks.positive
            ? fmt::format("From {} the flow peaks at {}, in a span of {} tokens above {:.3g}.", target.text,
                          token_text(capture, *peaks.positive), peaks.area.size(), peaks.threshold)
            : fmt::format("The flow from {} is above {:.3g} nowhere.", target.text, peaks.threshold));
  }

  MethodInfo info_ = make_info();
};

}  // namespace

std::unique_ptr<AnalysisMethod> make_vlsam_flow() { return std::make_unique<VlSamFlow>(); }

}  // namespace saccade
