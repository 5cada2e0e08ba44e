#include "kernels/cuda/device.h"

#include <cuda_runtime_api.h>

#include <algorithm>
#include <cstdio>

namespace saccade::cuda {
namespace {

std::string gibibytes(int64_t bytes) {
  char text[32];
  std::snprintf(text, sizeof(text), "%.2f GiB", static_cast<double>(bytes) / (1 << 30));
  return text;
}

std::string versioned(const Device& device) {
  return device.name + " (" + std::to_string(device.major) + "." + std::to_string(device.minor) + ", " +
         gibibytes(device.memory) + ")";
}

// Every device of the machine, or the driver's message.
std::string all_devices(std::vector<Device>& found) {
  int count = 0;
  if (const cudaError_t error = cudaGetDeviceCount(&count); error != cudaSuccess) {
    cudaGetLastError();
    return cudaGetErrorString(error);
  }
  for (int index = 0; index < count; ++index) {
    cudaDeviceProp properties{};
    if (cudaGetDeviceProperties(&properties, index) != cudaSuccess) continue;
    found.push_back({index, properties.name, static_cast<int64_t>(properties.totalGlobalMem),
                     properties.major, properties.minor});
  }
  return found.empty() ? "the driver knows none" : "";
}

bool can_run(const Device& device) { return device.major >= 8; }

// What stays with the pool between calls; beyond it memory goes back to the system.
constexpr uint64_t kept_bytes = uint64_t{1} << 30;

}  // namespace

Error device_error(const char* what, const char* message) {
  cudaGetLastError();
  return make_error(ErrorCode::internal, std::string("CUDA: ") + what + ": " + message);
}

std::vector<Device> devices() {
  std::vector<Device> found;
  all_devices(found);
  std::erase_if(found, [](const Device& device) { return !can_run(device); });
  return found;
}

std::string status() {
  std::vector<Device> found;
  const std::string message = all_devices(found);
  if (found.empty()) return "no device: " + message;
  for (const Device& device : found)
    if (can_run(device)) return "ready: " + versioned(device);
  return "no device of compute capability 8.0 or newer: " + versioned(found.front());
}

Result<void> select_device(int index) {
  std::string choices;
  for (const Device& device : devices()) {
    if (device.index == index) {
      if (const cudaError_t error = cudaSetDevice(index); error != cudaSuccess)
        return device_error("selecting a device", cudaGetErrorString(error));
      return {};
    }
    choices += (choices.empty() ? "" : ", ") + std::to_string(device.index) + " = " + versioned(device);
  }
  return make_error(ErrorCode::not_found, "no CUDA device " + std::to_string(index) + "; " +
                                              (choices.empty() ? status() : "there are " + choices));
}

Result<DeviceMemory> DeviceMemory::of(int64_t bytes, void* stream) {
  int device = 0;
  cudaMemPool_t pool{};
  if (cudaGetDevice(&device) == cudaSuccess && cudaDeviceGetDefaultMemPool(&pool, device) == cudaSuccess) {
    uint64_t kept = kept_bytes;
    cudaMemPoolSetAttribute(pool, cudaMemPoolAttrReleaseThreshold, &kept);
  }
  void* data = nullptr;
  const cudaError_t error = cudaMallocAsync(&data, static_cast<size_t>(std::max<int64_t>(bytes, 256)),
                                            static_cast<cudaStream_t>(stream));
  if (error == cudaSuccess) return DeviceMemory(static_cast<std::byte*>(data), stream);
  if (error != cudaErrorMemoryAllocation) return device_error("taking memory", cudaGetErrorString(error));
  cudaGetLastError();
  size_t free = 0, total = 0;
  cudaMemGetInfo(&free, &total);
  return make_error(ErrorCode::out_of_memory, "CUDA device " + std::to_string(device) +
                                                  ": attention asked for " + gibibytes(bytes) + ", " +
                                                  gibibytes(static_cast<int64_t>(free)) + " of " +
                                                  gibibytes(static_cast<int64_t>(total)) + " are free");
}

DeviceMemory::~DeviceMemory() {
  if (data_) cudaFreeAsync(data_, static_cast<cudaStream_t>(stream_));
}

size_t Staging::place_heads(std::vector<Copy>& copies, std::byte* host, int64_t element,
                            int64_t host_token_stride, int64_t host_head_stride, int64_t tokens,
                            int64_t heads, int64_t d_head) {
  const int64_t piece = 16 / element, stride = (heads * d_head + piece - 1) / piece * piece;
  const size_t index = places_.size();
  places_.push_back({layout_.reserve(tokens * stride * element), stride, d_head, element == 2});
  if (tokens == 0) return index;
  const bool together = heads == 1 || host_head_stride == d_head;
  const int64_t width = together ? heads * d_head : d_head;
  // A single token's stride may be anything.
  const int64_t pitch = tokens == 1 ? width : host_token_stride;
  for (int64_t head = 0; head < (together ? 1 : heads); ++head)
    copies.push_back({index, host + head * host_head_stride * element, head * d_head * element,
                      pitch * element, stride * element, width * element, tokens});
  return index;
}

size_t Staging::input(const HeadsView& view, int64_t first, int64_t count, int64_t head, int64_t heads,
                      int64_t d_head) {
  const int64_t element = view.bf16 ? 2 : 4;
  const void* data = view.bf16 ? static_cast<const void*>(view.bf16) : view.data;
  auto* host = static_cast<std::byte*>(const_cast<void*>(data)) +
               (first * view.token_stride + head * view.head_stride) * element;
  return place_heads(inputs_, host, element, view.token_stride, view.head_stride, count, heads, d_head);
}

size_t Staging::input(const void* host, int64_t bytes) {
  places_.push_back({layout_.reserve(bytes)});
  if (bytes > 0)
    inputs_.push_back(
        {places_.size() - 1, static_cast<std::byte*>(const_cast<void*>(host)), 0, bytes, bytes, bytes, 1});
  return places_.size() - 1;
}

size_t Staging::output(void* host, int64_t bytes) {
  places_.push_back({layout_.reserve(bytes)});
  if (bytes > 0)
    outputs_.push_back({places_.size() - 1, static_cast<std::byte*>(host), 0, bytes, bytes, bytes, 1});
  return places_.size() - 1;
}

size_t Staging::output(const MutableHeadsView& view, int64_t tokens, int64_t heads, int64_t d_head) {
  return place_heads(outputs_, reinterpret_cast<std::byte*>(view.data), 4, view.token_stride,
                     view.head_stride, tokens, heads, d_head);
}

HeadsView Staging::view(size_t index) const {
  const Place& place = places_[index];
  HeadsView view{nullptr, place.token_stride, place.head_stride};
  if (place.bf16)
    view.bf16 = static_cast<const Bfloat16*>(at(index));
  else
    view.data = static_cast<const float*>(at(index));
  return view;
}

Result<void> Staging::allocate() {
  SACCADE_TRY(DeviceMemory memory, DeviceMemory::of(layout_.size(), stream_));
  memory_.push_back(std::move(memory));
  return {};
}

Result<void> Staging::copy(const std::vector<Copy>& copies, bool to_device) {
  for (const Copy& c : copies) {
    std::byte* device = memory_.front().data() + places_[c.place].offset + c.offset;
    const auto width = static_cast<size_t>(c.width), rows = static_cast<size_t>(c.rows),
               host_pitch = static_cast<size_t>(c.host_pitch),
               device_pitch = static_cast<size_t>(c.device_pitch);
    auto* stream = static_cast<cudaStream_t>(stream_);
    void* const to = to_device ? device : c.host;
    const void* const from = to_device ? c.host : device;
    const size_t to_pitch = to_device ? device_pitch : host_pitch,
                 from_pitch = to_device ? host_pitch : device_pitch;
    const cudaMemcpyKind kind = to_device ? cudaMemcpyHostToDevice : cudaMemcpyDeviceToHost;
    // A pitch is limited to 2 GiB, a single row is not.
    const cudaError_t error =
        rows == 1 ? cudaMemcpyAsync(to, from, width, kind, stream)
                  : cudaMemcpy2DAsync(to, to_pitch, from, from_pitch, width, rows, kind, stream);
    if (error != cudaSuccess) return device_error("copying", cudaGetErrorString(error));
  }
  return {};
}

Result<void> Staging::upload() { return copy(inputs_, true); }

Result<void> Staging::download() {
  SACCADE_CHECK(copy(outputs_, false));
  if (const cudaError_t error = cudaStreamSynchronize(static_cast<cudaStream_t>(stream_));
      error != cudaSuccess)
    return device_error("attention", cudaGetErrorString(error));
  return {};
}

}  // namespace saccade::cuda
