// Runs a parsed template. Private header.
#pragma once

#include <map>
#include <optional>
#include <string>

#include "core/tokens/jinja/ast.h"

namespace saccade::jinja {

using Variables = std::map<std::string, Value, std::less<>>;

// `date` is what strftime_now formats; without one, the time it is now. Errors carry "line N" as context;
// raise_exception gives invalid_argument with the template's own message and nothing more.
Result<std::string> evaluate(const Block& block, const Variables& variables, std::optional<std::string> date);

}  // namespace saccade::jinja
