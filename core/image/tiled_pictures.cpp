#include "core/image/tiled_pictures.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "core/base/digest.h"

namespace saccade {
namespace {

constexpr int32_t largest_side = 4096;  // Idefics3's own bound

// A window of the picture, black where it reaches beyond it.
Picture window(const Picture& from, int32_t left, int32_t top, const ImageSize& size) {
  Picture made{size.width, size.height, {}, from.name};
  made.rgb.assign(static_cast<size_t>(size.width) * static_cast<size_t>(size.height) * 3, 0);
  const int32_t begin = std::clamp(left, 0, from.width),
                end = std::clamp(left + size.width, begin, from.width);
  for (int32_t y = std::max(0, top); y < std::min(from.height, top + size.height); ++y)
    std::copy_n(from.rgb.begin() + (int64_t{y} * from.width + begin) * 3, (end - begin) * 3,
                made.rgb.begin() + (int64_t{y - top} * size.width + begin - left) * 3);
  return made;
}

// Makes the parts of one picture: what is left to do with each is rescaling and normalising.
class Parts {
 public:
  Parts(const ImageProcessor& processor, const Picture& original) : original_(original), plain_(processor) {
    plain_.tiles = {};
    plain_.resize.reset();
    plain_.crop.reset();
    plain_.pad.reset();
    plain_.pads_to_square = false;
  }
  // `shown`: the size at which all of the picture would be drawn, its upper left corner at (x, y) of the
  // part.
  Result<void> add(const Picture& picture, const ImageSize& shown, double x, double y, int32_t tile_side,
                   int32_t row, int32_t column) {
    SACCADE_TRY(const auto made, plain_.prepare(picture));
    auto part = std::make_shared<PreparedImage>(*made);
    ImageGeometry& g = part->geometry;
    g.original_width = original_.width;
    g.original_height = original_.height;
    g.scale_x = static_cast<double>(shown.width) / original_.width;
    g.scale_y = static_cast<double>(shown.height) / original_.height;
    g.offset_x = x;
    g.offset_y = y;
    part->name = original_.name;
    part->tile_height = part->tile_width = tile_side;
    part->row = row;
    part->column = column;
    Digest digest;
    digest.add("part-1").add(made->digest).add(original_.width).add(original_.height).add(tile_side);
    part->digest = digest.add(row).add(column).hex();
    whole_->parts.push_back(std::move(part));
    return {};
  }
  std::shared_ptr<const PreparedImage> whole() {
    whole_->name = original_.name;
    whole_->geometry.original_width = original_.width;
    whole_->geometry.original_height = original_.height;
    Digest digest;
    digest.add("parts-1");
    for (const auto& part : whole_->parts) digest.add(part->digest);
    whole_->digest = digest.hex();
    return whole_;
  }

