#include "analysis/scanpath/write_scanpath.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>

#include "analysis/export/metadata.h"
#include "core/base/files.h"

namespace saccade {
namespace {

std::string csv_cell(const std::string& text) {
  if (text.find_first_of(",;\t\"\r\n") == std::string::npos) return text;
  std::string quoted = "\"";
  for (const char c : text) quoted += c == '"' ? "\"\"" : std::string(1, c);
  return quoted + "\"";
}

std::string base64(std::span<const std::byte> bytes) {
  static constexpr std::string_view digits =
      "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  std::string text;
  text.reserve((bytes.size() + 2) / 3 * 4);
  for (size_t i = 0; i < bytes.size(); i += 3) {
    uint32_t three = 0;
    for (size_t k = 0; k < 3; ++k)
      three = three << 8 | (i + k < bytes.size() ? static_cast<uint32_t>(bytes[i + k]) : 0);
    for (size_t k = 0; k < 4; ++k) text += i + k > bytes.size() ? '=' : digits[(three >> (18 - 6 * k)) & 63U];
  }
  return text;
}

Result<std::string> kind_of(std::span<const std::byte> picture) {
  const std::string_view start{reinterpret_cast<const char*>(picture.data()),
                               std::min<size_t>(picture.size(), 16)};
  if (start.starts_with("\xff\xd8\xff")) return std::string("image/jpeg");
  if (start.starts_with("\x89PNG\r\n\x1a\n")) return std::string("image/png");
  if (start.starts_with("GIF8")) return std::string("image/gif");
  if (start.starts_with("RIFF") && start.substr(8, 4) == "WEBP") return std::string("image/webp");
  return make_error(ErrorCode::unsupported, "the picture is no JPEG, PNG, GIF or WebP file");
}

std::string hex(Rgb colour) { return fmt::format("#{:02x}{:02x}{:02x}", colour.r, colour.g, colour.b); }

struct Scale {
  double radius = 0.0, dwell_ms = 250.0, line = 1.0, font = 10.0;
  // Area in proportion to dwell; a fixation without a duration is drawn small, not left out.
  [[nodiscard]] double of(double duration) const {
    return std::max(radius * std::sqrt(duration / dwell_ms), 0.25 * radius);
  }
};

std::string draw_path(const Scanpath& path, Rgb colour, const Scale& scale) {
  std::string svg = fmt::format(
      "<g fill=\"{0}\" stroke=\"{0}\">\n<polyline fill=\"none\" stroke-width=\"{1:.2f}\" "
      "stroke-linejoin=\"round\" stroke-opacity=\"0.9\" points=\"",
      hex(colour), scale.line);
  for (const Fixation& f : path.fixations) svg += fmt::format("{:.2f},{:.2f} ", f.x, f.y);
  svg += "\"/>\n";
  for (const Fixation& f : path.fixations)
    svg += fmt::format(
        "<circle cx=\"{:.2f}\" cy=\"{:.2f}\" r=\"{:.2f}\" fill-opacity=\"0.55\" "
        "stroke-width=\"{:.2f}\"><title>{:.0f} ms</title></circle>\n",
        f.x, f.y, scale.of(f.duration), 0.5 * scale.line, f.duration);
  svg +=
      "</g>\n<g fill=\"#ffffff\" stroke=\"#000000\" stroke-width=\"0.15em\" paint-order=\"stroke\" "
      "text-anchor=\"middle\">\n";
  for (size_t i = 0; i < path.fixations.size(); ++i)
    svg += fmt::format("<text x=\"{:.2f}\" y=\"{:.2f}\">{}</text>\n", path.fixations[i].x,
                       path.fixations[i].y + 0.35 * scale.font, i + 1);
  return svg + "</g>\n";
}

// Under the picture: each path's colour and name, and what a disc's size means.
std::string draw_legend(const ScanpathFigure& figure, const Scale& scale, PictureSize size) {
  std::string svg = "<g fill=\"#202020\">\n";
  double y = static_cast<double>(size.height) + 1.6 * scale.font;
  for (size_t i = 0; i < figure.paths.size(); ++i, y += 1.5 * scale.font) {
    const DrawnPath& drawn = figure.paths[i];
    svg +=
        fmt::format("<rect x=\"{0:.2f}\" y=\"{1:.2f}\" width=\"{0:.2f}\" height=\"{0:.2f}\" fill=\"{2}\"/>\n",
                    scale.font, y - 0.8 * scale.font, hex(scanpath_colour(i)));
    svg += fmt::format("<text x=\"{:.2f}\" y=\"{:.2f}\">{}, {} fixations</text>\n", 2.6 * scale.font, y,
                       xml_escaped(drawn.label.empty() ? describe(drawn.path) : drawn.label),
                       drawn.path.fixations.size());
  }
  svg +=
      fmt::format("<text x=\"{:.2f}\" y=\"{:.2f}\">disc area = dwell; radius {:.1f} px = {:.0f} ms</text>\n",
                  2.6 * scale.font, y, scale.radius, scale.dwell_ms);
  return svg + "</g>\n";
}

}  // namespace

Rgb scanpath_colour(size_t i) {
  static constexpr std::array<Rgb, 7> colours{{{230, 159, 0},
                                               {86, 180, 233},
                                               {0, 158, 115},
                                               {213, 94, 0},
                                               {204, 121, 167},
                                               {240, 228, 66},
                                               {0, 114, 178}}};
  return colours[i % colours.size()];
}

std::string scanpaths_csv(std::span<const Scanpath> paths) {
  std::string csv =
      "subject,stimulus,trial,index,x,y,duration_ms,start_ms,word_index,image_width,image_height\n";
  for (const Scanpath& path : paths)
    for (size_t i = 0; i < path.fixations.size(); ++i) {
      const Fixation& f = path.fixations[i];
      csv += fmt::format("{},{},{},{},{},{},{},{},{},{},{}\n", csv_cell(path.subject),
                         csv_cell(path.stimulus), csv_cell(path.trial), i, f.x, f.y, f.duration,
                         f.start ? fmt::format("{}", *f.start) : "", f.word ? std::to_string(*f.word) : "",
                         path.size.known() ? std::to_string(path.size.width) : "",
                         path.size.known() ? std::to_string(path.size.height) : "");
    }
  return csv;
}

Result<void> write_scanpaths_csv(std::span<const Scanpath> paths, const std::filesystem::path& path) {
  return write_text_file(path, scanpaths_csv(paths));
}

Result<std::string> scanpath_svg(const ScanpathFigure& figure) {
  if (figure.paths.empty())
    return make_error(ErrorCode::invalid_argument, "a scanpath figure without a scanpath");
  for (const DrawnPath& drawn : figure.paths)
    SACCADE_CHECK(check_comparable(figure.paths[0].path, drawn.path, 1));
  const PictureSize size = figure.paths[0].path.size;
  Scale scale;
  scale.radius = figure.radius > 0.0 ? figure.radius : 0.022 * size.diagonal();
  scale.dwell_ms = figure.dwell_ms > 0.0 ? figure.dwell_ms : 250.0;
  scale.line = std::max(0.0025 * size.diagonal(), 0.5);
  scale.font = std::max(0.018 * size.diagonal(), 4.0);
  const double below = scale.font * (1.5 * static_cast<double>(figure.paths.size()) + 3.0);
  std::string svg = fmt::format(
      "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<svg xmlns=\"http://www.w3.org/2000/svg\" "
      "xmlns:xlink=\"http://www.w3.org/1999/xlink\" viewBox=\"0 0 {0} {1:.1f}\" width=\"{0}\" "
      "height=\"{1:.1f}\" "
      "font-family=\"DejaVu Sans, sans-serif\" font-size=\"{2:.2f}\">\n<title>{3}</title>\n"
      "<rect width=\"100%\" height=\"100%\" fill=\"#ffffff\"/>\n"
      "<svg width=\"{0}\" height=\"{4}\">\n<rect width=\"100%\" height=\"100%\" fill=\"#d6d6d6\"/>\n",
      size.width, static_cast<double>(size.height) + below, scale.font,
      xml_escaped(figure.title.empty() ? "Scanpaths" : figure.title), size.height);
  if (!figure.picture.empty()) {
    SACCADE_TRY(const std::string kind, kind_of(figure.picture));
    svg += fmt::format(
        "<image width=\"{}\" height=\"{}\" preserveAspectRatio=\"none\" "
        "xlink:href=\"data:{};base64,{}\"/>\n",
        size.width, size.height, kind, base64(figure.picture));
  }
  for (size_t i = 0; i < figure.paths.size(); ++i)
    svg += draw_path(figure.paths[i].path, scanpath_colour(i), scale);
  return svg + "</svg>\n" + draw_legend(figure, scale, size) + "</svg>\n";
}

Result<void> write_scanpath_svg(const ScanpathFigure& figure, const std::filesystem::path& path) {
  SACCADE_TRY(const std::string svg, scanpath_svg(figure));
  return write_text_file(path, svg);
}

}  // namespace saccade
