// The numbers of a run by the names that plugins ask for (plugins/api/saccade_plugin.h, view). Private to
// plugins/host. Thread: any.
#pragma once

#include <string>

#include "core/base/host_tensor.h"
#include "core/capture/capture.h"

namespace saccade::plugins {

// A tensor that shares the capture's numbers, or, where those are bfloat16 or integers, a float32 copy.
// Errors: an unknown name, a layer that does not exist, numbers that the run did not keep.
[[nodiscard]] Result<HostTensor> numbers_of(const Capture& capture, const std::string& name, int32_t layer);

}  // namespace saccade::plugins
