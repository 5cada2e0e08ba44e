// Reads picture files for models: PNG, JPEG, WebP, BMP, TIFF and what else OpenCV decodes, and GIF (gif.h),
// as upright 8-bit red, green, blue. EXIF's orientation is applied; grey and palette pictures become
// coloured, 16 bits become 8, CMYK becomes RGB, transparency is dropped (the colours below it stay, as image
// processors do it); of an animation the first picture is taken. Here and not in core because OpenCV belongs
// in analysis; core takes Picture, plain numbers. OpenCV's exceptions stop here. Thread: any.
#pragma once

#include <filesystem>

#include "core/image/picture.h"
#include "kernels/base/result.h"

namespace saccade {

// Refused with the file's name and the reason: no such file, an empty one, one that is no picture or cut
// short, more than 2^27 pixels (from the header, before anything is decoded).
[[nodiscard]] Result<Picture> read_picture(const std::filesystem::path& path);

}  // namespace saccade
