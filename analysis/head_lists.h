// Files of head scores, as published with Retrieval_Head (arXiv 2404.15574): one line of JSON,
// {"layer-head": [score of every kept sample]}, zero-based. Thread: any.
//
// Its program appends the samples of every new run to an old file; ours writes the file anew.
#pragma once

#include <filesystem>
#include <span>
#include <vector>

#include "core/model/model_spec.h"
#include "kernels/base/result.h"

namespace saccade {

using ScoresOfHeads = std::vector<std::vector<double>>;  // [layer * n_head + head][sample]

// Heads the file does not name have no samples. Errors: not such a file, numbers that are not finite, a file
// of a model with more layers or heads, or one that names only a part of this model's (both shapes are said).
[[nodiscard]] Result<ScoresOfHeads> read_head_scores(const std::filesystem::path& path,
                                                     const ModelSpec& spec);
// In the order of the heads' means, highest first, as the published files are.
[[nodiscard]] Result<void> write_head_scores(const std::filesystem::path& path, const ScoresOfHeads& scores,
                                             const ModelSpec& spec);

// Of every head; a head without samples: 0.
[[nodiscard]] std::vector<double> means_of(const ScoresOfHeads& scores);
// Sample standard deviation; fewer than two samples: NaN.
[[nodiscard]] double deviation_of(std::span<const double> values);

}  // namespace saccade
