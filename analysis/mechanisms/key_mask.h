// KeyMask: which keys each row of a map may see, [query, key]. What every mask generator of this folder makes
// and the simulator imposes. One bit per cell. A plain value. Thread: any.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

namespace saccade::mechanisms {

struct KeyRange {  // half open
  int64_t begin = 0, end = 0;
  bool operator==(const KeyRange&) const = default;
};

// "0,3:7": ranges as edits name positions.
[[nodiscard]] std::string range_text(const std::vector<KeyRange>& ranges);

class KeyMask {
 public:
  KeyMask() = default;
  KeyMask(int64_t queries, int64_t keys);  // nothing is seen
  [[nodiscard]] static KeyMask everything(int64_t queries, int64_t keys);
  [[nodiscard]] static KeyMask causal(int64_t n);

  [[nodiscard]] int64_t queries() const { return queries_; }
  [[nodiscard]] int64_t keys() const { return keys_; }
  [[nodiscard]] bool sees(int64_t query, int64_t key) const {
    return ((words_[word(query, key)] >> (key % 64)) & 1U) != 0;
  }
  void show(int64_t query, int64_t key) { words_[word(query, key)] |= uint64_t{1} << (key % 64); }
  void hide(int64_t query, int64_t key) { words_[word(query, key)] &= ~(uint64_t{1} << (key % 64)); }
  void show(int64_t query, KeyRange keys);  // clipped to the keys there are

  [[nodiscard]] int64_t count() const;               // of all cells seen
  [[nodiscard]] int64_t count(int64_t query) const;  // of one row
  // The row as sorted ranges that do not touch.
  [[nodiscard]] std::vector<KeyRange> ranges(int64_t query) const;

  // Masks of one shape.
  KeyMask& operator&=(const KeyMask& other);
  KeyMask& operator|=(const KeyMask& other);
  // Whether everything seen here is seen there.
  [[nodiscard]] bool within(const KeyMask& other) const;
  // A row that sees nothing sees its own position: every row of an attention map needs one key.
  void keep_diagonal_of_empty_rows();
  bool operator==(const KeyMask&) const = default;

 private:
  [[nodiscard]] size_t word(int64_t query, int64_t key) const {
    return static_cast<size_t>(query * words_per_row_ + key / 64);
  }
  int64_t queries_ = 0, keys_ = 0, words_per_row_ = 0;
  std::vector<uint64_t> words_;
};

// Cells seen over cells that `possible` has: 1 where the mask takes nothing away. NaN where nothing is
// possible.
[[nodiscard]] double density(const KeyMask& mask, const KeyMask& possible);

// A mask of blocks as one of positions: block b holds the positions [b * side, (b + 1) * side), the last
// fewer.
[[nodiscard]] KeyMask expand_blocks(const KeyMask& blocks, int64_t side, int64_t n);

// The mask of a stretch of positions that begins at `first`, among n: all other positions see and are seen
// (CLS, registers, text).
[[nodiscard]] KeyMask place(const KeyMask& mask, int64_t first, int64_t n);

}  // namespace saccade::mechanisms
