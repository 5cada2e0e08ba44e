// A SentencePiece tokenizer.model, through this program's checks and then the library.
#include "core/tokens/sentencepiece_model.h"
#include "tests/fuzz/fuzz_tokenizer.h"

int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string file(saccade::fuzz::text_of(data, size));
  saccade::fuzz::use(saccade::tokens::open_sentencepiece(file, {}, "tokenizer.model"));
  return 0;
}
