#include "core/base/host_tensor.h"

#include <cassert>
#include <numeric>

namespace saccade {

HostTensor::HostTensor(std::vector<int64_t> shape, bool zero)
    : shape_(std::move(shape)),
      size_(std::accumulate(shape_.begin(), shape_.end(), int64_t{1}, std::multiplies<>())),
      values_(zero ? std::make_shared<float[]>(static_cast<size_t>(size_))
                   : std::shared_ptr<float[]>(new float[static_cast<size_t>(size_)])) {}

std::span<const float> HostTensor::slice(int64_t i) const {
  assert(!shape_.empty() && i >= 0 && i < shape_[0]);
  const auto width = static_cast<size_t>(size_ / shape_[0]);
  return values().subspan(static_cast<size_t>(i) * width, width);
}

float HostTensor::at(std::initializer_list<int64_t> index) const {
  assert(index.size() == shape_.size());
  int64_t flat = 0;
  auto extent = shape_.begin();
  for (const int64_t i : index) {
    assert(i >= 0 && i < *extent);
    flat = flat * *extent++ + i;
  }
  return values_[static_cast<size_t>(flat)];
}

}  // namespace saccade
