// Texts that come from outside: a manifest or a plugin. They are shown in windows and terminals, so that a
// text is UTF-8, of bounded length, and holds no control character. Thread: any.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

#include "kernels/base/result.h"

namespace saccade::plugins {

constexpr size_t longest_text = size_t{64} << 10;  // bytes of a sentence or a cell
constexpr size_t longest_name = 256;               // bytes of a name, a unit, an axis label

// Ok, or why it cannot be shown: "is longer than 256 bytes", "holds a control character at byte 3".
[[nodiscard]] Result<void> check_text(std::string_view text, size_t longest);
// The same for what a C pointer points to; null is an error. At most longest + 1 bytes are read.
[[nodiscard]] Result<std::string> read_c_text(const char* text, size_t longest);
// Made fit to be shown: U+FFFD for what is not UTF-8, '?' for control characters.
[[nodiscard]] std::string printable(std::string_view text);
// The same of at most some 60 bytes, for a message.
[[nodiscard]] std::string shown(std::string_view text);
// Letters, digits, '_' and '-', beginning with a letter: ids and names of fields, tables and parameters.
[[nodiscard]] bool is_name(std::string_view text);

}  // namespace saccade::plugins
