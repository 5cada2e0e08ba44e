// SentencePiece's precompiled normalisation: a trie from stretches of text to what they become. Layout: the
// size of the trie in bytes, its units (a double array, Aoe 1989, as darts-clone packs it), the replacements
// with a zero after each. Every access is held against the sizes. Immutable; thread: any.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "kernels/base/result.h"

namespace saccade::tokens {

class Charsmap {
 public:
  static Result<Charsmap> make(std::string_view bytes);
  // What the shortest entry that `text` begins with becomes; nothing when there is none.
  [[nodiscard]] std::optional<std::string_view> find(std::string_view text) const;

 private:
  std::vector<uint32_t> units_;
  std::string replacements_;
};

// RFC 4648; nothing when it is none.
[[nodiscard]] std::optional<std::string> decode_base64(std::string_view text);

}  // namespace saccade::tokens
