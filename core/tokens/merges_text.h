// Merges as text: a line "a b" each, the most important first, "#version: 0.2" before them. A private header.
// Thread: any.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <utility>

#include "core/tokens/bpe.h"
#include "kernels/base/result.h"

namespace saccade::tokens {

// "a b", where neither part has a space; `where` names the place in the error.
Result<std::pair<std::string, std::string>> parse_merge(std::string_view line, std::string_view where);

// At most `limit` merges; what comes after them is not looked at. bad_format names the line.
Result<BpeModel::Merges> read_merges_text(std::string_view text, size_t limit = SIZE_MAX);

}  // namespace saccade::tokens
