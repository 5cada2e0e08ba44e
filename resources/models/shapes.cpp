#include "resources/models/shapes.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <numbers>

namespace saccade {
namespace {

struct FormWords {
  const char *name, *synonym, *plural;
};
constexpr std::array<FormWords, n_shape_form> forms{{{"circle", "disc", "circles"},
                                                     {"square", "box", "squares"},
                                                     {"triangle", "triangle", "triangles"},
                                                     {"star", "star", "stars"},
                                                     {"cross", "plus", "crosses"}}};

struct Colour {
  const char* name;
  std::array<int32_t, 3> rgb;
};
constexpr std::array<Colour, n_shape_colour + 1> colours{{{"red", {214, 40, 40}},
                                                          {"green", {38, 152, 62}},
                                                          {"blue", {40, 92, 214}},
                                                          {"yellow", {236, 190, 24}},
                                                          {"purple", {140, 60, 176}},
                                                          {"black", {28, 28, 32}},
                                                          {"grey", {150, 150, 152}}}};
constexpr int32_t colour_jitter = 12;
constexpr int32_t samples = 4;  // along each side of a pixel

struct Point {
  double x = 0, y = 0;
};

// Corners in a square from -1 to 1.
const std::vector<Point>& corners(int32_t form) {
  static const std::vector<Point> none, square{{-0.88, -0.88}, {0.88, -0.88}, {0.88, 0.88}, {-0.88, 0.88}},
      triangle{{0, -1}, {1, 0.85}, {-1, 0.85}}, star = [] {
        std::vector<Point> points;
        for (int32_t i = 0; i < 10; ++i) {
          const double angle = std::numbers::pi * (i / 5.0 - 0.5), radius = i % 2 == 0 ? 1.08 : 0.46;
          points.push_back({radius * std::cos(angle), radius * std::sin(angle)});
        }
        return points;
      }();
  switch (form) {
    case 1:
      return square;
    case 2:
      return triangle;
    case 3:
      return star;
    default:
      return none;
  }
}

// Even-odd rule.
bool inside_polygon(const std::vector<Point>& polygon, Point at) {
  bool inside = false;
  for (size_t i = 0, j = polygon.size() - 1; i < polygon.size(); j = i++) {
    const Point a = polygon[i], b = polygon[j];
    if ((a.y > at.y) != (b.y > at.y) && at.x < (b.x - a.x) * (at.y - a.y) / (b.y - a.y) + a.x)
      inside = !inside;
  }
  return inside;
}

bool inside_form(int32_t form, Point at) {
  if (form == 0) return at.x * at.x + at.y * at.y <= 1.0;
  if (form != 4) return inside_polygon(corners(form), at);
  const double u = std::abs(at.x), v = std::abs(at.y), arm = 0.34;
  return (u <= arm && v <= 1.0) || (v <= arm && u <= 1.0);
}

constexpr double reach = 1.3;  // of any form, in half-widths

class Brush {
 public:
  Brush(const ShapeObject& object, int32_t width, int32_t height)
      : object_(object),
        x_(object.x * width),
        y_(object.y * height),
        half_width_(object.half_width * width),
        half_height_(object.half_height * height),
        cosine_(std::cos(object.turn)),
        sine_(std::sin(object.turn)) {
    left = std::max(0, static_cast<int32_t>(std::floor(x_ - reach * half_width_)));
    right = std::min(width, static_cast<int32_t>(std::ceil(x_ + reach * half_width_)));
    top = std::max(0, static_cast<int32_t>(std::floor(y_ - reach * half_height_)));
    bottom = std::min(height, static_cast<int32_t>(std::ceil(y_ + reach * half_height_)));
  }
  // Of the pixel's points, how many lie inside.
  [[nodiscard]] int32_t covered(int32_t x, int32_t y) const {
    int32_t count = 0;
    for (int32_t j = 0; j < samples; ++j)
      for (int32_t i = 0; i < samples; ++i) {
        const double u = (x + (i + 0.5) / samples - x_) / half_width_;
        const double v = (y + (j + 0.5) / samples - y_) / half_height_;
        count += inside_form(object_.form, {u * cosine_ + v * sine_, v * cosine_ - u * sine_}) ? 1 : 0;
      }
    return count;
  }
  int32_t left = 0, top = 0, right = 0, bottom = 0;

