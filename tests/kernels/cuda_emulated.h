// The CUDA kernels on the CPU: the same tables, parameters, launches and device code as on a device, every
// thread block emulated (cuda_emulation/emulation.h). Not emulated: the copies to the device and back, and
// the machine code of the tensor cores and of the hardware's exponential.
#pragma once

#include "kernels/attention.h"
#include "tests/kernels/cuda_emulation/emulation.h"

namespace saccade::testing_attention {

// A kernel set that tests use like any other; the order in which the threads of a block run is `order`.
[[nodiscard]] KernelSet emulated_cuda(cuda_emulation::Order order);

}  // namespace saccade::testing_attention
