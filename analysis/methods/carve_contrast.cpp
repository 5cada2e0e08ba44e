#include "analysis/methods/carve_contrast.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "analysis/images/contrast_mask.h"
#include "analysis/mechanisms/matrix.h"
#include "core/capture/attention_map.h"

namespace saccade {
namespace {

constexpr double first_share = 0.62, last_share = 0.80;

double entropy(std::vector<double> weights) {
  mechanisms::normalise(weights);
  double sum = 0.0;
  for (const double p : weights)
    if (p > 0.0) sum -= p * std::log(p);
  return sum;
}

// Weights on the patches of one row, mean over the heads of a layer.
Result<std::vector<double>> image_row(const std::shared_ptr<const Capture>& capture, int32_t layer,
                                      int64_t row, const ImageRegion& region, const KernelSet& kernels) {
  const int32_t heads = capture->spec.n_head;
  std::vector<float> weights(static_cast<size_t>(capture->n_token()));
  std::vector<double> mean(static_cast<size_t>(region.patches()), 0.0);
  for (int32_t h = 0; h < heads; ++h) {
    SACCADE_TRY(const AttentionMap map,
                AttentionMap::of(capture, {LayerIndex{layer}, HeadIndex{h}}, kernels));
    SACCADE_CHECK(map.rows(row, row + 1, capture->n_token(), weights));
    for (size_t j = 0; j < mean.size(); ++j)
      mean[j] +=
          weights[static_cast<size_t>(region.position(static_cast<int64_t>(j)))] / static_cast<double>(heads);
  }
  return mean;
}

}  // namespace

Result<LayerRange> carve_layers(int32_t layers, int32_t from, int32_t to) {
  LayerRange range{from, to};
  if (from < 0) range.from = std::min(static_cast<int32_t>(std::lround(first_share * layers)), layers - 1);
  if (to < 0)
    range.to = std::max(range.from, std::min(static_cast<int32_t>(last_share * layers), layers - 1));
  if (range.to < layers && range.from <= range.to) return range;
  return make_error(
      ErrorCode::invalid_argument,
      fmt::format("layers {} to {} do not fit a model of {} layers", range.from, range.to, layers));
}

Result<CarveContrast> contrast_between(const AnsweredRuns& runs, const LayerRange& layers,
                                       const ImageRegion& region, const KernelSet& kernels,
                                       const JobContext& job) {
  // The row that a token was read from is the position before it.
  const int64_t question_last = runs.question->n_token() - runs.question_made - 1,
                general_last = runs.general->n_token() - runs.general_made - 1;
  CarveContrast contrast;
  contrast.steps = std::max<int64_t>(1, std::min(runs.question_made, runs.general_made));
  std::vector<std::vector<double>> steps;
  for (int64_t t = 0; t < contrast.steps; ++t) {
    std::vector<double> sum(static_cast<size_t>(region.patches()), 0.0);
    for (int32_t l = layers.from; l <= layers.to; ++l) {
      SACCADE_CHECK(job.check());
      SACCADE_TRY(const auto asked, image_row(runs.question, l, question_last + t, region, kernels));
      SACCADE_TRY(const auto general, image_row(runs.general, l, general_last + t, region, kernels));
      const auto ratio = attention_contrast(asked, general);
      for (size_t j = 0; j < sum.size(); ++j) sum[j] += ratio[j];
    }
    steps.push_back(std::move(sum));
  }
  contrast.map = accumulate_contrast(steps);
  const int64_t t = contrast.steps - 1;
  for (int32_t l = 0; l < runs.question->spec.n_layer; ++l) {
    SACCADE_CHECK(job.check());
    SACCADE_TRY(const auto asked, image_row(runs.question, l, question_last + t, region, kernels));
    SACCADE_TRY(const auto general, image_row(runs.general, l, general_last + t, region, kernels));
    contrast.question_entropy.push_back(entropy(asked));
    contrast.general_entropy.push_back(entropy(general));
  }
  return contrast;
}

}  // namespace saccade
