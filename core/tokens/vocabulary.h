// The table of token strings and ids of a model, as the file spells them ("Ġcat", "▁cat", "<0x0A>").
// Immutable; thread: any.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include "kernels/base/result.h"

namespace saccade::tokens {

class Vocabulary {
 public:
  static constexpr int32_t absent = -1;

  Vocabulary() = default;
  // bad_format: a negative id, an id far beyond the number of entries, two strings with one id.
  static Result<Vocabulary> make(std::vector<std::pair<std::string, int64_t>> entries);
  Vocabulary(Vocabulary&&) = default;
  Vocabulary& operator=(Vocabulary&&) = default;
  Vocabulary(const Vocabulary&) = delete;
  Vocabulary& operator=(const Vocabulary&) = delete;

  [[nodiscard]] int32_t find(std::string_view token) const {
    const auto found = ids_.find(token);
    return found == ids_.end() ? absent : found->second;
  }
  // Null where no token has this id.
  [[nodiscard]] const std::string* at(int32_t id) const {
    if (id < 0 || id >= size() || !present_[static_cast<size_t>(id)]) return nullptr;
    return &strings_[static_cast<size_t>(id)];
  }
  [[nodiscard]] int32_t size() const { return static_cast<int32_t>(strings_.size()); }  // highest id + 1
  [[nodiscard]] size_t count() const { return ids_.size(); }

 private:
  std::vector<std::string> strings_;  // by id
  std::vector<bool> present_;
  std::unordered_map<std::string_view, int32_t> ids_;  // views into strings_
};

}  // namespace saccade::tokens
