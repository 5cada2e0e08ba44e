// Coloured shapes on a plain background, and how they are drawn. No file, no library: plain numbers.
//
// Shapes are drawn by coverage: of the 4 x 4 points of a pixel, how many lie inside. Thread: any.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "resources/models/random.h"

namespace saccade {

inline constexpr int32_t n_shape_colour = 6;  // red, green, blue, yellow, purple, black
inline constexpr int32_t n_shape_form = 5;    // circle, square, triangle, star, cross
inline constexpr int32_t n_shape_kind = n_shape_colour * n_shape_form;
inline constexpr int32_t grey_colour = n_shape_colour;  // of shapes that do not count

// A kind of object, "red circle": colour * n_shape_form + form.
[[nodiscard]] std::string colour_name(int32_t colour);
[[nodiscard]] std::string form_name(int32_t form);
[[nodiscard]] std::string form_synonym(int32_t form);  // "disc"; the name itself where there is none
[[nodiscard]] std::string form_plural(int32_t form);
[[nodiscard]] std::string kind_name(int32_t kind);
[[nodiscard]] int32_t kind_of(int32_t colour, int32_t form);

struct ShapeObject {
  int32_t colour = 0, form = 0;
  double x = 0.5, y = 0.5;                 // centre, in widths and heights of the picture
  double half_width = 0, half_height = 0;  // the same units
  double turn = 0;                         // radians
  uint8_t rgb[3] = {0, 0, 0};
};

struct ShapeScene {
  std::vector<ShapeObject> objects;
  uint8_t background[3] = {255, 255, 255};
};

struct ShapeBox {
  double left = 0, top = 0, right = 0, bottom = 0;  // pixels; edges, not centres
};

struct ShapePicture {
  int32_t width = 0, height = 0;
  std::vector<uint8_t> rgb;   // [height, width, 3]
  std::vector<int8_t> owner;  // [height, width]: the object that covers most of the pixel, or -1
};

[[nodiscard]] ShapePicture draw_shapes(const ShapeScene& scene, int32_t width, int32_t height);
// The smallest box of whole pixels around what draw_shapes() draws of it.
[[nodiscard]] ShapeBox box_of(const ShapePicture& picture, int32_t object);

// Sizes of objects, as shares of the picture's side.
struct ShapeSizes {
  double smallest = 0.1, largest = 0.15;  // half-widths
  double stretch = 1.4;                   // the widest are this much wider than high, and the reverse
};

struct ShapeWish {
  int32_t colour = 0, form = 0;
};

// Places objects where they do not touch, in the order of the wishes; where there is no room, everything is
// drawn anew and smaller. Colours vary a little; the shapes of a scene are stretched alike.
[[nodiscard]] ShapeScene place_shapes(const std::vector<ShapeWish>& wishes, const ShapeSizes& sizes,
                                      Random& random);

}  // namespace saccade
