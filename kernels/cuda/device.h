// Device memory of one call, and errors as text. Private to kernels/cuda.
#pragma once

#include <cstddef>
#include <vector>

#include "kernels/cuda/attention_cuda.h"
#include "kernels/cuda/tables.h"

namespace saccade::cuda {

// The driver's message as an Error; clears it, so that the next call begins anew.
[[nodiscard]] Error device_error(const char* what, const char* message);

// Memory of the driver's pool, in the order of a stream: what one call gives back the next one takes, without
// asking the system. Given back when this goes out of scope; work on the stream may still use it.
class DeviceMemory {
 public:
  // out_of_memory with what was asked for and what is free.
  static Result<DeviceMemory> of(int64_t bytes, void* stream);
  DeviceMemory(DeviceMemory&& other) noexcept : data_(other.data_), stream_(other.stream_) {
    other.data_ = nullptr;
  }
  DeviceMemory& operator=(DeviceMemory&&) = delete;
  ~DeviceMemory();
  [[nodiscard]] std::byte* data() const { return data_; }

 private:
  DeviceMemory(std::byte* data, void* stream) : data_(data), stream_(stream) {}
  std::byte* data_ = nullptr;
  void* stream_ = nullptr;
};

// Host tensors and their places in one allocation on the device. First every tensor is named, then allocate()
// takes the memory, upload() copies inputs, download() brings results back and waits for them.
class Staging {
 public:
  explicit Staging(void* stream) : stream_(stream) {}

  // A place for tokens [first, first + count) of heads [head, head + heads); gives its index. On the device
  // they lie [token, head, d_head] with rows padded to 16 bytes.
  size_t input(const HeadsView& view, int64_t first, int64_t count, int64_t head, int64_t heads,
               int64_t d_head);
  size_t input(const void* host, int64_t bytes);
  size_t output(void* host, int64_t bytes);
  size_t output(const MutableHeadsView& view, int64_t tokens, int64_t heads, int64_t d_head);

  [[nodiscard]] Result<void> allocate();
  [[nodiscard]] Result<void> upload();
  [[nodiscard]] Result<void> download();
  [[nodiscard]] void* at(size_t index) const { return memory_.front().data() + places_[index].offset; }
  // The device's view of an input; its element (0, 0, 0) is the first staged one.
  [[nodiscard]] HeadsView view(size_t index) const;
  [[nodiscard]] int64_t token_stride(size_t index) const { return places_[index].token_stride; }

 private:
  // Rows of a place and of the host's tensor, in bytes; copies of all heads at once where they are
  // contiguous.
  struct Copy {
    size_t place;
    std::byte* host;
    int64_t offset, host_pitch, device_pitch, width, rows;
  };
  struct Place {
    int64_t offset = 0, token_stride = 0, head_stride = 0;
    bool bf16 = false;
  };
  size_t place_heads(std::vector<Copy>& copies, std::byte* host, int64_t element, int64_t host_token_stride,
                     int64_t host_head_stride, int64_t tokens, int64_t heads, int64_t d_head);
  [[nodiscard]] Result<void> copy(const std::vector<Copy>& copies, bool to_device);

  void* stream_;
  Layout layout_;
  std::vector<Place> places_;
  std::vector<Copy> inputs_, outputs_;
  std::vector<DeviceMemory> memory_;  // one, once allocated
};

}  // namespace saccade::cuda
