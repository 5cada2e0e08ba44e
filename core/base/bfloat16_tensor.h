// Bfloat16Tensor: bfloat16 numbers in main memory with a row-major shape: half the room of a HostTensor.
// Copies share the numbers. Filled before it is handed to anyone else; after that read-only from any thread.
#pragma once

#include <algorithm>
#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "core/base/host_tensor.h"
#include "kernels/base/bfloat16.h"

namespace saccade {

class Bfloat16Tensor {
 public:
  Bfloat16Tensor() = default;
  // Rounds to the nearest, ties to even.
  explicit Bfloat16Tensor(const HostTensor& values) : Bfloat16Tensor(values.shape(), values.size()) {
    std::transform(values.data(), values.data() + values.size(), values_->begin(), narrow_to_bfloat16);
  }
  Bfloat16Tensor(std::vector<int64_t> shape, int64_t size)
      : shape_(std::move(shape)),
        values_(std::make_shared<std::vector<uint16_t>>(static_cast<size_t>(size))) {}

  [[nodiscard]] const std::vector<int64_t>& shape() const { return shape_; }
  [[nodiscard]] bool empty() const { return !values_ || values_->empty(); }
  [[nodiscard]] int64_t bytes() const {
    return values_ ? static_cast<int64_t>(values_->size() * sizeof(uint16_t)) : 0;
  }
  [[nodiscard]] const uint16_t* data() const { return values_ ? values_->data() : nullptr; }
  [[nodiscard]] std::span<uint16_t> mutable_values() { return *values_; }
  [[nodiscard]] HostTensor widened() const {
    HostTensor wide(shape_, false);
    std::transform(values_->begin(), values_->end(), wide.mutable_values().begin(), widen_bfloat16);
    return wide;
  }

 private:
  std::vector<int64_t> shape_;
  std::shared_ptr<std::vector<uint16_t>> values_;
};

}  // namespace saccade
