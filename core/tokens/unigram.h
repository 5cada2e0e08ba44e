// The unigram language model of SentencePiece (Kudo 2018, arXiv 1804.10959): a text becomes the pieces whose
// probabilities have the largest product, found by Viterbi's algorithm. Immutable; thread: any.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "core/tokens/bpe.h"
#include "core/tokens/vocabulary.h"

namespace saccade::tokens {

class UnigramModel {
 public:
  // Pieces in the order of their ids, with their log probabilities.
  using Pieces = std::vector<std::pair<std::string, double>>;
  // bad_format: no pieces, a score that is no number, an unknown id outside the pieces.
  static Result<UnigramModel> make(Pieces pieces, std::optional<int64_t> unknown, bool byte_fallback);

  void encode(std::string_view text, std::vector<ModelToken>& out) const;
  [[nodiscard]] const Vocabulary& vocabulary() const { return vocabulary_; }

 private:
  struct Node {  // of the best way to a position
    double score = 0.0;
    int64_t begin = -1;  // of the last piece; -1: not reached
    int32_t id = Vocabulary::absent;
  };
  void extend(std::string_view text, size_t at, std::vector<Node>& best) const;
  void put(std::string_view text, size_t begin, size_t end, int32_t id, std::vector<ModelToken>& out) const;

  Vocabulary vocabulary_;
  std::vector<int32_t> sorted_;   // ids by their pieces' bytes
  std::vector<double> scores_;    // by id
  std::vector<int32_t> by_byte_;  // ids of "<0x00>" ... "<0xFF>"; empty without byte fallback
  int32_t unknown_ = Vocabulary::absent;
  double unknown_score_ = 0.0;
};

}  // namespace saccade::tokens
