// The container of GGUF models: metadata and tensors. Versions 2 and 3, little-endian. Format: the GGUF
// specification of ggml. Texts and arrays are views into the file. Thread: any; immutable.
//
// Errors name the item, what was expected and what was found; every count is held against the bytes that are
// left before anything is allocated.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "core/model/checkpoint.h"
#include "kernels/base/result.h"

namespace saccade {

using GgufValue = std::variant<int64_t, double, bool, std::string_view, std::vector<std::string_view>,
                               std::vector<int64_t>, std::vector<double>>;

struct GgufFile {
  std::map<std::string, GgufValue, std::less<>> metadata;
  std::vector<TensorView> tensors;
  std::span<const std::byte> header;  // metadata and tensor table, as bytes

  [[nodiscard]] std::optional<std::string_view> text(std::string_view key) const;
  [[nodiscard]] std::optional<int64_t> integer(std::string_view key) const;
  [[nodiscard]] std::optional<double> number(std::string_view key) const;  // integers, too
  [[nodiscard]] std::optional<bool> flag(std::string_view key) const;
  // Null when there is no such array.
  [[nodiscard]] const std::vector<std::string_view>* texts(std::string_view key) const;
  [[nodiscard]] const std::vector<int64_t>* integers(std::string_view key) const;
  [[nodiscard]] const std::vector<double>* numbers(std::string_view key) const;
};

[[nodiscard]] bool is_gguf(std::span<const std::byte> file);
Result<GgufFile> read_gguf(std::span<const std::byte> file);

}  // namespace saccade
