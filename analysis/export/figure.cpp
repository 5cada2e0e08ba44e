#include "analysis/export/figure.h"

#include <fmt/format.h>

#include <algorithm>
#include <cctype>

namespace saccade {

Result<FigureFormat> figure_format_of(const std::filesystem::path& path) {
  std::string extension = path.extension().string();
  std::transform(extension.begin(), extension.end(), extension.begin(),
                 [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  if (extension == ".png") return FigureFormat::png;
  if (extension == ".svg") return FigureFormat::svg;
  if (extension == ".pdf") return FigureFormat::pdf;
  return make_error(ErrorCode::invalid_argument,
                    fmt::format("{}: a figure's name must end in .png, .svg or .pdf, found '{}'",
                                path.string(), path.extension().string()));
}

}  // namespace saccade
