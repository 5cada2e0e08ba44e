#include "analysis/images/crop_picture.h"

#include <algorithm>
#include <cmath>

#include "core/base/digest.h"

namespace saccade {

std::shared_ptr<const PreparedImage> masked_crop(const PreparedImage& image, const std::vector<bool>& kept,
                                                 const MaskRegion& box, const std::vector<float>& black) {
  const auto& shape = image.pixels.shape();  // [channel, height, width]
  const int64_t channels = shape[0], height = shape[1], width = shape[2];
  auto cropped = std::make_shared<PreparedImage>();
  cropped->pixels = HostTensor(shape);
  for (int64_t c = 0; c < channels; ++c) {
    GridMap cut{box.bottom - box.top, box.right - box.left, {}};
    for (int64_t y = box.top; y < box.bottom; ++y)
      for (int64_t x = box.left; x < box.right; ++x)
        cut.values.push_back(kept[static_cast<size_t>(y * width + x)] ? image.pixels.at({c, y, x})
                                                                      : black[static_cast<size_t>(c)]);
    const GridMap large = resize_map(cut, height, width);
    for (size_t at = 0; at < large.values.size(); ++at)
      cropped->pixels.mutable_values()[static_cast<size_t>(c * height * width) + at] =
          static_cast<float>(large.values[at]);
  }
  const double down = static_cast<double>(height) / static_cast<double>(box.bottom - box.top),
               across = static_cast<double>(width) / static_cast<double>(box.right - box.left);
  ImageGeometry& g = cropped->geometry;
  g = image.geometry;
  g.offset_x = (g.offset_x - static_cast<double>(box.left)) * across;
  g.offset_y = (g.offset_y - static_cast<double>(box.top)) * down;
  g.scale_x *= across;
  g.scale_y *= down;
  cropped->name = image.name + " (cut to its mask)";
  Digest digest;
  digest.add("masked-crop").add(image.digest);
  for (const int64_t side : {box.top, box.left, box.bottom, box.right}) digest.add(side);
  std::string bits;
  for (const bool bit : kept) bits += bit ? '1' : '0';
  cropped->digest = digest.add(bits).hex();
  return cropped;
}

std::vector<float> black_of(const ImageProcessor& processor) {
  std::vector<float> black;
  for (size_t c = 0; c < 3; ++c)
    black.push_back(static_cast<float>(-processor.mean[c] / processor.deviation[c]));
  return black;
}

Picture picture_from(const PreparedImage& image, const ImageProcessor& processor) {
  const auto& shape = image.pixels.shape();
  Picture picture{static_cast<int32_t>(shape[2]), static_cast<int32_t>(shape[1]), {}, image.name};
  picture.rgb.resize(static_cast<size_t>(shape[1] * shape[2] * 3));
  for (int64_t y = 0; y < shape[1]; ++y)
    for (int64_t x = 0; x < shape[2]; ++x)
      for (int64_t c = 0; c < 3; ++c) {
        const auto channel = static_cast<size_t>(c);
        const double value =
            (image.pixels.at({c, y, x}) * processor.deviation[channel] + processor.mean[channel]) /
            processor.rescale;
        picture.rgb[static_cast<size_t>((y * shape[2] + x) * 3 + c)] =
            static_cast<uint8_t>(std::lround(std::clamp(value, 0.0, 255.0)));
      }
  return picture;
}

}  // namespace saccade
