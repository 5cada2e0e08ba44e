#include "app/views/head_map/tile_source.h"

#include <algorithm>
#include <functional>
#include <numeric>

namespace saccade {
namespace {

struct Cells {
  int64_t row, row_end, column, column_end;
};

Cells cells_of(const TileKey& key, int64_t n) {
  const int64_t reach = key.reach(), row = std::min(n, key.row * reach),
                column = std::min(n, key.column * reach);
  return {row, std::min(n, row + reach), column, std::min(n, column + reach)};
}

// out[i / 2] = combine over the pair i, i + 1 of both rows; `below` is null where the map ends.
template <class Combine>
void reduce_rows(const float* above, const float* below, int64_t columns, float* out,
                 const Combine& combine) {
  for (int64_t x = 0; x < columns; x += 2) {
    float value = above[x];
    if (x + 1 < columns) value = combine(value, above[x + 1]);
    if (below) value = combine(value, below[x]);
    if (below && x + 1 < columns) value = combine(value, below[x + 1]);
    out[x / 2] = value;
  }
}

}  // namespace

int64_t tile_rows(const TileKey& key, int64_t cells) {
  const Cells at = cells_of(key, cells);
  return (at.row_end - at.row + (int64_t{1} << key.level) - 1) >> key.level;
}

int64_t tile_columns(const TileKey& key, int64_t cells) {
  return tile_rows({key.level, key.column, key.row}, cells);
}

TileKey root_tile(int64_t cells) {
  TileKey root;
  while (root.reach() < cells) ++root.level;
  return root;
}

bool MapTileSource::masked(const TileKey& key) const {
  const Cells at = cells_of(key, cells());
  return map_.masked(at.row, at.row_end, at.column, at.column_end) &&
         (!minus_ || minus_->masked(at.row, at.row_end, at.column, at.column_end));
}

MapTile MapTileSource::compute(const TileKey& key) const {
  const Cells at = cells_of(key, cells());
  const int64_t lod = int64_t{1} << key.level;
  MapTile made;
  const auto tile = map_.tile(at.row, at.row_end, at.column, at.column_end, lod);
  if (!tile.ok()) return made;
  made.rows = tile->rows;
  made.columns = tile->columns;
  const auto values = minus_ ? tile->block_mass.values() : tile->block_max.values();
  made.values.assign(values.begin(), values.end());
  if (!minus_) return made;
  const auto before = minus_->tile(at.row, at.row_end, at.column, at.column_end, lod);
  if (!before.ok()) return {};
  const auto rows = static_cast<float>(lod);  // rows sum to one: mass per row is what compares
  for (size_t i = 0; i < made.values.size(); ++i)
    made.values[i] = (made.values[i] - before->block_mass.values()[i]) / rows;
  return made;
}

MapTile MapTileSource::reduce(const TileKey& key, const TileChildren& children) const {
  MapTile made{tile_rows(key, cells()), tile_columns(key, cells()), {}};
  made.values.assign(static_cast<size_t>(made.rows * made.columns), 0.0f);
  for (int index = 0; index < 4; ++index) {
    const MapTile* child = children[static_cast<size_t>(index)].get();
    if (!child || child->values.empty()) continue;
    constexpr int64_t half = tile_side / 2;
    float* out = made.values.data() + index / 2 * half * made.columns + index % 2 * half;
    for (int64_t y = 0; y < child->rows; y += 2) {
      const float* above = child->values.data() + y * child->columns;
      const float* below = y + 1 < child->rows ? above + child->columns : nullptr;
      float* to = out + y / 2 * made.columns;
      if (!minus_) {
        reduce_rows(above, below, child->columns, to, [](float a, float b) { return std::max(a, b); });
        continue;
      }
      reduce_rows(above, below, child->columns, to, std::plus<float>());
      for (int64_t x = 0; x < (child->columns + 1) / 2; ++x) to[x] *= 0.5f;  // twice the rows
    }
  }
  return made;
}

std::vector<float> MapTileSource::sample(const TileKey& key, int64_t begin, int64_t end) const {
  const Cells at = cells_of(key, cells());
  const int64_t lod = int64_t{1} << key.level, columns = tile_columns(key, cells());
  std::vector<float> values(static_cast<size_t>((end - begin) * columns), 0.0f);
  for (int64_t row = begin; row < end; ++row) {
    const int64_t query = std::min(at.row + row * lod + lod / 2, at.row_end - 1);
    const int64_t keys_end = map_.causal() ? std::min(at.column_end, query + 1) : at.column_end;
    if (keys_end <= at.column) continue;
    const std::vector<int32_t> queries(static_cast<size_t>(keys_end - at.column),
                                       static_cast<int32_t>(query));
    std::vector<int32_t> keys(queries.size());
    std::iota(keys.begin(), keys.end(), static_cast<int32_t>(at.column));
    const auto weights = map_.weights_at(queries, keys);
    const auto before = minus_ ? minus_->weights_at(queries, keys) : weights;
    if (!weights.ok() || !before.ok()) continue;
    float* out = values.data() + (row - begin) * columns;
    for (size_t j = 0; j < keys.size(); ++j) {
      float& element = out[j >> key.level];
      element = minus_ ? element + (*weights)[j] - (*before)[j] : std::max(element, (*weights)[j]);
    }
  }
  return values;
}

}  // namespace saccade
