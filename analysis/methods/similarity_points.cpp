// similarity-points: which patches a token resembles, and the points that follow from it.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

#include "analysis/images/patch_field.h"
#include "analysis/methods/model_gaze.h"
#include "analysis/methods/path_results.h"
#include "analysis/methods/registry.h"
#include "analysis/statistics/rank.h"

namespace saccade {
namespace {

MethodInfo make_info() {
  MethodInfo info;
  info.id = "similarity-points";
  info.title = "Patches like a token";
  info.summary =
      "Cosine of a token's residual with every patch's, the most and least similar patches as points, and "
      "how "
      "far they are those that the token attends to.";
  info.citation =
      "Qian et al. 2024 (READ, arXiv 2412.17741): similarity as points; numbers of points are own";
  info.parameters = {
      query_parameter(),
      {"picture", "Picture", "Which of the run's pictures, from 0.", 0, 0, 1e6},
      {"level", "Level",
       "Residual that is compared: 0 = before the first layer (of a decoder: the "
       "projector's output), -1 = after the last.",
       -1, -1, 1e6},
      {"points", "Points", "So many positive and as many negative; the rest is neutral.", 10, 1, 1e6},
      {"heads", "Heads", "Whose attention the points are compared with.", "*.*"}};
  return info;
}

// [patch]; error where a row has no length.
Result<std::vector<double>> cosines(const HostTensor& residual, const PathTarget& target,
                                    const ImageRegion& region) {
  const int64_t width = residual.shape()[1];
  std::vector<double> query(static_cast<size_t>(width), 0.0);
  for (size_t i = 0; i < target.start.size(); ++i)
    for (size_t c = 0; c < query.size() && target.start[i] > 0.0; ++c)
      query[c] += target.start[i] * residual.slice(static_cast<int64_t>(i))[c];
  const double length = std::sqrt(std::inner_product(query.begin(), query.end(), query.begin(), 0.0));
  std::vector<double> made;
  for (int64_t patch = 0; patch < region.patches(); ++patch) {
    const int64_t j = region.position(patch);
    double product = 0.0, square = 0.0;
    for (size_t c = 0; c < query.size(); ++c) {
      const double value = residual.slice(j)[c];
      product += value * query[c];
      square += value * value;
    }
    if (!(length > 0.0 && square > 0.0))
      return make_error(ErrorCode::invalid_argument,
                        fmt::format("the residual of {} is zero: it has no direction to compare",
                                    length > 0.0 ? fmt::format("position {}", j) : target.text));
    made.push_back(product / (length * std::sqrt(square)));
  }
  return made;
}

// The mean over all layers of what the target gives the patches.
Result<std::vector<double>> attention_on(const FusedMaps& maps, const PathTarget& target,
                                         const ImageRegion& region, const JobContext& job) {
  std::vector<double> made(static_cast<size_t>(region.patches()), 0.0);
  std::vector<float> row(static_cast<size_t>(maps.size()));
  for (int32_t l = 0; l < maps.layers(); ++l) {
    SACCADE_CHECK(job.check());
    for (size_t i = 0; i < target.start.size(); ++i) {
      if (target.start[i] == 0.0) continue;
      const auto query = static_cast<int64_t>(i);
      SACCADE_CHECK(maps.rows(l, query, query + 1, row));
      for (size_t j = 0; j < made.size(); ++j)
        made[j] += target.start[i] * row[static_cast<size_t>(region.position(static_cast<int64_t>(j)))] /
                   maps.layers();
    }
  }
  return made;
}

class SimilarityPoints final : public AnalysisMethod {
 public:
  [[nodiscard]] const MethodInfo& info() const override { return info_; }

