#include "core/tokens/vocabulary.h"

#include <fmt/format.h>

#include <algorithm>

namespace saccade::tokens {

Result<Vocabulary> Vocabulary::make(std::vector<std::pair<std::string, int64_t>> entries) {
  // Ids may have gaps, but a lying id must not make a small file fill the memory.
  const auto limit = static_cast<int64_t>(entries.size()) * 8 + 65'536;
  int64_t highest = -1;
  for (const auto& [token, id] : entries) {
    if (id < 0 || id >= std::min<int64_t>(limit, INT32_MAX)) {
      return make_error(
          ErrorCode::bad_format,
          fmt::format("the vocabulary gives \"{}\" the id {}, expected one from 0 to about its number "
                      "of entries, {}",
                      token, id, entries.size()));
    }
    highest = std::max(highest, id);
  }
  Vocabulary vocabulary;
  vocabulary.strings_.resize(static_cast<size_t>(highest + 1));
  vocabulary.present_.resize(static_cast<size_t>(highest + 1));
  vocabulary.ids_.reserve(entries.size());
  for (auto& [token, id] : entries) {
    const auto index = static_cast<size_t>(id);
    if (vocabulary.present_[index]) {
      return make_error(ErrorCode::bad_format,
                        fmt::format("the vocabulary gives the id {} to both \"{}\" and \"{}\"", id,
                                    vocabulary.strings_[index], token));
    }
    vocabulary.strings_[index] = std::move(token);
    vocabulary.present_[index] = true;
    const std::string& stored = vocabulary.strings_[index];
    if (!vocabulary.ids_.emplace(stored, static_cast<int32_t>(id)).second) {
      return make_error(ErrorCode::bad_format, fmt::format("the vocabulary lists \"{}\" twice", stored));
    }
  }
  return vocabulary;
}

}  // namespace saccade::tokens
