#include "core/image/image_processor.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "core/base/digest.h"
#include "core/image/tiled_pictures.h"

namespace saccade {
namespace {

constexpr int64_t most_pixels = int64_t{1} << 27;  // of a picture on its way: 400 MB

// The shorter side becomes `shortest`; with a longest the longer side stays below it, as DETR's processor
// does it, which Transformers uses for this rule.
ImageSize by_edges(const ImageSize& from, int32_t shortest, int32_t longest) {
  const double low = std::min(from.height, from.width), high = std::max(from.height, from.width);
  if (longest == 0) {
    const auto far = static_cast<int32_t>(std::min(shortest * high / low, 2e9));
    return from.width <= from.height ? ImageSize{far, shortest} : ImageSize{shortest, far};
  }
  double raw = shortest;
  if (high / low * shortest > longest) raw = longest * low / high;
  const auto side = std::max(static_cast<int32_t>(std::nearbyint(raw)), 1);
  if (static_cast<int32_t>(low) == side) return from;
  const auto far = std::max(static_cast<int32_t>(raw * high / low), 1);
  return from.width < from.height ? ImageSize{far, side} : ImageSize{side, far};
}

Result<ImageSize> size_after(const ResizeRule& rule, const ImageSize& from) {
  if (rule.exact) return *rule.exact;
  if (rule.smart) return rule.smart->size_of(from);
  if (rule.at_most) {
    const double scale = std::min(static_cast<double>(rule.at_most->height) / from.height,
                                  static_cast<double>(rule.at_most->width) / from.width);
    return ImageSize{std::max(static_cast<int32_t>(from.height * scale), 1),
                     std::max(static_cast<int32_t>(from.width * scale), 1)};
  }
  return by_edges(from, rule.shortest_edge, rule.longest_edge);
}

// A window of the picture that may reach beyond it, where it is `fill`.
Picture window(const Picture& from, int32_t left, int32_t top, int32_t width, int32_t height,
               const std::array<uint8_t, 3>& fill) {
  Picture made{width, height, {}, from.name};
  made.rgb.reserve(static_cast<size_t>(width) * static_cast<size_t>(height) * 3);
  for (int32_t y = top; y < top + height; ++y)
    for (int32_t x = left; x < left + width; ++x) {
      const bool inside = x >= 0 && y >= 0 && x < from.width && y < from.height;
      const uint8_t* pixel =
          inside ? from.rgb.data() +
                       (static_cast<size_t>(y) * static_cast<size_t>(from.width) + static_cast<size_t>(x)) * 3
                 : fill.data();
      made.rgb.insert(made.rgb.end(), pixel, pixel + 3);
    }
  return made;
}

int32_t floor_half(int32_t value) { return value >= 0 ? value / 2 : -((1 - value) / 2); }

void shift(ImageGeometry& geometry, int32_t left, int32_t top) {
  geometry.offset_x -= left;
  geometry.offset_y -= top;
}

void stretch(ImageGeometry& geometry, const ImageSize& from, const ImageSize& to) {
  const double x = static_cast<double>(to.width) / from.width,
               y = static_cast<double>(to.height) / from.height;
  geometry.scale_x *= x;
  geometry.offset_x *= x;
  geometry.scale_y *= y;
  geometry.offset_y *= y;
}

ImageSize size_of(const Picture& picture) { return {picture.height, picture.width}; }

Picture to_square(const Picture& from, const std::array<double, 3>& mean, ImageGeometry& geometry) {
  const int32_t side = std::max(from.width, from.height);
  const int32_t left = (side - from.width) / 2, top = (side - from.height) / 2;
  std::array<uint8_t, 3> fill{};
  std::transform(mean.begin(), mean.end(), fill.begin(),
                 [](double m) { return static_cast<uint8_t>(std::clamp(m * 255.0, 0.0, 255.0)); });
  shift(geometry, -left, -top);
  return window(from, -left, -top, side, side, fill);
}

Result<void> check_size(const Picture& picture, const ImageSize& size, const char* step) {
  if (int64_t{size.height} * size.width <= most_pixels) return {};
  return make_error(
      ErrorCode::invalid_argument,
      fmt::format("{}: {} x {} pixels would become {} x {} when {}: at most {} pixels are taken",
                  picture.name, picture.width, picture.height, size.width, size.height, step, most_pixels));
}

Result<void> check(const Picture& picture) {
  const int64_t pixels = int64_t{picture.width} * picture.height;
  if (picture.width <= 0 || picture.height <= 0)
    return make_error(ErrorCode::invalid_argument, fmt::format("{}: {} x {} pixels: the picture is empty",
                                                               picture.name, picture.width, picture.height));
  if (static_cast<int64_t>(picture.rgb.size()) != pixels * 3)
    return make_error(ErrorCode::invalid_argument,
                      fmt::format("{}: expected {} bytes for {} x {} pixels, found {}", picture.name,
                                  pixels * 3, picture.width, picture.height, picture.rgb.size()));
  return check_size(picture, {picture.height, picture.width}, "read");
}

}  // namespace

Result<void> check_picture(const Picture& picture, const ImageSize& becomes, const char* step) {
  SACCADE_CHECK(check(picture));
  return check_size(picture, becomes, step);
}

Result<std::shared_ptr<const PreparedImage>> ImageProcessor::prepare(const Picture& original) const {
  SACCADE_CHECK(check(original));
  if (tiles.side > 0) return prepare_tiles(*this, original);
  auto prepared = std::make_shared<PreparedImage>();
  ImageGeometry& geometry = prepared->geometry;
  geometry.original_width = original.width;
  geometry.original_height = original.height;
  Picture picture = original;
  if (pads_to_square && picture.width != picture.height) {
    const int32_t side = std::max(picture.width, picture.height);
    SACCADE_CHECK(check_size(original, {side, side}, "padded to a square"));
    picture = to_square(picture, mean, geometry);
  }
  if (resize) {
    const auto chosen = size_after(*resize, size_of(picture));
    if (!chosen.ok()) return Error(chosen.error()).with(original.name);
    const ImageSize size = *chosen;
    SACCADE_CHECK(check_size(original, size, "resized"));
    stretch(geometry, size_of(picture), size);
    picture = resample(picture, size.width, size.height, filter);
  }
  if (crop) {
    const int32_t left = floor_half(picture.width - crop->width),
                  top = floor_half(picture.height - crop->height);
    picture = window(picture, left, top, crop->width, crop->height, {0, 0, 0});
    shift(geometry, left, top);
  }
  const ImageSize whole = pad ? *pad : size_of(picture);
  if (picture.height > whole.height || picture.width > whole.width)
    return make_error(ErrorCode::invalid_argument,
                      fmt::format("{}: {} x {} pixels after resizing do not fit into {} x {}", original.name,
                                  picture.width, picture.height, whole.width, whole.height));
  geometry.width = whole.width;
  geometry.height = whole.height;
  prepared->pixels = HostTensor({3, whole.height, whole.width});
  float* const to = prepared->pixels.mutable_values().data();
  for (int32_t c = 0; c < 3; ++c)
    for (int32_t y = 0; y < picture.height; ++y)
      for (int32_t x = 0; x < picture.width; ++x) {
        const auto at =
            (static_cast<size_t>(y) * static_cast<size_t>(picture.width) + static_cast<size_t>(x)) * 3;
        const auto value = static_cast<float>(picture.rgb[at + static_cast<size_t>(c)] * rescale);
        const auto channel = static_cast<size_t>(c);
        to[(int64_t{c} * whole.height + y) * whole.width + x] =
            (value - static_cast<float>(mean[channel])) / static_cast<float>(deviation[channel]);
      }
  prepared->name = original.name;
  Digest digest;
  digest.add("picture-1").add(geometry.original_width).add(geometry.original_height);
  digest.add(std::as_bytes(prepared->pixels.values()));
  digest.add(int64_t{whole.height}).add(int64_t{whole.width});
  prepared->digest = digest.hex();
  return std::shared_ptr<const PreparedImage>(std::move(prepared));
}

std::string ImageProcessor::description() const {
  static constexpr std::array filters{"nearest", "lanczos", "bilinear", "bicubic", "box", "hamming"};
  std::string text;
  const auto add = [&](const std::string& step) { text += (text.empty() ? "" : ", ") + step; };
  if (pads_to_square) add("pad to a square");
  if (resize) {
    std::string size;
    if (resize->exact) size = fmt::format("{} x {}", resize->exact->width, resize->exact->height);
    if (resize->at_most)
      size = fmt::format("within {} x {}", resize->at_most->width, resize->at_most->height);
    if (const auto& smart = resize->smart)
      size = fmt::format("to multiples of {} within {} to {} pixels", smart->factor, smart->least_pixels,
                         smart->most_pixels);
    if (size.empty()) size = fmt::format("the shorter side to {}", resize->shortest_edge);
    if (resize->longest_edge > 0) size += fmt::format(", the longer to at most {}", resize->longest_edge);
    add(fmt::format("resize {} ({})", size, filters[static_cast<size_t>(filter)]));
  }
  if (tiles.side > 0) add(description_of(tiles));
  if (crop) add(fmt::format("crop {} x {}", crop->width, crop->height));
  if (rescale != 1.0) add(fmt::format("times {:.6g}", rescale));
  add(fmt::format("mean {:.4g} {:.4g} {:.4g}, deviation {:.4g} {:.4g} {:.4g}", mean[0], mean[1], mean[2],
                  deviation[0], deviation[1], deviation[2]));
  if (pad) add(fmt::format("pad to {} x {}", pad->width, pad->height));
  return text;
}

}  // namespace saccade
