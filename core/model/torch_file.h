// PyTorch's own checkpoints (.bin, .pt, .pth): the zip form and the one before it. Read, never run. Private
// to core/model. Thread: any.
#pragma once

#include <cstddef>
#include <memory>
#include <span>
#include <vector>

#include "core/model/checkpoint.h"

namespace saccade {

[[nodiscard]] bool is_torch_file(std::span<const std::byte> file);

struct TorchContents {
  std::vector<TensorView> tensors;  // views into the file, or into `copies`
  std::span<const std::byte> pickle;
  std::vector<std::shared_ptr<const std::byte[]>> copies;  // tensors that are not contiguous
};

// The tensors of the top-level dictionary, or of the one under "state_dict", "model_state_dict", "model" or
// "module" in it; what is no tensor is left out.
Result<TorchContents> read_torch_file(std::span<const std::byte> file);

}  // namespace saccade
