// The parameters that the methods on human gaze share.
#pragma once

#include "analysis/method.h"
#include "analysis/scanpath/fixation_report.h"

namespace saccade {

// width, height, time: of the pictures and the durations where a file does not say them.
[[nodiscard]] std::vector<ParameterInfo> report_parameters();
[[nodiscard]] ReportOptions report_options(const nlohmann::json& parameters);

// The parameter's path; the error says that a file is needed and which kind.
[[nodiscard]] Result<std::filesystem::path> file_parameter(const nlohmann::json& parameters,
                                                           const std::string& name, const std::string& kind);

}  // namespace saccade
