// What demo:shapes-vit learns: one to four shapes of one colour and form among grey shapes, which do not
// count. The answer names all three: "3 red circles".
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "resources/models/shapes.h"

namespace saccade {

inline constexpr int32_t most_counted = 4, most_grey = 2;
inline constexpr int32_t n_count_class = n_shape_kind * most_counted;

struct CountedScene {
  int32_t kind = 0, count = 1;
  ShapeScene scene;
};

// Class of a scene: kind * most_counted + count - 1.
[[nodiscard]] int32_t count_class(int32_t kind, int32_t count);
[[nodiscard]] std::string count_label(int32_t count_class);  // "1 red circle", "3 red circles"
[[nodiscard]] CountedScene draw_counted(Random& random);

}  // namespace saccade
