// A picture that a model has been given, cut to what a mask keeps: as another picture for the same model.
// Works on the prepared pixels, because those are what a request holds. Thread: any.
#pragma once

#include <memory>
#include <vector>

#include "analysis/images/contrast_mask.h"
#include "core/image/image_processor.h"
#include "core/image/placed_image.h"

namespace saccade {

// Pixels outside `kept` ([height, width] of the prepared picture) become `black` (per channel); then the box
// is enlarged, bilinear, to the size of the whole. The geometry says where its pixels were in the original.
[[nodiscard]] std::shared_ptr<const PreparedImage> masked_crop(const PreparedImage& image,
                                                               const std::vector<bool>& kept,
                                                               const MaskRegion& box,
                                                               const std::vector<float>& black);
// What black is after this processor: (0 - mean) / deviation.
[[nodiscard]] std::vector<float> black_of(const ImageProcessor& processor);
// The prepared pixels as colours again, for measures that want a picture.
[[nodiscard]] Picture picture_from(const PreparedImage& image, const ImageProcessor& processor);

}  // namespace saccade
