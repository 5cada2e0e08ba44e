// DAMRO (Gong et al. 2024, arXiv 2410.04514): the image tokens that the encoder's CLS looks at most are where
// background gathers; an answer is steered away from what these alone would say (core/run/contrast.h). Pure
// but for outliers_in(); thread: any.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "analysis/method.h"
#include "core/run/runner.h"

namespace saccade::damro {

struct Options {
  int64_t k = 10;      // outlier tokens: 10 of 576 for LLaVA-1.5 and NeXT
  double alpha = 0.5;  // 0.5 for yes or no, 1.5 to 2 for longer answers
  double plausibility = 0.1;
  bool by_heads = false;  // mean over heads instead of one product over the full width
};
[[nodiscard]] std::vector<ParameterInfo> parameters();
[[nodiscard]] Options read_options(const nlohmann::json& parameters);

// The weight of every patch, [patch], in the last layer of a tower run (Runner::run_tower), whose output the
// decoder reads: softmax(q_cls K^T C^-1/2) with the full width C as the authors' code computes it, or the
// mean over heads of their maps; the prefix is left out. Without a CLS (SigLIP): the mean over all rows
// (own).
[[nodiscard]] Result<std::vector<double>> encoder_weights(const std::shared_ptr<const Capture>& tower,
                                                          bool by_heads, const KernelSet& kernels);
// What the patches of each of the decoder's positions weigh together, [position]: where a model merges
// patches (Qwen2-VL), several become one. Refused: regions that are not of one grid.
[[nodiscard]] Result<std::vector<double>> weights_of_positions(std::vector<double> of_patches,
                                                               const ImageRegion& patches,
                                                               const ImageRegion& positions);
// The k patches with the largest weight, the largest first; ties go to the lower patch.
[[nodiscard]] std::vector<int32_t> outliers(std::span<const double> weights, int64_t k);
// |A & B| / |A or B| of two lists without repeats.
[[nodiscard]] double overlap(std::vector<int32_t> a, std::vector<int32_t> b);

// What a tower run must keep.
[[nodiscard]] CapturePlan tower_plan();
// A way of answering `request`: beside it the same prompt whose every picture is its outliers alone, in the
// order in which they stand in the picture, under those of its edits that give no positions as numbers.
// outliers: one list per picture of the request.
[[nodiscard]] Result<Contrast> contrast(const RunRequest& request,
                                        const std::vector<std::vector<int32_t>>& outliers,
                                        const Options& options);
// The outliers of every picture of a request. Errors: no picture, no tower.
[[nodiscard]] Result<std::vector<std::vector<int32_t>>> outliers_in(Runner& runner, const RunRequest& request,
                                                                    const Options& options,
                                                                    const JobContext& job);

}  // namespace saccade::damro
