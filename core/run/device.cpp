#include "core/run/device.h"

#include <fmt/format.h>

#include <charconv>

#include "core/run/tensor_ops.h"
#include "kernels/cuda/attention_cuda.h"

namespace saccade {

Result<Device> parse_device(std::string_view name) {
  if (name == "cpu") return Device{};
  if (name == "rehearsal") return Device{DeviceKind::rehearsal, 0};
  if (name == "cuda") return Device{DeviceKind::cuda, 0};
  constexpr std::string_view indexed = "cuda:";
  if (name.starts_with(indexed)) {
    int index = -1;
    const auto [end, error] = std::from_chars(name.data() + indexed.size(), name.data() + name.size(), index);
    if (error == std::errc() && end == name.data() + name.size() && index >= 0)
      return Device{DeviceKind::cuda, index};
  }
  return make_error(ErrorCode::invalid_argument,
                    fmt::format("no device is called '{}'; there are {}", name, device_list()));
}

Result<void> use_device(const Device& device) {
  if (device.kind != DeviceKind::cuda) return {};
  if (cuda::devices().empty() || !ops::has_cuda())
    return make_error(ErrorCode::unsupported,
                      fmt::format("cuda:{} was asked for, and models run on the CPU only here ({})",
                                  device.index, device_list()));
  return cuda::select_device(device.index);
}

std::string device_list() {
  const std::string kernels = cuda::status();
  if (cuda::devices().empty() || ops::has_cuda()) return "cpu; cuda: " + kernels;
  return fmt::format(
      "cpu; cuda: {}, but {} is a build without CUDA: build Saccade with one that has it "
      "(-DCMAKE_PREFIX_PATH=FOLDER), or use --kernels cuda for attention alone",
      kernels, ops::version());
}

}  // namespace saccade
