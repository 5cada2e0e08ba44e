// How much each token of the prompt counts for one answer, told in different ways. Vectors are [token].
#pragma once

#include <memory>
#include <span>
#include <vector>

#include "analysis/logit_map.h"
#include "core/capture/capture.h"
#include "core/run/gradient.h"

namespace saccade {

// sum_d x_d g_d of every row; x and g [pos, width].
[[nodiscard]] std::vector<double> row_products(const HostTensor& x, const HostTensor& g);
[[nodiscard]] std::vector<double> row_lengths(const HostTensor& g);  // |g|_2

// Integrated gradients (Sundararajan et al. 2017, arXiv 1703.01365, eq. 2) from `from` to `to`, [pos, width]:
// the difference times the mean gradient at hook_embed of the points on the way. They sum to the change of
// the scalar.
[[nodiscard]] std::vector<double> integrated_gradients(const HostTensor& from, const HostTensor& to,
                                                       std::span<const GradientCapture* const> path);

// Direct logit attribution by source token: what all heads write into `direction` at the last position from
// each key, sum over layers and heads of p_j v_j W_O. The capture holds q, k, v and the last residual.
// Refuses models whose logits are not linear in the residual (LogitMap::make).
[[nodiscard]] Result<std::vector<double>> direct_sources(const std::shared_ptr<const Capture>& capture,
                                                         const std::shared_ptr<const Model>& model,
                                                         const VocabularyDirection& direction,
                                                         const KernelSet& kernels);

// Every row the mean of all rows: an embedding that says nothing about which tokens there are.
[[nodiscard]] HostTensor mean_rows(const HostTensor& x);

}  // namespace saccade
