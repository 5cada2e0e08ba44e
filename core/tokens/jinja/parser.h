// A template's tokens as a tree. Private header.
//
// Source: the Jinja 3.1 template designer documentation, "List of Control Structures", "Expressions"; the
// loop control extension (break, continue) and Transformers' {% generation %}. Errors (bad_format, or
// unsupported for tags that are left out) begin with "line N: " and say what was found. Thread: any.
#pragma once

#include <string_view>

#include "core/tokens/jinja/ast.h"
#include "core/tokens/jinja/lexer.h"

namespace saccade::jinja {

inline constexpr int max_parse_depth = 100;  // brackets, operators and blocks inside each other

// Checks that every filter and test exists, but for those under an `if`, which count when they are reached.
Result<Block> parse(std::string_view source);

}  // namespace saccade::jinja
