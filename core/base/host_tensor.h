// HostTensor: float32 numbers in main memory with a row-major shape. Copies share the numbers.
// The builder writes through mutable_values() before the tensor is handed to anyone else; after that it
// is read-only from any thread.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <vector>

namespace saccade {

class HostTensor {
 public:
  HostTensor() = default;
  // Zero-filled when `zero`, otherwise uninitialised.
  explicit HostTensor(std::vector<int64_t> shape, bool zero = true);

  [[nodiscard]] const std::vector<int64_t>& shape() const { return shape_; }
  [[nodiscard]] int64_t size() const { return size_; }
  [[nodiscard]] int64_t bytes() const { return size_ * static_cast<int64_t>(sizeof(float)); }
  [[nodiscard]] bool empty() const { return size_ == 0; }
  [[nodiscard]] const float* data() const { return values_.get(); }
  [[nodiscard]] std::span<const float> values() const { return {values_.get(), static_cast<size_t>(size_)}; }
  [[nodiscard]] std::span<float> mutable_values() { return {values_.get(), static_cast<size_t>(size_)}; }
  // The i-th slice along the first axis, contiguous.
  [[nodiscard]] std::span<const float> slice(int64_t i) const;
  // Row-major element, for tests and small views; asserts bounds in debug builds.
  [[nodiscard]] float at(std::initializer_list<int64_t> index) const;

 private:
  std::vector<int64_t> shape_;
  int64_t size_ = 0;
  std::shared_ptr<float[]> values_;
};

}  // namespace saccade
