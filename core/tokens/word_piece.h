// WordPiece (Schuster and Nakajima 2012; as in BERT, arXiv 1810.04805): a word becomes, from the left, the
// longest pieces the vocabulary has; a word that cannot be cut so is unknown as a whole. And WordLevel: a
// word is a token or unknown. Immutable; thread: any.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "core/tokens/bpe.h"
#include "core/tokens/vocabulary.h"

namespace saccade::tokens {

class WordPieceModel {
 public:
  struct Options {
    std::string unknown = "[UNK]";
    std::string continuing_prefix = "##";  // of pieces that do not begin a word
    int64_t longest_word = 100;            // characters; longer ones are unknown
  };
  // bad_format: the unknown token is not in the vocabulary.
  static Result<WordPieceModel> make(Vocabulary vocabulary, Options options);

  void encode(std::string_view word, std::vector<ModelToken>& out) const;
  [[nodiscard]] const Vocabulary& vocabulary() const { return vocabulary_; }

 private:
  Vocabulary vocabulary_;
  Options options_;
  int32_t unknown_ = Vocabulary::absent;
  size_t longest_piece_ = 0;  // bytes, prefix included
};

class WordLevelModel {
 public:
  // Without the unknown token in the vocabulary, unknown words are left out.
  WordLevelModel(Vocabulary vocabulary, const std::string& unknown)
      : vocabulary_(std::move(vocabulary)), unknown_(vocabulary_.find(unknown)) {}

  void encode(std::string_view word, std::vector<ModelToken>& out) const {
    const int32_t found = vocabulary_.find(word);
    const int32_t id = found == Vocabulary::absent ? unknown_ : found;
    if (id != Vocabulary::absent) out.push_back({id, 0, static_cast<uint32_t>(word.size())});
  }
  [[nodiscard]] const Vocabulary& vocabulary() const { return vocabulary_; }

 private:
  Vocabulary vocabulary_;
  int32_t unknown_ = Vocabulary::absent;
};

}  // namespace saccade::tokens
