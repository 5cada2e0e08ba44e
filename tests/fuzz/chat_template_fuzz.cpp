// A chat template: parsed, and rendered for a short conversation.
#include "core/tokens/chat_template.h"
#include "tests/fuzz/fuzz_input.h"

int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const auto chat = saccade::ChatTemplate::parse(std::string(saccade::fuzz::text_of(data, size)));
  if (!chat.ok()) return 0;
  const saccade::ChatMessage messages[] = {
      {"system", "Be brief."}, {"user", "Hi <b>"}, {"assistant", "Yes"}, {"user", ""}};
  saccade::ChatOptions options;
  options.special_tokens = {{"bos_token", "<s>"}, {"eos_token", "</s>"}};
  options.date = "2024-07-26";
  (void)chat->render(messages, options);
  return 0;
}
