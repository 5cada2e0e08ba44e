// What a figure file says about itself: put into a PNG as iTXt and pHYs chunks, into an SVG as title, desc
// and metadata elements. (A PDF's is set through cairo.) Thread: any.
#pragma once

#include <string>
#include <string_view>

#include "kernels/base/result.h"

namespace saccade {

struct FigureMetadata {
  std::string title;
  std::string caption;
  std::string provenance;  // one JSON document, ASCII
  std::string program;     // "saccade 0.1.0"
  std::string created;     // ISO 8601
};

// Errors when `png` or `svg` is not what cairo writes.
[[nodiscard]] Result<std::string> png_with_metadata(std::string_view png, const FigureMetadata& metadata,
                                                    double dpi);
[[nodiscard]] Result<std::string> svg_with_metadata(std::string_view svg, const FigureMetadata& metadata);

// Text content for XML 1.0: markup escaped, characters XML cannot hold replaced by U+FFFD. Valid UTF-8 in,
// valid out.
[[nodiscard]] std::string xml_escaped(std::string_view text);

}  // namespace saccade
