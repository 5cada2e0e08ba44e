#include "analysis/export/metadata.h"

#include <fmt/format.h>
#include <zlib.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <map>

namespace saccade {
namespace {

void append_number(std::string& bytes, uint32_t number) {
  for (int shift = 24; shift >= 0; shift -= 8) bytes += static_cast<char>(number >> shift & 0xffU);
}

// PNG 1.2, 3.2: length, type, data, CRC of type and data.
std::string png_chunk(std::string_view type, std::string_view data) {
  const std::string body = std::string(type) + std::string(data);
  std::string chunk;
  append_number(chunk, static_cast<uint32_t>(data.size()));
  chunk += body;
  append_number(chunk, static_cast<uint32_t>(crc32(0, reinterpret_cast<const Bytef*>(body.data()),
                                                   static_cast<uInt>(body.size()))));
  return chunk;
}

// iTXt: keyword, 0, not compressed, no language, no translated keyword, UTF-8 text.
std::string text_chunk(std::string_view keyword, std::string_view text) {
  std::string data(keyword);
  data += std::string(5, '\0');
  data += text;
  return png_chunk("iTXt", data);
}

// Cairo numbers images and surfaces through the whole process; counted from 1 in each file, the same figure
// is the same bytes.
std::string renumbered(std::string_view svg, std::string_view word) {
  std::map<std::string_view, size_t> numbers;
  std::string result;
  for (size_t at = svg.find(word); at != std::string_view::npos; at = svg.find(word)) {
    const size_t digits = at + word.size();
    const size_t end = std::min(svg.find_first_not_of("0123456789", digits), svg.size());
    const bool is_name = at > 0 && (svg[at - 1] == '"' || svg[at - 1] == '#') && end > digits;
    result += svg.substr(0, digits);
    if (is_name)
      result += std::to_string(
          numbers.try_emplace(svg.substr(digits, end - digits), numbers.size() + 1).first->second);
    else
      result += svg.substr(digits, end - digits);
    svg.remove_prefix(end);
  }
  return result += svg;
}

}  // namespace

Result<std::string> png_with_metadata(std::string_view png, const FigureMetadata& metadata, double dpi) {
  constexpr size_t header = 8 + 4 + 4 + 13 + 4;  // signature and IHDR
  if (png.size() < header || png.substr(12, 4) != "IHDR")
    return make_error(ErrorCode::internal, "the PNG writer did not give a PNG");
  std::string result(png.substr(0, header));
  std::string resolution;
  const auto per_metre = static_cast<uint32_t>(std::lround(dpi / 0.0254));
  append_number(resolution, per_metre);
  append_number(resolution, per_metre);
  resolution += '\1';  // the unit is the metre
  result += png_chunk("pHYs", resolution);
  result += text_chunk("Title", metadata.title);
  result += text_chunk("Description", metadata.caption);
  result += text_chunk("Software", metadata.program);
  result += text_chunk("Provenance", metadata.provenance);
  result += png.substr(header);
  return result;
}

std::string xml_escaped(std::string_view text) {
  std::string escaped;
  escaped.reserve(text.size());
  for (char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (c == '&')
      escaped += "&amp;";
    else if (c == '<')
      escaped += "&lt;";
    else if (c == '>')
      escaped += "&gt;";
    else if (c == '"')
      escaped += "&quot;";
    else if (byte < 0x20 && c != '\t' && c != '\n')
      escaped += "\xEF\xBF\xBD";
    else
      escaped += c;
  }
  return escaped;
}

Result<std::string> svg_with_metadata(std::string_view svg, const FigureMetadata& metadata) {
  const size_t root = svg.find("<svg");
  const size_t inside = root == std::string_view::npos ? root : svg.find('>', root);
  if (inside == std::string_view::npos)
    return make_error(ErrorCode::internal, "the SVG writer did not give an SVG");
  std::string result(svg.substr(0, inside + 1));
  result += fmt::format("\n<title>{}</title>\n<desc>{}</desc>\n<metadata>{}</metadata>",
                        xml_escaped(metadata.title), xml_escaped(metadata.caption),
                        xml_escaped(metadata.provenance));
  // Renderers smooth enlarged images unless told not to; a map's cells are sharp.
  const std::string drawing = renumbered(renumbered(svg.substr(inside + 1), "image"), "surface");
  std::string_view rest = drawing;
  for (size_t image = rest.find("<image "); image != std::string_view::npos; image = rest.find("<image ")) {
    result += rest.substr(0, image);
    result += "<image style=\"image-rendering:pixelated\" ";
    rest.remove_prefix(image + 7);
  }
  result += rest;
  return result;
}

}  // namespace saccade
