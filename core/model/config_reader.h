// Reads keys of a config.json with messages that name the key, what was expected and what was found.
// Private to core/model.
#pragma once

#include <initializer_list>
#include <nlohmann/json.hpp>
#include <string>
#include <utility>
#include <vector>

#include "core/model/model_spec.h"
#include "kernels/base/result.h"

namespace saccade {

class ConfigReader {
 public:
  // `inside` is the key that `config` itself stands under, e.g. "rope_scaling"; empty for the whole file.
  explicit ConfigReader(const nlohmann::json& config, std::string inside = "")
      : config_(config), inside_(std::move(inside)) {}

  // A whole number in [1, most]. The keys are spellings of one thing: those that are there must agree.
  // `fallback` 0 = required.
  Result<int32_t> count(std::initializer_list<const char*> keys, int32_t fallback = 0,
                        int32_t most = 1 << 24) const;
  Result<double> positive(const char* key, double fallback) const;  // `fallback` 0 = required
  Result<double> number(const char* key, double fallback) const;    // any finite one
  // A list of `size` positive numbers.
  Result<std::vector<double>> positives(const char* key, size_t size) const;
  Result<std::vector<std::string>> texts(const char* key) const;  // empty when absent
  // A list of 0/1 or false/true, one per layer; empty when absent.
  Result<std::vector<bool>> flags(const char* key, int32_t n) const;
  Result<bool> flag(const char* key, bool fallback) const;
  Result<std::string> text(const char* key, const std::string& fallback) const;
  Result<Activation> activation(const char* key, const std::string& fallback) const;
  // A number, a list of numbers, or null.
  Result<std::vector<int32_t>> ids(const char* key) const;
  // The object under a key, null when absent or null.
  Result<const nlohmann::json*> object(const char* key) const;
  // An error when `key` is there with another value: the model would not be computed as it was meant.
  Result<void> only(const char* key, const nlohmann::json& value) const;
  [[nodiscard]] bool has(const char* key) const { return find(key) != nullptr; }

  // "config.json: 'rope_scaling.factor': expected a positive number, found -1"
  [[nodiscard]] Error wrong(const std::string& key, const std::string& expected,
                            const nlohmann::json& found) const;

 private:
  [[nodiscard]] const nlohmann::json* find(const char* key) const;  // null when absent or null
  const nlohmann::json& config_;
  std::string inside_;
};

// a * b = whole, or an error that names both keys.
Result<int32_t> divide(const char* whole_key, int32_t whole, const char* part_key, int32_t parts);

}  // namespace saccade
