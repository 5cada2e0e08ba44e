// json.dumps of a value. Private header.
#pragma once

#include "core/tokens/jinja/machine.h"
#include "core/tokens/jinja/value.h"

namespace saccade::jinja {

struct JsonStyle {
  bool ensure_ascii = false, sort_keys = false;
  std::optional<std::string> indent;  // of one level
  std::string item_separator = ", ", key_separator = ": ";
};

// Error for what JSON cannot hold: undefined, ranges, callables, a tuple as a key.
Result<std::string> to_json(Machine& machine, const Value& value, const JsonStyle& style);

}  // namespace saccade::jinja
