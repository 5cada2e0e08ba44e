// The escapes of a string in a template, which are Python's. Private header.
#pragma once

#include <string>
#include <string_view>

#include "kernels/base/result.h"

namespace saccade::jinja {

// What stands between the quotes, resolved: \n, \x41, \u00e9 and so on; an unknown escape stays as it is.
// Errors: an escape without its digits, half of a surrogate pair, \N{...}.
Result<std::string> unescape(std::string_view literal);

}  // namespace saccade::jinja
