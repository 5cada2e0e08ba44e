// TileSource: what the tiles of a map are made of. MapTileSource makes those of one head's attention map.
// Thread: any; immutable.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <optional>
#include <vector>

#include "core/capture/attention_map.h"

namespace saccade {

constexpr int64_t tile_side = 256;  // elements of a tile
constexpr int leaf_level = 2;       // the coarsest level that is computed rather than reduced

struct TileKey {
  int level = 0;                // log2 of the block side
  int64_t row = 0, column = 0;  // in tiles
  auto operator<=>(const TileKey&) const = default;

  [[nodiscard]] int64_t reach() const { return tile_side << level; }  // cells on a side
  [[nodiscard]] TileKey parent() const { return {level + 1, row / 2, column / 2}; }
  // index: 0 top left, 1 top right, 2 bottom left, 3 bottom right.
  [[nodiscard]] TileKey child(int index) const {
    return {level - 1, row * 2 + index / 2, column * 2 + index % 2};
  }
};

struct TileKeyHash {
  size_t operator()(const TileKey& key) const {
    const auto mixed = static_cast<uint64_t>(key.level) * 0x9e3779b97f4a7c15u +
                       static_cast<uint64_t>(key.row) * 0xbf58476d1ce4e5b9u +
                       static_cast<uint64_t>(key.column) * 0x94d049bb133111ebu;
    return static_cast<size_t>(mixed ^ (mixed >> 29));
  }
};

struct MapTile {
  int64_t rows = 0, columns = 0;
  std::vector<float> values;  // [rows, columns]; empty: all masked
  bool sampled = false;       // values of one row of cells per row of elements, not of all
};

// The four children of a tile; null where there is nothing but masked cells or the map has ended.
using TileChildren = std::array<std::shared_ptr<const MapTile>, 4>;

class TileSource {
 public:
  virtual ~TileSource() = default;
  [[nodiscard]] virtual int64_t cells() const = 0;  // queries = keys of the map
  // Whether the mask leaves nothing in this tile.
  [[nodiscard]] virtual bool masked(const TileKey& key) const = 0;
  [[nodiscard]] virtual MapTile compute(const TileKey& key) const = 0;  // exactly
  [[nodiscard]] virtual MapTile reduce(const TileKey& key, const TileChildren& children) const = 0;
  // Rows [begin, end) of the tile, each from one row of cells in the middle of its blocks: [end - begin,
  // columns].
  [[nodiscard]] virtual std::vector<float> sample(const TileKey& key, int64_t begin, int64_t end) const = 0;
};

// Elements of a tile on either axis, cut where the map ends.
[[nodiscard]] int64_t tile_rows(const TileKey& key, int64_t cells);
[[nodiscard]] int64_t tile_columns(const TileKey& key, int64_t cells);
// The tile that holds the whole map.
[[nodiscard]] TileKey root_tile(int64_t cells);

// Values: a block's largest weight; for a difference (B - A) the difference of the blocks' mass per row.
class MapTileSource : public TileSource {
 public:
  explicit MapTileSource(AttentionMap map, std::optional<AttentionMap> minus = std::nullopt)
      : map_(std::move(map)), minus_(std::move(minus)) {}

  [[nodiscard]] int64_t cells() const override { return map_.size(); }
  [[nodiscard]] bool masked(const TileKey& key) const override;
  [[nodiscard]] MapTile compute(const TileKey& key) const override;
  [[nodiscard]] MapTile reduce(const TileKey& key, const TileChildren& children) const override;
  [[nodiscard]] std::vector<float> sample(const TileKey& key, int64_t begin, int64_t end) const override;

 private:
  AttentionMap map_;
  std::optional<AttentionMap> minus_;
};

}  // namespace saccade
