// Where a model runs: on the CPU, on a CUDA device, or, to try the way to a device and back on a machine that
// has none, in a second part of the CPU's memory ("rehearsal"). A plain value. Thread: any.
#pragma once

#include <string>
#include <string_view>

#include "kernels/base/result.h"

namespace saccade {

enum class DeviceKind { cpu, cuda, rehearsal };

struct Device {
  DeviceKind kind = DeviceKind::cpu;
  int index = 0;  // of CUDA's
  bool operator==(const Device&) const = default;
};

// "cpu", "cuda" (the first one), "cuda:1", "rehearsal". Errors: invalid_argument for other names.
[[nodiscard]] Result<Device> parse_device(std::string_view name);
// Whether it can be used here: unsupported when LibTorch or this build knows no CUDA, not_found where there
// is no such device; each says what is there and what to do. Makes a CUDA device the calling thread's.
Result<void> use_device(const Device& device);
// What there is, for people: "cpu; cuda: no CUDA toolkit at build time".
[[nodiscard]] std::string device_list();

}  // namespace saccade
