// The stage that turns a word into tokens: one of four. Immutable; thread: any.
#pragma once

#include <string_view>
#include <variant>
#include <vector>

#include "core/tokens/bpe.h"
#include "core/tokens/unigram.h"
#include "core/tokens/word_piece.h"

namespace saccade::tokens {

class TokenModel {
 public:
  TokenModel() = default;
  TokenModel(BpeModel model) : model_(std::move(model)) {}        // NOLINT(google-explicit-constructor)
  TokenModel(UnigramModel model) : model_(std::move(model)) {}    // NOLINT(google-explicit-constructor)
  TokenModel(WordPieceModel model) : model_(std::move(model)) {}  // NOLINT(google-explicit-constructor)
  TokenModel(WordLevelModel model) : model_(std::move(model)) {}  // NOLINT(google-explicit-constructor)

  // Appends the tokens of one word (valid UTF-8, not empty).
  void encode(std::string_view word, BpeScratch& scratch, std::vector<ModelToken>& out) const {
    if (const BpeModel* found = bpe()) return found->encode(word, scratch, out);
    if (const auto* unigram = std::get_if<UnigramModel>(&model_)) return unigram->encode(word, out);
    if (const auto* pieces = std::get_if<WordPieceModel>(&model_)) return pieces->encode(word, out);
    std::get<WordLevelModel>(model_).encode(word, out);
  }
  [[nodiscard]] const Vocabulary& vocabulary() const {
    return std::visit([](const auto& model) -> const Vocabulary& { return model.vocabulary(); }, model_);
  }
  [[nodiscard]] const BpeModel* bpe() const { return std::get_if<BpeModel>(&model_); }  // null for the others

 private:
  std::variant<BpeModel, UnigramModel, WordPieceModel, WordLevelModel> model_;
};

}  // namespace saccade::tokens
