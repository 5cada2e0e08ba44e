// A file of tokens and ranks.
#include "core/tokens/tiktoken.h"
#include "tests/fuzz/fuzz_tokenizer.h"

int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace saccade::tokens;
  const std::string_view file = saccade::fuzz::text_of(data, size);
  TokenizerConfig config;
  auto pipeline = read_tiktoken(file, "small.tiktoken", config);
  if (!pipeline.ok() || !apply_config(config, *pipeline).ok()) return 0;
  saccade::fuzz::use(make_tokenizer(std::move(*pipeline)));
  return 0;
}
