// Puts the emulated CUDA kernels in the place of this machine's kernel sets, so that the tests of every
// kernel set (attention_test.cpp and its siblings) run on them as they are.
#include <fmt/format.h>

#include "tests/kernels/cuda_emulated.h"

namespace saccade {

std::span<const KernelSet> kernel_sets() {
  static const std::vector<KernelSet> sets{testing_attention::emulated_cuda(cuda_emulation::Order::shuffled)};
  return sets;
}

Result<const KernelSet*> choose_kernels(std::string_view name) {
  const KernelSet& set = kernel_sets().front();
  if (name.empty() || name == "auto" || name == set.name) return &set;
  return make_error(ErrorCode::invalid_argument, fmt::format("'{}' is not auto, {}", name, set.name));
}

}  // namespace saccade
