// A tokenizer.json, and what it makes of a text.
#include "core/tokens/tokenizer_files.h"
#include "tests/fuzz/fuzz_input.h"

int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  auto pipeline = saccade::tokens::read_tokenizer_json(saccade::fuzz::text_of(data, size));
  if (!pipeline.ok()) return 0;
  const auto tokenizer = saccade::tokens::make_tokenizer(std::move(*pipeline));
  if (!tokenizer.ok()) return 0;
  for (const char* text : {"", "Hello, w\u00f6rld 123!\n", "<s> \U0001F600\u0301 a  b"}) {
    const auto tokens = (*tokenizer)->encode(text, {});
    if (!tokens.ok()) continue;
    const auto back = (*tokenizer)->decode(tokens->ids());
    for (const saccade::Token& token : tokens->tokens)  // offsets stay inside the text
      if (token.begin < 0 || token.end < token.begin ||
          token.end > static_cast<int64_t>(std::string_view(text).size()))
        __builtin_trap();
  }
  return 0;
}
