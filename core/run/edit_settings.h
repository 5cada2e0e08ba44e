// The key=value settings of edits, both ways: one row per key. Private to core/run.
#pragma once

#include <span>
#include <string>
#include <string_view>

#include "core/run/edit.h"

namespace saccade {

struct EditSetting {
  std::string_view key;
  std::string_view expects;                         // "a number": for refusals
  bool (*read)(Edit& edit, std::string_view text);  // false: `text` is not what is expected
  std::string (*text_of)(const Edit& edit);
  bool (*differs)(const Edit& edit);  // from the default
};

[[nodiscard]] const EditSetting& setting_named(std::string_view key);
// As one word of an edit: in quotes where it holds blanks or quotes.
[[nodiscard]] std::string quoted(const std::string& value);

}  // namespace saccade
