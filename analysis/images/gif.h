// The first picture of a GIF file (the GIF89a specification of CompuServe, 1990): LZW, interlacing, global
// and local colour tables. As Pillow does it, a first picture smaller than the screen leaves the rest of the
// screen in its transparent colour, or in colour 0; a larger one enlarges the screen; transparent pixels keep
// their colour; without any colour table the numbers are grey. OpenCV reads GIF from version 4.11 on only,
// and through GDAL with other colours, so that it is read here. Thread: any.
#pragma once

#include <cstdint>
#include <span>

#include "core/image/picture.h"
#include "kernels/base/result.h"

namespace saccade {

[[nodiscard]] bool is_gif(std::span<const unsigned char> bytes);

// A picture without a name. bad_format for what is cut short or breaks the format; invalid_argument for more
// than `most_pixels`, before they are decoded.
[[nodiscard]] Result<Picture> read_gif(std::span<const unsigned char> bytes, int64_t most_pixels);

}  // namespace saccade
