#include "app/views/head_map/tile_wish.h"

#include <algorithm>
#include <cmath>

namespace saccade {
namespace {

// The tiles of a level that a rectangle of cells touches.
std::vector<TileKey> tiles_in(const QRectF& cells, int level) {
  const auto reach = static_cast<double>(TileKey{level, 0, 0}.reach());
  const auto first = [&](double from) {
    return std::max<int64_t>(0, std::llround(std::floor(from / reach)));
  };
  std::vector<TileKey> keys;
  for (int64_t row = first(cells.top()); static_cast<double>(row) * reach < cells.bottom(); ++row)
    for (int64_t column = first(cells.left()); static_cast<double>(column) * reach < cells.right(); ++column)
      keys.push_back({level, row, column});
  return keys;
}

// Squared distance, in cells, of the focus from the nearest point of a tile, the middle breaking ties.
std::pair<double, double> distance(const TileKey& key, QPointF focus) {
  const auto reach = static_cast<double>(key.reach());
  const QRectF area(static_cast<double>(key.column) * reach, static_cast<double>(key.row) * reach, reach,
                    reach);
  const double x = std::max({area.left() - focus.x(), 0.0, focus.x() - area.right()}),
               y = std::max({area.top() - focus.y(), 0.0, focus.y() - area.bottom()});
  const QPointF to_middle = area.center() - focus;
  return {x * x + y * y, QPointF::dotProduct(to_middle, to_middle)};
}

}  // namespace

TileWish wish_for(const MapCamera& camera, QPointF focus, double ratio) {
  const TileKey root = root_tile(camera.cells());
  TileWish wish;
  wish.level = std::min(camera.level(ratio), root.level);
  const QRectF seen = camera.visible();
  const auto nearer = [&](const TileKey& a, const TileKey& b) {
    return distance(a, focus) < distance(b, focus);
  };
  wish.visible = tiles_in(seen, wish.level);
  std::sort(wish.visible.begin(), wish.visible.end(), nearer);
  if (wish.level <= leaf_level) {
    const auto reach = static_cast<double>(TileKey{wish.level, 0, 0}.reach());
    const QRectF map(0, 0, static_cast<double>(camera.cells()), static_cast<double>(camera.cells()));
    for (const TileKey& key :
         tiles_in(seen.adjusted(-reach, -reach, reach, reach).intersected(map), wish.level))
      if (std::find(wish.visible.begin(), wish.visible.end(), key) == wish.visible.end())
        wish.soon.push_back(key);
    std::sort(wish.soon.begin(), wish.soon.end(), nearer);
  }
  for (int level = std::min(wish.level - 1, leaf_level); level >= 0; --level) {
    const auto here = tiles_in(QRectF(focus, QSizeF(1e-6, 1e-6)), level);
    wish.soon.insert(wish.soon.begin(), here.begin(), here.end());
  }
  return wish;
}

}  // namespace saccade
