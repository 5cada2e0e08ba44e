// Reads a pickle as data: a stack machine (Python's pickletools, protocols 2 to 5) that knows dictionaries,
// lists, numbers, texts and the handful of functions that build tensors. Nothing is ever called: a pickle
// that names anything else is refused by that name. Private to core/model. Thread: any.
//
// Values live in one array and refer to each other by index, so that neither deep nesting nor cycles matter.
// Texts are views into the input. Memory is bounded by a small multiple of the input.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>
#include <utility>
#include <vector>

#include "core/model/checkpoint.h"
#include "kernels/base/result.h"

namespace saccade {

enum class PickleKind { none, boolean, integer, real, text, list, dict, function, storage, tensor };

using PickleRef = int32_t;  // an index into Pickle::values

struct PickleValue {
  PickleKind kind = PickleKind::none;
  int64_t integer = 0;  // also: true or false; the index of a list, dict, storage or tensor in its table
  double real = 0.0;
  std::string_view text;  // of a text; "module name" of a function
};

struct PickleStorage {
  std::string_view key;
  DType dtype = DType::f32;
  int64_t numel = 0;
};

struct PickleTensor {
  int64_t storage = 0;  // index of a PickleStorage
  int64_t offset = 0;   // elements
  std::vector<int64_t> shape, stride;
};

struct Pickle {
  std::vector<PickleValue> values;
  std::vector<std::vector<PickleRef>> lists;  // tuples, too
  std::vector<std::vector<std::pair<PickleRef, PickleRef>>> dicts;
  std::vector<PickleStorage> storages;
  std::vector<PickleTensor> tensors;
  PickleRef root = 0;
  size_t size = 0;  // bytes read, STOP included

  [[nodiscard]] const PickleValue& at(PickleRef ref) const { return values[static_cast<size_t>(ref)]; }
};

Result<Pickle> read_pickle(std::span<const std::byte> bytes);

}  // namespace saccade
