// What Python's str can do, on UTF-8 that has been checked. Positions count characters. Private header.
//
// Source: the Python 3 library reference, "Text Sequence Type". Thread: any.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "kernels/base/result.h"

namespace saccade::jinja {

[[nodiscard]] bool is_space(char32_t character);  // str.isspace
[[nodiscard]] std::vector<std::string> characters_of(std::string_view text);
// Characters [begin, end), clipped.
[[nodiscard]] std::string_view characters(std::string_view text, size_t begin, size_t end);

enum class Side { left, right, both };
// Without `characters`: white space.
[[nodiscard]] std::string_view strip(std::string_view text, Side side,
                                     const std::optional<std::string>& characters = {});
// At most `most` cuts (negative: all), counted from the right when `from_right`.
[[nodiscard]] std::vector<std::string> split(std::string_view text, std::string_view separator, int64_t most,
                                             bool from_right);
[[nodiscard]] std::vector<std::string> split_at_space(std::string_view text, int64_t most, bool from_right);
[[nodiscard]] std::vector<std::string> split_lines(std::string_view text, bool keep_ends);
// At most `most` times (negative: all).
[[nodiscard]] std::string replace(std::string_view text, std::string_view old, std::string_view with,
                                  int64_t most);
[[nodiscard]] size_t count(std::string_view text, std::string_view part);
[[nodiscard]] std::string html_escape(std::string_view text);

// Case. Errors (unsupported) where a character has no simple mapping that is known here.
Result<std::string> lower(std::string_view text);
Result<std::string> upper(std::string_view text);
Result<std::string> capitalize(std::string_view text);
Result<std::string> title(std::string_view text);  // str.title: every run of letters
[[nodiscard]] bool is_lower(std::string_view text);
[[nodiscard]] bool is_upper(std::string_view text);

[[nodiscard]] std::string quoted(std::string_view text);  // repr
[[nodiscard]] std::string number_text(double value);      // repr of a float
// int(text, base), float(text): nothing where Python raises ValueError; error beyond 64 bits, or for digits
// that are not ASCII.
Result<std::optional<int64_t>> parse_integer(std::string_view text, int64_t base);
Result<std::optional<double>> parse_real(std::string_view text);

}  // namespace saccade::jinja
