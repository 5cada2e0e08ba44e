// PyTorch's files: archives, pickles, the tensors they describe.
#include "core/model/torch_file.h"
#include "tests/fuzz/fuzz_input.h"

int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::span<const std::byte> bytes{reinterpret_cast<const std::byte*>(data), size};
  const auto contents = saccade::read_torch_file(bytes);
  if (!contents.ok()) return 0;
  unsigned sum = 0;
  for (const saccade::TensorView& tensor : contents->tensors)
    for (int64_t i = 0; i < tensor.bytes(); ++i) sum += static_cast<unsigned>(tensor.data[i]);
  return sum == 1 ? -1 : 0;
}
