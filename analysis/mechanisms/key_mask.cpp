#include "analysis/mechanisms/key_mask.h"

#include <algorithm>
#include <bit>
#include <limits>

namespace saccade::mechanisms {

std::string range_text(const std::vector<KeyRange>& ranges) {
  std::string text;
  for (const KeyRange& range : ranges) {
    if (!text.empty()) text += ',';
    text += std::to_string(range.begin);
    if (range.end - range.begin != 1) text += ':' + std::to_string(range.end);
  }
  return text;
}

KeyMask::KeyMask(int64_t queries, int64_t keys)
    : queries_(queries),
      keys_(keys),
      words_per_row_((keys + 63) / 64),
      words_(static_cast<size_t>(queries * words_per_row_), 0) {}

KeyMask KeyMask::everything(int64_t queries, int64_t keys) {
  KeyMask mask(queries, keys);
  for (int64_t i = 0; i < queries; ++i) mask.show(i, {0, keys});
  return mask;
}

KeyMask KeyMask::causal(int64_t n) {
  KeyMask mask(n, n);
  for (int64_t i = 0; i < n; ++i) mask.show(i, {0, i + 1});
  return mask;
}

void KeyMask::show(int64_t query, KeyRange keys) {
  const int64_t end = std::min(keys.end, keys_);
  for (int64_t key = std::max<int64_t>(keys.begin, 0); key < end; ++key) show(query, key);
}

int64_t KeyMask::count() const {
  int64_t total = 0;
  for (const uint64_t bits : words_) total += std::popcount(bits);
  return total;
}

int64_t KeyMask::count(int64_t query) const {
  int64_t total = 0;
  for (int64_t w = 0; w < words_per_row_; ++w)
    total += std::popcount(words_[static_cast<size_t>(query * words_per_row_ + w)]);
  return total;
}

std::vector<KeyRange> KeyMask::ranges(int64_t query) const {
  std::vector<KeyRange> found;
  for (int64_t key = 0; key < keys_; ++key) {
    if (!sees(query, key)) continue;
    if (!found.empty() && found.back().end == key)
      ++found.back().end;
    else
      found.push_back({key, key + 1});
  }
  return found;
}

KeyMask& KeyMask::operator&=(const KeyMask& other) {
  for (size_t w = 0; w < words_.size(); ++w) words_[w] &= other.words_[w];
  return *this;
}

KeyMask& KeyMask::operator|=(const KeyMask& other) {
  for (size_t w = 0; w < words_.size(); ++w) words_[w] |= other.words_[w];
  return *this;
}

bool KeyMask::within(const KeyMask& other) const {
  for (size_t w = 0; w < words_.size(); ++w)
    if ((words_[w] & ~other.words_[w]) != 0) return false;
  return true;
}

void KeyMask::keep_diagonal_of_empty_rows() {
  for (int64_t i = 0; i < std::min(queries_, keys_); ++i)
    if (count(i) == 0) show(i, i);
}

double density(const KeyMask& mask, const KeyMask& possible) {
  KeyMask kept = mask;
  kept &= possible;
  const int64_t all = possible.count();
  return all == 0 ? std::numeric_limits<double>::quiet_NaN()
                  : static_cast<double>(kept.count()) / static_cast<double>(all);
}

KeyMask expand_blocks(const KeyMask& blocks, int64_t side, int64_t n) {
  KeyMask mask(n, n);
  for (int64_t i = 0; i < n; ++i)
    for (int64_t b = 0; b < blocks.keys(); ++b)
      if (blocks.sees(i / side, b)) mask.show(i, {b * side, (b + 1) * side});
  return mask;
}

KeyMask place(const KeyMask& mask, int64_t first, int64_t n) {
  KeyMask placed = KeyMask::everything(n, n);
  for (int64_t i = 0; i < mask.queries(); ++i)
    for (int64_t j = 0; j < mask.keys(); ++j)
      if (!mask.sees(i, j)) placed.hide(first + i, first + j);
  return placed;
}

}  // namespace saccade::mechanisms