  [[nodiscard]] Result<AnalysisResult> compute(const MethodInput& given,
                                               const JobContext& job) const override {
    MethodInput input = given;
    SACCADE_TRY(input.parameters, complete_parameters(info_, given.parameters));
    const auto& p = input.parameters;
    if (!input.capture || input.capture->layers.empty())
      return make_error(ErrorCode::invalid_argument, "similarity-points needs a run with captured layers");
    const Capture& capture = *input.capture;
    SACCADE_TRY(const ImageRegion region, picture_region(capture, p["picture"].get<int64_t>(), info_.id));
    SACCADE_TRY(const PathTarget target, path_target(capture, p["query"].get<int64_t>()));
    const auto layers = static_cast<int64_t>(capture.layers.size()), level = p["level"].get<int64_t>();
    if (level > layers)
      return make_error(ErrorCode::invalid_argument,
                        fmt::format("level={}: there are 0 to {}, or -1 for the last", level, layers));
    const HostTensor& residual = level < 0 || level == layers
                                     ? capture.final_resid
                                     : capture.layers[static_cast<size_t>(level)]->resid_pre;
    if (residual.empty())
      return make_error(ErrorCode::invalid_argument,
                        "the run kept no residuals; run it again with residuals");
    SACCADE_TRY(const std::vector<double> similar, cosines(residual, target, region));
    FusionOptions fusion;
    SACCADE_TRY(fusion.heads, parse_head_target(p["heads"].get<std::string>()));
    SACCADE_TRY(const FusedMaps maps, FusedMaps::make(input.capture, *input.kernels, fusion));
    SACCADE_TRY(const std::vector<double> attention, attention_on(maps, target, region, job));
    AnalysisResult result;
    result.method = info_.id;
    result.requests = {capture.provenance.request};
    // No patch is both like and unlike.
    const auto patches = static_cast<int64_t>(similar.size());
    const int64_t k = std::min(p["points"].get<int64_t>(), patches / 2);
    if (k == 0)
      return make_error(ErrorCode::invalid_argument, "the picture is one patch: there is nothing to compare");
    std::vector<int64_t> order(similar.size());
    std::iota(order.begin(), order.end(), int64_t{0});
    std::stable_sort(order.begin(), order.end(), [&](int64_t a, int64_t b) {
      return similar[static_cast<size_t>(a)] > similar[static_cast<size_t>(b)];
    });
    std::vector<double> sign(similar.size(), 0.0);
    Table points{"points", {"point", "patch", "row", "column", "x", "y", "cosine", "attention"}, {}};
    const auto add = [&](const char* name, int64_t patch, double value) {
      const auto at = static_cast<size_t>(patch);
      sign[at] = value;
      const Fixation centre = patch_fixation(region, patch, 0.0, 0);
      points.rows.push_back({name, patch, patch / region.grid_width, patch % region.grid_width, centre.x,
                             centre.y, similar[at], attention[at]});
    };
    for (int64_t i = 0; i < k; ++i) add("positive", order[static_cast<size_t>(i)], 1.0);
    for (int64_t i = 0; i < k; ++i) add("negative", order[static_cast<size_t>(patches - 1 - i)], -1.0);
    result.tables.push_back(std::move(points));
    SACCADE_CHECK(add_map("similarity", "Cosine with " + target.text, ValueKind::signed_difference, similar,
                          capture, region, result));
    SACCADE_CHECK(add_map("points", "Positive and negative points", ValueKind::signed_difference, sign,
                          capture, region, result));
    SACCADE_CHECK(add_map("attention", "Attention of " + target.text + ", mean of layers",
                          ValueKind::probability, attention, capture, region, result));
    // |A and B| / |A or B| of two sets of k.
    const double shared = top_overlap(similar, attention, k), jaccard = shared / (2.0 - shared);
    result.findings.push_back(
        fmt::format("{} is most like patch {},{} (cosine {:.3f}) and least like {},{} ({:.3f}).", target.text,
                    order.front() / region.grid_width, order.front() % region.grid_width,
                    similar[static_cast<size_t>(order.front())], order.back() / region.grid_width,
                    order.back() % region.grid_width, similar[static_cast<size_t>(order.back())]));
    const double rho = spearman(similar, attention);
    result.findings.push_back(fmt::format(
        "Its {} most similar and {} most attended patches have a Jaccard overlap of {:.2f} (chance "
        "{:.2f}){}.",
        k, k, jaccard, chance_jaccard(k, patches),
        std::isnan(rho) ? "" : fmt::format("; rank correlation {:.2f}", rho)));
    result.parameters = std::move(input.parameters);
    return result;
  }

 private:
  // Two random sets of k of n share k / n of each on average.
  static double chance_jaccard(int64_t k, int64_t n) {
    const double shared = static_cast<double>(k) / static_cast<double>(n);
    return shared / (2.0 - shared);
  }

  static Result<void> add_map(const char* name, std::string label, ValueKind kind,
                              const std::vector<double>& values, const Capture& capture,
                              const ImageRegion& region, AnalysisResult& result) {
    Field about = field_about(name, std::move(label), kind);
    about.request = capture.provenance.request;
    const std::vector<float> numbers(values.begin(), values.end());
    SACCADE_TRY(Field field, patch_field(std::move(about), {}, numbers, region));
    result.fields.push_back(std::move(field));
    return {};
  }

  MethodInfo info_ = make_info();
};

}  // namespace

std::unique_ptr<AnalysisMethod> make_similarity_points() { return std::make_unique<SimilarityPoints>(); }

}  // namespace saccade