 private:
  const Picture& original_;
  ImageProcessor plain_;
  std::shared_ptr<PreparedImage> whole_ = std::make_shared<PreparedImage>();
};

Result<std::shared_ptr<const PreparedImage>> best_fitting(const ImageProcessor& processor,
                                                          const Picture& original) {
  const ImageSize size{original.height, original.width}, tile{processor.tiles.side, processor.tiles.side};
  const ImageSize canvas = best_resolution(size, processor.tiles.resolutions);
  const ImageSize drawn = fitted(size, canvas);
  SACCADE_CHECK(check_picture(original, canvas, "padded to tiles"));
  Parts parts(processor, original);
  SACCADE_CHECK(
      parts.add(resample(original, tile.width, tile.height, processor.filter), tile, 0, 0, 0, 0, 0));
  const int32_t left = (canvas.width - drawn.width) / 2, top = (canvas.height - drawn.height) / 2;
  const Picture resized = resample(original, drawn.width, drawn.height, processor.filter);
  SACCADE_CHECK(parts.add(window(resized, -left, -top, canvas), drawn, left, top, tile.height, 0, 0));
  return parts.whole();
}

Result<std::shared_ptr<const PreparedImage>> in_rows(const ImageProcessor& processor,
                                                     const Picture& original) {
  const int32_t side = processor.tiles.side;
  ImageSize size{original.height, original.width};
  if (processor.tiles.longest_edge > 0) size = with_longest_edge(size, processor.tiles.longest_edge);
  SACCADE_CHECK(check_picture(original, size, "resized"));
  Picture picture = resample(original, size.width, size.height, processor.filter);
  Parts parts(processor, original);
  if (processor.tiles.splits) {
    size = in_whole_tiles(size, side);
    SACCADE_CHECK(check_picture(original, size, "resized to whole tiles"));
    picture = resample(picture, size.width, size.height, processor.filter);
    const int32_t rows = size.height / side, columns = size.width / side;
    for (int32_t tile = 0; rows * columns > 1 && tile < rows * columns; ++tile) {
      const int32_t left = tile % columns * side, top = tile / columns * side;
      SACCADE_CHECK(parts.add(window(picture, left, top, {side, side}), size, -left, -top, 0,
                              tile / columns + 1, tile % columns + 1));
    }
  }
  SACCADE_CHECK(parts.add(resample(picture, side, side, processor.filter), {side, side}, 0, 0, 0, 0, 0));
  return parts.whole();
}

}  // namespace

ImageSize best_resolution(const ImageSize& picture, const std::vector<ImageSize>& resolutions) {
  ImageSize best = resolutions.front();
  int64_t most_kept = 0, least_wasted = std::numeric_limits<int64_t>::max();
  for (const ImageSize& size : resolutions) {
    const double scale = std::min(static_cast<double>(size.width) / picture.width,
                                  static_cast<double>(size.height) / picture.height);
    const int64_t kept =
        std::min(static_cast<int64_t>(picture.width * scale) * static_cast<int64_t>(picture.height * scale),
                 int64_t{picture.width} * picture.height);
    const int64_t wasted = int64_t{size.width} * size.height - kept;
    if (kept > most_kept || (kept == most_kept && wasted < least_wasted)) {
      best = size;
      most_kept = kept;
      least_wasted = wasted;
    }
  }
  return best;
}

ImageSize fitted(const ImageSize& picture, const ImageSize& resolution) {
  const double across = static_cast<double>(resolution.width) / picture.width,
               down = static_cast<double>(resolution.height) / picture.height;
  const auto up = [](double side, int32_t most) {
    return std::min(static_cast<int32_t>(std::ceil(side)), most);
  };
  if (across < down) return {up(picture.height * across, resolution.height), resolution.width};
  return {resolution.height, up(picture.width * down, resolution.width)};
}

ImageSize with_longest_edge(const ImageSize& picture, int32_t longest) {
  const bool wide = picture.width >= picture.height;
  double aspect = static_cast<double>(picture.width) / picture.height;
  // Divided or multiplied as in Transformers: rounding decides.
  const auto other = [&](int32_t side) { return static_cast<int32_t>(wide ? side / aspect : side * aspect); };
  int32_t far = longest, near = other(longest);
  near = std::max(near + near % 2, 1);
  if (far > largest_side) {
    aspect = wide ? static_cast<double>(far) / near : static_cast<double>(near) / far;
    far = largest_side;
    near = std::max(other(far), 1);
  }
  return wide ? ImageSize{near, far} : ImageSize{far, near};
}

ImageSize in_whole_tiles(const ImageSize& picture, int32_t side) {
  const auto up = [side](int32_t length) { return (length + side - 1) / side * side; };
  const double aspect = static_cast<double>(picture.width) / picture.height;
  if (picture.width >= picture.height) {
    const int32_t width = up(picture.width);
    return {up(static_cast<int32_t>(width / aspect)), width};
  }
  const int32_t height = up(picture.height);
  return {height, up(static_cast<int32_t>(height * aspect))};
}

Result<std::shared_ptr<const PreparedImage>> prepare_tiles(const ImageProcessor& processor,
                                                           const Picture& picture) {
  SACCADE_CHECK(check_picture(picture, {picture.height, picture.width}, "read"));
  return processor.tiles.resolutions.empty() ? in_rows(processor, picture) : best_fitting(processor, picture);
}

std::string description_of(const TileRule& rule) {
  const std::string whole = fmt::format("the whole at {} x {}", rule.side, rule.side);
  if (!rule.resolutions.empty()) {
    std::string sizes;
    for (const ImageSize& size : rule.resolutions)
      sizes += fmt::format("{}{} x {}", sizes.empty() ? "" : ", ", size.width, size.height);
    return fmt::format("{}, and tiles of that size of the best of {}", whole, sizes);
  }
  std::string text = rule.longest_edge > 0 ? fmt::format("the longer side to {}, ", rule.longest_edge) : "";
  if (rule.splits) text += "rows of tiles, ";
  return text + whole;
}

}  // namespace saccade
