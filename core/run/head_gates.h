// Gates of DuoAttention (arXiv 2410.10819): how much each KV head needs the whole context, and which heads
// stream when a share of them must. Pure but for read_head_gates (any thread).
//
// A gate is alpha in [0, 1]: 1 = a retrieval head, full attention; 0 = a streaming head, which sees only the
// first keys (sinks) and the most recent ones.
#pragma once

#include <filesystem>
#include <memory>
#include <span>
#include <vector>

#include "core/capture/vector_file.h"
#include "core/run/edit.h"

namespace saccade {

// full_attention_heads.tsv, or the folder it is in: L rows of as many tab-separated numbers as there are KV
// heads; clipped to [0, 1] (published ones go down to -0.0014). As vectors "gates/LAYER", [kv head]; beside
// it, where a config.json says them, "sink_size" and "recent_size", the lengths the gates were trained with.
// Errors name the file and the line.
Result<std::shared_ptr<const VectorFile>> read_head_gates(const std::filesystem::path& path);

// Which gates stay full at a sparsity: those not under the linear quantile of all gates at it, every gate
// first raised by noise of at most 1e-6 that breaks ties (ours is seeded: the same each time). sparsity <= 0:
// all stay full; >= 1: none.
[[nodiscard]] std::vector<bool> full_heads(std::span<const float> gates, double sparsity);

// A stream edit from= gates, as stream edits of the query heads whose KV heads fall under the cut: one per
// layer that has any, within the edit's target. The cut counts all KV heads of the model. Errors: gates of
// another shape than the model's.
[[nodiscard]] Result<std::vector<Edit>> streams_of(const Edit& edit, const VectorFile& gates,
                                                   const ModelSpec& spec);

}  // namespace saccade
