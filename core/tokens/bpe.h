// Byte-pair encoding: a word starts as its characters, then the listed pair of lowest rank is joined,
// leftmost first, until no listed pair is left. Source: Sennrich, Haddow and Birch, "Neural machine
// translation of rare words with subword units", 2016. Options as in a tokenizer.json.
//
// Short words are merged by scanning, long ones (a whole text, where nothing cuts it) with a heap: O(n log
// n). BpeModel is immutable and may be used from any thread; a BpeScratch belongs to one encode call.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "core/tokens/vocabulary.h"
#include "kernels/base/result.h"

namespace saccade::tokens {

struct BpeOptions {
  std::optional<std::string> unknown =
      {};  // token for characters the vocabulary lacks; nothing: they are left out
  std::string continuing_subword_prefix = {}, end_of_word_suffix = {};
  bool fuse_unknown = false;   // neighbouring unknown characters make one token
  bool byte_fallback = false;  // unknown characters become their bytes, "<0xE2>"
  bool ignore_merges = false;  // a word that is in the vocabulary is one token, whatever the merges say
};

// A token of a word and the bytes of the word it covers.
struct ModelToken {
  int32_t id;
  uint32_t begin, end;
};

// (left id, right id) -> rank and joined id, open addressing with linear probing.
class PairTable {
 public:
  struct Merge {
    uint32_t rank = UINT32_MAX;
    int32_t joined = -1;
  };
  void reserve(size_t pairs);
  void set(int32_t left, int32_t right, Merge merge);  // a later one replaces an earlier one
  [[nodiscard]] Merge find(int32_t left, int32_t right) const {
    if (slots_.empty()) return {};
    const uint64_t key = key_of(left, right);
    for (size_t at = slot_of(key);; at = (at + 1) & mask_) {
      if (slots_[at].key == key) return slots_[at].merge;
      if (slots_[at].key == free_key) return {};
    }
  }

 private:
  static constexpr uint64_t free_key = UINT64_MAX;
  struct Slot {
    uint64_t key = free_key;
    Merge merge;
  };
  [[nodiscard]] static uint64_t key_of(int32_t left, int32_t right) {
    return static_cast<uint64_t>(static_cast<uint32_t>(left)) << 32 | static_cast<uint32_t>(right);
  }
  [[nodiscard]] size_t slot_of(uint64_t key) const {
    const uint64_t mixed = (key ^ key >> 32) * 0x9E3779B97F4A7C15U;
    return static_cast<size_t>(mixed >> 20) & mask_;
  }
  std::vector<Slot> slots_;
  size_t mask_ = 0;
};

struct BpeScratch {
  struct Symbol {
    int32_t id;
    uint32_t begin, end;
    int32_t previous, next;  // -1: none
    PairTable::Merge merge;  // with the next one
  };
  struct Candidate {
    uint32_t rank, at;
  };
  std::vector<Symbol> symbols;
  std::vector<Candidate> heap;
};

class BpeModel {
 public:
  using Merges = std::vector<std::pair<std::string, std::string>>;
  // bad_format: a merge whose parts or result are not in the vocabulary, or are empty; an unknown token that
  // is not in the vocabulary.
  static Result<BpeModel> make(Vocabulary vocabulary, const Merges& merges, BpeOptions options);
  // Files that rank tokens instead of merges: two neighbours are joined when the vocabulary has what they
  // make, the lowest rank first. `ranks[id]`; `never`: the token is not made by joining. bad_format: a rank
  // for every token is missing, or a token that is too long to be made.
  static constexpr uint32_t never = UINT32_MAX;
  static Result<BpeModel> make_ranked(Vocabulary vocabulary, std::span<const uint32_t> ranks,
                                      BpeOptions options);

  // Appends the tokens of one word (valid UTF-8, not empty).
  void encode(std::string_view word, BpeScratch& scratch, std::vector<ModelToken>& out) const;
  [[nodiscard]] const Vocabulary& vocabulary() const { return vocabulary_; }
  [[nodiscard]] const BpeOptions& options() const { return options_; }

 private:
  Result<void> finish(BpeOptions options);
  void index_characters();
  [[nodiscard]] int32_t character_id(std::string_view word, size_t begin, size_t end) const;
  void start_symbols(std::string_view word, std::vector<BpeScratch::Symbol>& symbols) const;
  void merge_by_scan(std::vector<BpeScratch::Symbol>& symbols) const;
  void merge_by_heap(BpeScratch& scratch) const;

  Vocabulary vocabulary_;
  PairTable merges_;
  BpeOptions options_;
  int32_t unknown_ = Vocabulary::absent;
  std::vector<int32_t>
      by_character_;  // ids of one-character tokens below U+3000, where no prefix or suffix is used
  std::vector<int32_t> by_byte_;  // ids of "<0x00>" ... "<0xFF>"
};

}  // namespace saccade::tokens
