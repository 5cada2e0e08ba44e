// What a SentencePiece model file says, read without the library: pieces, trainer and normalizer settings.
//
// The library trusts its files: a damaged table of character replacements makes it read outside the table, an
// odd piece makes it end the program. So a file is read and checked here first, and only one that passes is
// given to the library. A private header. Thread: any. Source: sentencepiece_model.proto of SentencePiece
// (Kudo and Richardson, 2018) and the wire format of protocol buffers.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "kernels/base/result.h"

namespace saccade::tokens {

enum class PieceType { normal = 1, unknown = 2, control = 3, user_defined = 4, unused = 5, byte = 6 };

struct SentencePieceProto {
  struct Piece {
    std::string_view text;  // into the file
    float score = 0;
    PieceType type = PieceType::normal;
  };
  enum class Algorithm { unigram = 1, bpe = 2, word = 3, character = 4 };
  struct Normalization {
    std::string_view characters;  // the precompiled table; empty: none
    bool add_dummy_prefix = true, escape_whitespaces = true;
  };

  std::vector<Piece> pieces;  // by id
  Algorithm algorithm = Algorithm::unigram;
  Normalization normalization, denormalization;

  // bad_format: names what is wrong and at which byte or piece. The proto refers to `file`.
  static Result<SentencePieceProto> read(std::string_view file);
};

// A further part for the end of a model file that turns the space before the text off: of a field that is
// given twice, protocol buffers take the last.
[[nodiscard]] std::string without_dummy_prefix();

// The table of character replacements: the size of a double array, the array, and strings that end in a zero.
// bad_format when a walk through it could leave it. Source: Yata, "Darts-clone".
Result<void> check_character_table(std::string_view table);

}  // namespace saccade::tokens
