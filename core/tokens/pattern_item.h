// What several stages of a tokenizer.json share: patterns and split behaviours. Thread: any.
#pragma once

#include "core/tokens/json_item.h"
#include "core/tokens/regex.h"
#include "kernels/base/result.h"

namespace saccade::tokens {

// {"String": "..."} or {"Regex": "..."}.
Result<Pattern> read_pattern(const JsonItem& item);

// The error for a stage that is not known: `stage` "normalizer", `type` "BertNormalizer".
Error unsupported_type(std::string_view stage, std::string_view type, const JsonItem& item);

// Calls read(member) for this item, or for each item of the Sequence it is (nested ones too), in order.
// `list_key` names the member of a Sequence that holds the list.
template <class Read>
Result<void> read_sequence(const JsonItem& item, const char* list_key, const Read& read) {
  if (item.is_null()) return {};
  SACCADE_TRY(const std::string type, item.type());
  if (type != "Sequence") return read(item, type);
  const JsonItem list = item[list_key];
  SACCADE_TRY(const size_t count, list.array_size());
  for (size_t i = 0; i < count; ++i) SACCADE_CHECK(read_sequence(list[i], list_key, read));
  return {};
}

}  // namespace saccade::tokens
