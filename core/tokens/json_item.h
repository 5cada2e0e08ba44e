// Reading tokenizer files: JSON with limits, and items that know their own path so that errors can name them.
//
// The text must outlive nothing; a JsonItem refers to a Json value that must outlive it. Thread: any.
#pragma once

#include <cstdint>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <string_view>

#include "kernels/base/result.h"

namespace saccade::tokens {

using Json = nlohmann::json;

// bad_format with the byte position when the text is no JSON, or is nested deeper than any tokenizer needs.
Result<Json> parse_json(std::string_view text);

// One value of a document: "model.merges[3]".
class JsonItem {
 public:
  JsonItem(const Json& value, std::string path) : value_(&value), path_(std::move(path)) {}

  [[nodiscard]] const Json& json() const { return *value_; }
  [[nodiscard]] const std::string& path() const { return path_; }
  [[nodiscard]] bool is_null() const { return value_->is_null(); }

  // A member; a null item when it is absent or this is no object.
  [[nodiscard]] JsonItem operator[](std::string_view key) const;
  [[nodiscard]] JsonItem operator[](size_t index) const;  // index < size of the array
  [[nodiscard]] Result<size_t> array_size() const;        // error when this is no array

  // The value itself; an absent or null one gives the fallback, or an error where there is none.
  [[nodiscard]] Result<bool> boolean(std::optional<bool> fallback = {}) const;
  [[nodiscard]] Result<std::string> string(std::optional<std::string> fallback = {}) const;
  [[nodiscard]] Result<int64_t> integer(std::optional<int64_t> fallback = {}) const;
  // The member "type", which every stage must have.
  [[nodiscard]] Result<std::string> type() const;

  [[nodiscard]] Error expected(std::string_view what) const;  // "normalizer.prepend: expected text, found 3"

 private:
  const Json* value_;
  std::string path_;
};

}  // namespace saccade::tokens
