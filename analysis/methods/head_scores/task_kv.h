// Task-KV's heterogeneous heads: those whose semantic vector lies far from the centre of their layer.
//
//   C = column mean of the last `task_rows` rows, I = the task_keys largest of C
//   v'_h = sum_{j in I} C_j V_j      centre = mean over the layer's heads      D_h = |v'_h - centre|_2
//   layer r of L: the f(r) farthest heads, f(r) = H beta - (H beta - m) / (L - 1) r, rounded
// and the one nearest to the centre stands for the rest. Distances are comparable inside a layer only.
// Source: He et al. 2025 (arXiv 2501.15113); the Euclidean distance is assumed.
#pragma once

#include <span>
#include <string>
#include <vector>

#include "analysis/methods/head_scores/sheet.h"

namespace saccade::head_scores {

[[nodiscard]] int64_t heterogeneous_heads(int64_t layer, int64_t layers, int64_t heads, double beta,
                                          int64_t least);
// columns: C [key]; values: V of one KV head, token t at data + t * stride.
[[nodiscard]] std::vector<double> semantic_vector(std::span<const double> columns, const float* values,
                                                  int64_t stride, int64_t d_head, int64_t keys);
// vectors: one per head of a layer.
[[nodiscard]] std::vector<double> distances_to_centre(std::span<const std::vector<double>> vectors);

// vectors: one per head, empty where there is none.
void add_task_kv(std::span<const std::vector<double>> vectors, const Settings& settings, ScoreSheet& sheet);

}  // namespace saccade::head_scores
