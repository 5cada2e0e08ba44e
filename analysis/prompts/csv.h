// A table of texts as JSON: what a person's prompts and labelled texts come in.
#pragma once

#include <nlohmann/json.hpp>
#include <string>

#include "kernels/base/result.h"

namespace saccade {

// RFC 4180 (quoted cells may hold commas, line ends and doubled quotes) as an array of objects: the first row
// names the cells. file: what errors are about.
[[nodiscard]] Result<nlohmann::json> csv_document(const std::string& file, const std::string& text);

}  // namespace saccade
