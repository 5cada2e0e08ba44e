// A GGUF file: container, blocks, and the config and the tokenizer made of it.
#include <nlohmann/json.hpp>
#include <vector>

#include "core/model/gguf_config.h"
#include "core/model/quantised.h"
#include "tests/fuzz/fuzz_tokenizer.h"

int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const auto file = saccade::read_gguf({reinterpret_cast<const std::byte*>(data), size});
  if (!file.ok()) return 0;
  (void)saccade::gguf_config(*file);
  (void)saccade::gguf_chat_template(*file);
  saccade::fuzz::use(saccade::gguf_tokenizer(*file));
  for (const saccade::TensorView& tensor : file->tensors) {
    if (!saccade::is_quantised(tensor.dtype)) continue;
    std::vector<float> numbers(static_cast<size_t>(tensor.elements()));
    saccade::widen_blocks(tensor.dtype, tensor.data, tensor.elements(), numbers.data());
  }
  return 0;
}