 private:
  const ShapeObject& object_;
  double x_, y_, half_width_, half_height_, cosine_, sine_;
};

bool apart(const ShapeObject& a, const ShapeObject& b) {
  const double gap = 0.02, dx = std::abs(a.x - b.x), dy = std::abs(a.y - b.y);
  return dx > 1.06 * (a.half_width + b.half_width) + gap || dy > 1.06 * (a.half_height + b.half_height) + gap;
}

bool place(ShapeObject& object, const std::vector<ShapeObject>& others, Random& random) {
  constexpr int32_t tries = 60;
  const double margin = 1.1;
  for (int32_t t = 0; t < tries; ++t) {
    object.x = random.uniform(margin * object.half_width, 1 - margin * object.half_width);
    object.y = random.uniform(margin * object.half_height, 1 - margin * object.half_height);
    if (std::all_of(others.begin(), others.end(), [&](const auto& other) { return apart(object, other); }))
      return true;
  }
  return false;
}

void choose_colour(ShapeObject& object, Random& random) {
  for (size_t channel = 0; channel < 3; ++channel)
    object.rgb[channel] =
        static_cast<uint8_t>(std::clamp(colours[static_cast<size_t>(object.colour)].rgb[channel] +
                                            random.between(-colour_jitter, colour_jitter),
                                        0, 255));
}

}  // namespace

std::string colour_name(int32_t colour) { return colours[static_cast<size_t>(colour)].name; }
std::string form_name(int32_t form) { return forms[static_cast<size_t>(form)].name; }
std::string form_synonym(int32_t form) { return forms[static_cast<size_t>(form)].synonym; }
std::string form_plural(int32_t form) { return forms[static_cast<size_t>(form)].plural; }
int32_t kind_of(int32_t colour, int32_t form) { return colour * n_shape_form + form; }
std::string kind_name(int32_t kind) {
  return colour_name(kind / n_shape_form) + " " + form_name(kind % n_shape_form);
}

ShapePicture draw_shapes(const ShapeScene& scene, int32_t width, int32_t height) {
  const size_t pixels = static_cast<size_t>(width) * static_cast<size_t>(height);
  ShapePicture picture{width, height, std::vector<uint8_t>(pixels * 3), std::vector<int8_t>(pixels, -1)};
  for (size_t i = 0; i < picture.rgb.size(); ++i) picture.rgb[i] = scene.background[i % 3];
  for (size_t index = 0; index < scene.objects.size(); ++index) {
    const ShapeObject& object = scene.objects[index];
    const Brush brush(object, width, height);
    for (int32_t y = brush.top; y < brush.bottom; ++y)
      for (int32_t x = brush.left; x < brush.right; ++x) {
        constexpr int32_t all = samples * samples;
        const int32_t covered = brush.covered(x, y);
        if (covered == 0) continue;
        const size_t at = static_cast<size_t>(y) * static_cast<size_t>(width) + static_cast<size_t>(x);
        if (2 * covered >= all) picture.owner[at] = static_cast<int8_t>(index);
        for (size_t c = 0; c < 3; ++c) {
          uint8_t& value = picture.rgb[3 * at + c];
          value = static_cast<uint8_t>((object.rgb[c] * covered + value * (all - covered) + all / 2) / all);
        }
      }
  }
  return picture;
}

ShapeBox box_of(const ShapePicture& picture, int32_t object) {
  ShapeBox box{static_cast<double>(picture.width), static_cast<double>(picture.height), 0, 0};
  for (int32_t y = 0; y < picture.height; ++y)
    for (int32_t x = 0; x < picture.width; ++x) {
      if (picture.owner[static_cast<size_t>(y) * static_cast<size_t>(picture.width) +
                        static_cast<size_t>(x)] != object)
        continue;
      box.left = std::min<double>(box.left, x);
      box.top = std::min<double>(box.top, y);
      box.right = std::max<double>(box.right, x + 1);
      box.bottom = std::max<double>(box.bottom, y + 1);
    }
  return box;
}

ShapeScene place_shapes(const std::vector<ShapeWish>& wishes, const ShapeSizes& sizes, Random& random) {
  ShapeScene scene;
  const int32_t light = random.between(212, 246);
  for (auto& channel : scene.background)
    channel = static_cast<uint8_t>(std::clamp(light + random.between(-6, 6), 0, 255));
  const double log_stretch = std::log(sizes.stretch);
  const double stretch = std::exp(random.uniform(-log_stretch, log_stretch) / 2);
  double shrink = 1.0;
  while (scene.objects.size() < wishes.size()) {
    const ShapeWish& wish = wishes[scene.objects.size()];
    ShapeObject object;
    object.colour = wish.colour;
    object.form = wish.form;
    const double half = random.uniform(sizes.smallest, sizes.largest) * shrink;
    object.half_width = half * stretch;
    object.half_height = half / stretch;
    object.turn = random.uniform(-0.2, 0.2);
    choose_colour(object, random);
    if (place(object, scene.objects, random)) {
      scene.objects.push_back(object);
    } else {  // begin again, a little smaller
      scene.objects.clear();
      shrink *= 0.95;
    }
  }
  return scene;
}

}  // namespace saccade
