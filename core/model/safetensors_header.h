// The JSON header of a safetensors file, read without trusting it. Format: huggingface/safetensors, "Format"
// section of its README. Private to core/model. Thread: any.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "core/model/checkpoint.h"
#include "kernels/base/result.h"

namespace saccade {

struct HeaderEntry {
  std::string name;
  DType dtype = DType::f32;
  std::vector<int64_t> shape;
  uint64_t begin = 0, end = 0;  // bytes, counted from the end of the header

  // Bytes that shape and dtype ask for; never overflows, the reader refuses such shapes.
  [[nodiscard]] uint64_t expected_bytes() const;
};

// Parses event by event and stops at the first thing that does not belong there, so neither depth nor size of
// a hostile header costs memory. Errors name the tensor, what was expected and what was found, not the file.
Result<std::vector<HeaderEntry>> parse_safetensors_header(std::string_view json);

// The format allows neither overlaps nor holes, and the tensors end where the file does. Sorts by position.
Result<void> check_layout(std::vector<HeaderEntry>& entries, uint64_t data_bytes);

}  // namespace saccade
