// "Fixing imbalanced attention": which image tokens a decoder's last row should see more of.
//
// From the encoder's attention: local = the top 25 % by CLS attention of the first layer, summed over heads;
// spatial = the top share by attention received in the first layer (0 % in the released program); summary =
// tokens whose CLS attention in the second to last layer is an upper outlier (above Q3 + 1.5 IQR). Boosted
// are (local + spatial) without summary by alpha, summary by beta: S := S + alpha |S| before the softmax.
// Source: arXiv 2501.12206 and its code: alpha 0.7, beta 0.4 (0.3), decoder layers 2 to the last but one,
// groups; that spatial uses attention received is our reading. Weighting heads is ours. Thread: any.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

namespace saccade {

struct AttentionGroups {
  std::vector<int64_t> local, summary;  // tokens, ascending; they share none
};
// Shares in [0, 1] of all tokens, rounded down.
[[nodiscard]] AttentionGroups attention_groups(std::span<const double> first_cls,
                                               std::span<const double> first_received,
                                               std::span<const double> late_cls, double local_share = 0.25,
                                               double spatial_share = 0.0);
// Indices above Q3 + 1.5 (Q3 - Q1), quartiles interpolated; ascending.
[[nodiscard]] std::vector<int64_t> upper_outliers(std::span<const double> values);
// (x - min) / (max - min); all ones where they are equal.
[[nodiscard]] std::vector<double> head_weights(std::span<const double> image_mass);

}  // namespace saccade
