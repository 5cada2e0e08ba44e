// Which tiles a camera sees, and in which order they matter. Pure arithmetic, no widget, no cache.
#pragma once

#include <QPointF>
#include <vector>

#include "app/views/head_map/map_camera.h"
#include "app/views/head_map/tile_source.h"

namespace saccade {

struct TileWish {
  int level = 0;                 // of the visible tiles
  std::vector<TileKey> visible;  // what is on screen, from the focus outwards
  std::vector<TileKey> soon;     // what is quickly made and likely to be next: a ring around, and the finer
                                 // tiles under the focus
};

// focus: in cells, where the pointer is or the centre of what is seen; ratio: device pixels per logical
// pixel.
[[nodiscard]] TileWish wish_for(const MapCamera& camera, QPointF focus, double ratio = 1.0);

}  // namespace saccade
