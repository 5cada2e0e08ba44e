#include "analysis/methods/damro.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <iterator>
#include <numeric>

#include "analysis/methods/picture_input.h"
#include "core/capture/attention_map.h"
#include "core/model/image_input.h"

namespace saccade::damro {
namespace {

constexpr std::array<std::optional<PositionSet> Edit::*, 4> position_settings{&Edit::query, &Edit::key,
                                                                              &Edit::to, &Edit::within};

void softmax(std::vector<double>& scores) {
  const double highest = *std::max_element(scores.begin(), scores.end());
  double sum = 0.0;
  for (double& score : scores) sum += score = std::exp(score - highest);
  for (double& score : scores) score /= sum;
}

// softmax(q_row K^T C^-1/2), C the width of all heads together.
std::vector<double> full_width_row(const LayerCapture& layer, const ModelSpec& spec, int64_t row, int64_t n) {
  const HostTensor q = layer.q_values(), k = layer.k_values();
  const int64_t d = spec.d_head, width = int64_t{spec.n_head} * d;
  std::vector<double> scores(static_cast<size_t>(n), 0.0);
  for (int64_t j = 0; j < n; ++j) {
    double product = 0.0;
    for (int64_t h = 0; h < spec.n_head; ++h) {
      const float* of_q = q.data() + (row * spec.n_head + h) * d;
      const float* of_k = k.data() + (j * spec.n_kv_head + spec.kv_head_of(static_cast<int32_t>(h))) * d;
      for (int64_t c = 0; c < d; ++c) product += static_cast<double>(of_q[c]) * of_k[c];
    }
    scores[static_cast<size_t>(j)] = product / std::sqrt(static_cast<double>(width));
  }
  softmax(scores);
  return scores;
}

Result<std::vector<double>> mean_row(const std::shared_ptr<const Capture>& tower, int64_t row,
                                     const KernelSet& kernels) {
  const int64_t n = tower->n_token();
  const auto layer = static_cast<int32_t>(tower->layers.size()) - 1;
  std::vector<double> mean(static_cast<size_t>(n), 0.0);
  std::vector<float> weights(static_cast<size_t>(n));
  for (int32_t h = 0; h < tower->spec.n_head; ++h) {
    SACCADE_TRY(const AttentionMap map, AttentionMap::of(tower, {LayerIndex{layer}, HeadIndex{h}}, kernels));
    SACCADE_CHECK(map.rows(row, row + 1, n, weights));
    for (size_t j = 0; j < mean.size(); ++j) mean[j] += double{weights[j]} / tower->spec.n_head;
  }
  return mean;
}

}  // namespace

std::vector<ParameterInfo> parameters() {
  return {
      {"outliers", "Outlier tokens", "Image tokens of the negative branch: 10 of LLaVA's 576.", 10, 1, 1e5},
      {"contrast", "Contrast", "Alpha: 0.5 for yes or no, 1.5 to 2 for longer answers.", 0.5, 0.0, 10.0},
      {"plausibility", "Plausibility",
       "Beta: tokens below this share of the most probable one are never drawn.", 0.1, 0.0, 1.0},
      choice("encoder", "Encoder's weight",
             "full-width: one product over all heads, as the authors' code; heads: the mean of their maps.",
             {"full-width", "heads"})};
}

Options read_options(const nlohmann::json& parameters) {
  return {parameters["outliers"].get<int64_t>(), parameters["contrast"].get<double>(),
          parameters["plausibility"].get<double>(), parameters["encoder"].get<std::string>() == "heads"};
}

Result<std::vector<double>> encoder_weights(const std::shared_ptr<const Capture>& tower, bool by_heads,
                                            const KernelSet& kernels) {
  if (!tower || tower->layers.empty() || tower->images.size() != 1 ||
      !tower->layers.back()->keeps_attention())
    return make_error(ErrorCode::invalid_argument,
                      "expected a run of a vision tower that kept its attention");
  if (!by_heads && !tower->layers.back()->knockouts.empty())
    return make_error(
        ErrorCode::unsupported,
        "damro: patches of this encoder's last layer do not all see each other, which one product "
        "over its full width would not know; take encoder=heads");
  const int64_t n = tower->n_token(), first = tower->images[0].first_patch();
  const int64_t rows = tower->spec.patches.cls ? 1 : n;
  std::vector<double> sum(static_cast<size_t>(n), 0.0);
  for (int64_t row = 0; row < rows; ++row) {
    std::vector<double> weights;
    if (by_heads) {
      SACCADE_TRY(weights, mean_row(tower, row, kernels));
    } else {
      weights = full_width_row(*tower->layers.back(), tower->spec, row, n);
    }
    for (size_t j = 0; j < sum.size(); ++j) sum[j] += weights[j] / static_cast<double>(rows);
  }
  return std::vector<double>(sum.begin() + first, sum.end());
}

Result<std::vector<double>> weights_of_positions(std::vector<double> of_patches, const ImageRegion& patches,
                                                 const ImageRegion& positions) {
  const int32_t merge = positions.grid_width > 0 ? patches.grid_width / positions.grid_width : 0;
  if (merge < 1 || merge * positions.grid_width != patches.grid_width ||
      merge * positions.grid_height != patches.grid_height)
    return make_error(
        ErrorCode::unsupported,
        fmt::format("damro: the encoder sees {} x {} patches and the decoder {} x {}", patches.grid_height,
                    patches.grid_width, positions.grid_height, positions.grid_width));
  if (merge == 1) return of_patches;
  std::vector<double> sums(static_cast<size_t>(positions.grid_height) *
                           static_cast<size_t>(positions.grid_width));
  for (size_t patch = 0; patch < of_patches.size(); ++patch) {
    const auto width = static_cast<size_t>(patches.grid_width), by = static_cast<size_t>(merge);
    sums[patch / width / by * (width / by) + patch % width / by] += of_patches[patch];
  }
  return sums;
}

std::vector<int32_t> outliers(std::span<const double> weights, int64_t k) {
  std::vector<int32_t> order(weights.size());
  std::iota(order.begin(), order.end(), 0);
  std::stable_sort(order.begin(), order.end(), [&](int32_t a, int32_t b) {
    return weights[static_cast<size_t>(a)] > weights[static_cast<size_t>(b)];
  });
  order.resize(std::min(order.size(), static_cast<size_t>(k)));
  return order;
}

double overlap(std::vector<int32_t> a, std::vector<int32_t> b) {
  std::sort(a.begin(), a.end());
  std::sort(b.begin(), b.end());
  std::vector<int32_t> both, any;
  std::set_intersection(a.begin(), a.end(), b.begin(), b.end(), std::back_inserter(both));
  std::set_union(a.begin(), a.end(), b.begin(), b.end(), std::back_inserter(any));
  return any.empty() ? 0.0 : static_cast<double>(both.size()) / static_cast<double>(any.size());
}

CapturePlan tower_plan() {
  CapturePlan plan;
  plan.residuals = plan.statistics = plan.loss = false;
  return plan;
}

Result<Contrast> contrast(const RunRequest& request, const std::vector<std::vector<int32_t>>& outliers,
                          const Options& options) {
  auto negative = std::make_shared<RunRequest>(request);
  std::erase_if(negative->edits, [](const Edit& edit) {
    return std::any_of(position_settings.begin(), position_settings.end(),
                       [&](auto setting) { return edit.*setting && !(edit.*setting)->ranges().empty(); });
  });
  for (size_t i = 0; i < outliers.size(); ++i) {
    std::vector<int32_t> in_order = outliers[i];
    std::sort(in_order.begin(), in_order.end());
    SACCADE_TRY(negative->tokens, with_patches(negative->tokens, i, in_order));
  }
  return Contrast{std::move(negative), options.alpha, options.plausibility};
}

Result<std::vector<std::vector<int32_t>>> outliers_in(Runner& runner, const RunRequest& request,
                                                      const Options& options, const JobContext& job) {
  SACCADE_CHECK(require_picture(request.tokens.places(), runner.model().spec(), "damro"));
  std::vector<std::vector<int32_t>> all;
  for (const PlacedImage& placed : request.tokens.images) {
    SACCADE_TRY(const auto tower, runner.run_tower(placed.image, tower_plan(), job));
    SACCADE_TRY(std::vector<double> weights,
                encoder_weights(tower->capture, options.by_heads, runner.kernels()));
    SACCADE_TRY(weights, weights_of_positions(std::move(weights), tower->capture->images[0], placed.region));
    all.push_back(outliers(weights, options.k));
  }
  return all;
}

}  // namespace saccade::damro
