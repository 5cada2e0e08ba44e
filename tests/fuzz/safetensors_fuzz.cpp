// Checkpoint::open on a .safetensors file.
#include "core/model/checkpoint.h"
#include "tests/fuzz/fuzz_input.h"

int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const auto file = saccade::fuzz::as_file(data, size, "model.safetensors");
  const auto checkpoint = saccade::Checkpoint::open(file);
  if (!checkpoint.ok()) return 0;
  unsigned sum = 0;
  for (const auto& [name, tensor] : (*checkpoint)->tensors())  // whatever is handed out can be read
    for (int64_t i = 0; i < tensor.bytes(); ++i) sum += static_cast<unsigned>(tensor.data[i]);
  return sum == 1 ? -1 : 0;
}
