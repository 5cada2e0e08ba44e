// VL-SAM's regularised attention flow (Lin et al. 2024, arXiv 2410.05963, section 3.2): maps of decided heads
// count more, layers are multiplied with both residual ways, and the advantage of early columns in a causal
// model is taken out. Thread: any.
//
//   w_lh = mean over rows of the row's largest weight;  A'_l = mean_h w_lh A_lh
//   T_0 = 0,  T_l = (I + A'_l)(I + T_{l-1}), column j times 1 - (L0(j) - 1) / N, then made to have maximum 1
// L0(j): rows that see key j; N: tokens. The rescaling of every layer is ours: it only avoids overflow of the
// product, but it also sets how much I counts.
#pragma once

#include <optional>

#include "analysis/flow/fused_maps.h"
#include "core/base/host_tensor.h"

namespace saccade {

struct VlSamOptions {
  bool causal_correction = true;
  int threads = 1;
};

constexpr int64_t vlsam_most_tokens = 4096;
// T_L, [query, key]. O(L n^3), two matrices are held. Error: more than vlsam_most_tokens.
[[nodiscard]] Result<HostTensor> vlsam_flow(const FusedMaps& maps, const VlSamOptions& options,
                                            const JobContext& job);
// [token]: 1 - (L0(j) - 1) / N of one layer; the window of the layer counts.
[[nodiscard]] std::vector<double> causal_factors(const ModelSpec& spec, int32_t layer, int64_t n);

// The places that prompts for a segmenter are made of, in a map of rows x columns: what is above mean +
// deviations * standard deviation falls into regions (neighbours by side); the largest is the positive area.
struct PeakPoints {
  double threshold = 0.0;
  std::vector<int64_t> area;        // row-major places of the largest region; ties: the first
  std::optional<int64_t> positive;  // the highest place of the area; none where nothing is above
  int64_t negative = 0;             // the lowest place of the map
};
[[nodiscard]] PeakPoints peak_points(std::span<const float> map, int64_t rows, int64_t columns,
                                     double deviations);

}  // namespace saccade
