// A tokenizer.json, and what it makes of a text.
#include "core/tokens/tokenizer_files.h"
#include "tests/fuzz/fuzz_tokenizer.h"

int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  auto pipeline = saccade::tokens::read_tokenizer_json(saccade::fuzz::text_of(data, size));
  if (pipeline.ok()) saccade::fuzz::use(saccade::tokens::make_tokenizer(std::move(*pipeline)));
  return 0;
}
