// A region of a map as coloured cells: the numbers regenerated strip by strip, never the whole map at once.
// Thread: any.
#pragma once

#include <functional>
#include <vector>

#include "analysis/export/canvas.h"
#include "core/capture/attention_map.h"

namespace saccade {

struct CellRequest {
  const AttentionMap* map = nullptr;
  const AttentionMap* difference_from =
      nullptr;  // shows map - this; the value of a block is the one furthest from 0
  int64_t rows_begin = 0, rows_end = 0, columns_begin = 0, columns_end = 0;
  int64_t lod =
      1;  // side of the block one cell stands for, a power of two; its value is the block's largest weight
  ColourScale scale;
  Rgb masked;  // what no query may see, and keys the sink mode hides
};

// One pixel per cell; progress goes from 0 to 1. Errors: those of the kernels; cancelled.
[[nodiscard]] Result<Pixels> render_cells(const CellRequest& request, const JobContext& job);

// The smallest power of two that brings `cells` down to at most `most`.
[[nodiscard]] int64_t block_side(int64_t cells, int64_t most);

}  // namespace saccade
