// Picture: decoded pixels, upright, 8-bit red, green, blue. Files are read in analysis/images (OpenCV stays
// there); core takes pictures as plain numbers.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace saccade {

struct Picture {
  int32_t width = 0, height = 0;
  std::vector<uint8_t> rgb;  // [height, width, 3]
  std::string name;          // for people: the file's name
};

}  // namespace saccade
