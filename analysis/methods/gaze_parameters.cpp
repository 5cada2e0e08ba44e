#include "analysis/methods/gaze_parameters.h"

#include <fmt/format.h>

namespace saccade {

std::vector<ParameterInfo> report_parameters() {
  return {{"width", "Width", "Pixels of the picture, where the file does not say it; 0 = not known.", 0, 0,
           65536},
          {"height", "Height", "Pixels of the picture, where the file does not say it; 0 = not known.", 0, 0,
           65536},
          choice("time", "Time unit", "Of durations; automatic: as the column is named, or by the median.",
                 {"automatic", "ms", "s"})};
}

ReportOptions report_options(const nlohmann::json& parameters) {
  ReportOptions options;
  options.size = {parameters["width"].get<int64_t>(), parameters["height"].get<int64_t>()};
  const std::string unit = parameters["time"].get<std::string>();
  if (unit == "ms") options.unit = TimeUnit::milliseconds;
  if (unit == "s") options.unit = TimeUnit::seconds;
  return options;
}

Result<std::filesystem::path> file_parameter(const nlohmann::json& parameters, const std::string& name,
                                             const std::string& kind) {
  const std::string path = parameters[name].get<std::string>();
  if (path.empty())
    return make_error(ErrorCode::invalid_argument,
                      fmt::format("parameter '{}' is empty; give {}", name, kind));
  return std::filesystem::path(path);
}

}  // namespace saccade
