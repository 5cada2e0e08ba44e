// Parts of a manifest that several lists share: names, texts, and the schema of one parameter. Private to
// plugins/host. Errors name the member by its path.
#pragma once

#include <initializer_list>
#include <optional>
#include <string>
#include <string_view>

#include "analysis/method.h"
#include "core/tokens/json_item.h"

namespace saccade::plugins {

// An object with no other members than these: a misspelt one is an error, not a default.
[[nodiscard]] Result<void> only_members(const tokens::JsonItem& item,
                                        std::initializer_list<std::string_view> known);
[[nodiscard]] Result<std::string> read_name(const tokens::JsonItem& item);
// A text that can be shown; not empty unless a fallback is given.
[[nodiscard]] Result<std::string> read_text(const tokens::JsonItem& item, size_t longest,
                                            std::optional<std::string> fallback = {});
// {"name", "label", "help", "type": "integer" | "number" | "boolean" | "text" | "file", "default", "minimum",
// "maximum", "choices"}
[[nodiscard]] Result<ParameterInfo> read_parameter(const tokens::JsonItem& item);

}  // namespace saccade::plugins
