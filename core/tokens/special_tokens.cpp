#include "core/tokens/special_tokens.h"

#include <fmt/format.h>

namespace saccade {

std::vector<Token> special_tokens(const Tokenizer& tokenizer) {
  std::vector<Token> found;
  for (int32_t id = 0; id < tokenizer.vocabulary_size(); ++id)
    if (auto token = tokenizer.token(id); token.ok() && token->special) found.push_back(std::move(*token));
  return found;
}

std::string special_tokens_text(const Tokenizer& tokenizer) {
  constexpr size_t most = 8;
  std::string text;
  const auto add = [&](const char* role, const Token& token) {
    text += fmt::format("{}{}{} ({})", text.empty() ? "" : ", ", role, display_text(token), token.id);
  };
  const auto bos = tokenizer.bos(), eos = tokenizer.eos();
  for (const auto& [role, id] : {std::pair("BOS ", bos), std::pair("EOS ", eos)})
    if (const auto token = tokenizer.token(id.value_or(-1)); token.ok()) add(role, *token);
  size_t shown = 0, more = 0;
  for (const Token& token : special_tokens(tokenizer)) {
    if (token.id == bos || token.id == eos) continue;
    if (++shown <= most)
      add("", token);
    else
      ++more;
  }
  return more > 0 ? fmt::format("{} and {} more", text, more) : text;
}

}  // namespace saccade
