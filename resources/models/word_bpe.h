// WordBpe: a byte-level BPE tokenizer (GPT-2's layout of ids) learned from a list of whole words.
//
// Source: Sennrich et al. 2016 (byte pair encoding), Radford et al. 2019 (over bytes). Learning goes on until
// every listed word is one token; ids are the 256 bytes in GPT-2's order, the merges in the order learned,
// and last
// "<|endoftext|>". Any byte string has an encoding. Immutable once built; any thread.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace saccade {

inline constexpr std::string_view end_of_text = "<|endoftext|>";

class WordBpe {
 public:
  // Words as they occur in text: " cat" with its space, "Mary" for the beginning of a text.
  static WordBpe learn(const std::vector<std::string>& words);
  // Of bare words: each with the space before it, and without for the beginning of a text.
  static WordBpe of_bare(const std::vector<std::string>& words);
  // Those forms of bare words that are not one token each.
  [[nodiscard]] std::vector<std::string> split_forms(const std::vector<std::string>& words) const;

  // Letter runs (with the space before them) and runs of anything else are encoded separately, as GPT-2's
  // pattern does for such text; no special tokens are added or parsed.
  [[nodiscard]] std::vector<int32_t> encode(std::string_view text) const;
  [[nodiscard]] std::string decode(int32_t id) const;

  [[nodiscard]] int32_t size() const { return static_cast<int32_t>(bytes_.size()) + 1; }
  [[nodiscard]] int32_t end_of_text_id() const { return size() - 1; }

  // The files' spelling: every byte as one printable character (GPT-2's table), UTF-8.
  [[nodiscard]] std::string spelling(int32_t id) const;
  [[nodiscard]] const std::vector<std::pair<int32_t, int32_t>>& merges() const { return merges_; }

 private:
  [[nodiscard]] std::vector<int32_t> encode_word(std::string_view word) const;

  std::vector<std::string> bytes_;                   // id -> the bytes it stands for
  std::vector<std::pair<int32_t, int32_t>> merges_;  // rank -> (left id, right id)
  std::map<std::pair<int32_t, int32_t>, int32_t> rank_;
};

}  // namespace saccade
