// Tokens that are recognised in the text before the model sees it: "<s>", "<|endoftext|>", "[MASK]".
//
// Flags as in a tokenizer.json: `special` (left out of decoded text), `lstrip`/`rstrip` (takes the whitespace
// on that side with it), `single_word` (not inside a word), `normalized` (looked for after normalisation).
// Immutable after finish(); thread: any.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "core/tokens/aligned_text.h"
#include "core/tokens/vocabulary.h"
#include "kernels/base/result.h"

namespace saccade::tokens {

struct AddedToken {
  std::string content;
  std::string written;  // as normalisation leaves it; decoders are given this
  int32_t id = -1;
  bool special = false, lstrip = false, rstrip = false, single_word = false, normalized = false;
};

// Finds the longest listed string at a place; built once.
class StringTrie {
 public:
  void add(std::string_view text, int32_t value);  // a later value replaces an earlier one
  // Length and value of the longest entry that `text` has at byte `at`; length 0 when there is none.
  struct Hit {
    size_t length = 0;
    int32_t value = -1;
  };
  [[nodiscard]] Hit longest(std::string_view text, size_t at) const;
  [[nodiscard]] bool empty() const { return nodes_.size() == 1; }

 private:
  struct Node {
    std::map<char, uint32_t> next;
    int32_t value = -1;
  };
  std::vector<Node> nodes_{1};
};

class AddedTokens {
 public:
  // Adds one, or replaces the flags of one with the same content. `id` < 0: the vocabulary's id for the
  // content, or else the next free one. bad_format: an id that the vocabulary gives to other content, empty
  // or overlong content.
  Result<void> add(AddedToken token, const Vocabulary& vocabulary);
  // Builds the search tables; `normalized_contents[i]` is what token i of all() looks like after
  // normalisation.
  void finish(const std::vector<std::string>& normalized_contents);

  [[nodiscard]] const std::vector<AddedToken>& all() const { return tokens_; }
  [[nodiscard]] const AddedToken* find(int32_t id) const;
  [[nodiscard]] const AddedToken* find(std::string_view content) const;
  [[nodiscard]] int32_t highest_id() const { return highest_; }  // -1: none

  enum class When { before_normalization, after_normalization };
  // Cuts every text piece at the tokens found in it. Without `parse_special`, special tokens stay text.
  void split(AlignedText& text, When when, bool parse_special) const;

 private:
  void split_piece(const AlignedText& text, const Piece& piece, const StringTrie& trie, bool parse_special,
                   std::vector<Piece>& out) const;
  std::vector<AddedToken> tokens_;
  std::unordered_map<int32_t, size_t> by_id_;
  std::unordered_map<std::string, size_t> by_content_;
  int32_t highest_ = -1;
  StringTrie raw_, normalized_;  // value: index in tokens_
};

}  // namespace saccade::tokens
