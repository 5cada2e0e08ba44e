#include <algorithm>
#include <cctype>
#include <string_view>

#include "analysis/compare.h"

namespace saccade {
namespace {

// A word keeps the white space before it, as tokens do, so that the pieces put together are the text again.
std::vector<std::string_view> words_of(std::string_view text) {
  const auto is_space = [&](size_t at) { return std::isspace(static_cast<unsigned char>(text[at])) != 0; };
  std::vector<std::string_view> words;
  size_t begin = 0;
  while (begin < text.size()) {
    size_t end = begin;
    while (end < text.size() && is_space(end)) ++end;
    while (end < text.size() && !is_space(end)) ++end;
    words.push_back(text.substr(begin, end - begin));
    begin = end;
  }
  return words;
}

using Words = std::span<const std::string_view>;

void append(std::vector<DiffPiece>& pieces, DiffKind kind, Words words) {
  if (words.empty()) return;
  if (pieces.empty() || pieces.back().kind != kind) pieces.push_back({kind, {}});
  for (std::string_view word : words) pieces.back().text += word;
}

// Longest common subsequence by the textbook table; the caller bounds the sizes.
void append_difference(std::vector<DiffPiece>& pieces, Words a, Words b) {
  const size_t width = b.size() + 1;
  std::vector<uint16_t> longest((a.size() + 1) * width, 0);
  for (size_t i = a.size(); i-- > 0;)
    for (size_t j = b.size(); j-- > 0;)
      longest[i * width + j] = a[i] == b[j]
                                   ? static_cast<uint16_t>(longest[(i + 1) * width + j + 1] + 1)
                                   : std::max(longest[(i + 1) * width + j], longest[i * width + j + 1]);
  size_t i = 0, j = 0;
  while (i < a.size() && j < b.size()) {
    if (a[i] == b[j]) {
      append(pieces, DiffKind::same, a.subspan(i, 1));
      ++i, ++j;
    } else if (longest[(i + 1) * width + j] >= longest[i * width + j + 1]) {
      append(pieces, DiffKind::only_a, a.subspan(i++, 1));
    } else {
      append(pieces, DiffKind::only_b, b.subspan(j++, 1));
    }
  }
  append(pieces, DiffKind::only_a, a.subspan(i));
  append(pieces, DiffKind::only_b, b.subspan(j));
}

}  // namespace

std::vector<DiffPiece> diff_words(const std::string& a, const std::string& b) {
  const auto words_a = words_of(a), words_b = words_of(b);
  Words rest_a = words_a, rest_b = words_b;
  const auto [end_a, end_b] = std::mismatch(rest_a.begin(), rest_a.end(), rest_b.begin(), rest_b.end());
  const auto head = static_cast<size_t>(end_a - rest_a.begin());
  std::vector<DiffPiece> pieces;
  append(pieces, DiffKind::same, rest_a.first(head));
  rest_a = rest_a.subspan(head);
  rest_b = rest_b.subspan(head);
  size_t tail = 0;
  while (tail < std::min(rest_a.size(), rest_b.size()) &&
         rest_a[rest_a.size() - 1 - tail] == rest_b[rest_b.size() - 1 - tail])
    ++tail;
  const Words same_tail = rest_a.last(tail);
  rest_a = rest_a.first(rest_a.size() - tail);
  rest_b = rest_b.first(rest_b.size() - tail);
  // Above this the table costs more time than a redraw has; the whole middle is then marked as different.
  constexpr size_t most_cells = size_t{4} << 20;
  const bool small =
      rest_a.size() < 65535 && rest_b.size() < 65535 && rest_a.size() * rest_b.size() <= most_cells;
  if (small) {
    append_difference(pieces, rest_a, rest_b);
  } else {
    append(pieces, DiffKind::only_a, rest_a);
    append(pieces, DiffKind::only_b, rest_b);
  }
  append(pieces, DiffKind::same, same_tail);
  return pieces;
}

}  // namespace saccade
