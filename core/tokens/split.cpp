#include "core/tokens/split.h"

namespace saccade::tokens {
namespace {

// Calls visit(begin, end, is_match) for every match and every gap between, left to right.
template <class Visit>
void visit_parts(size_t size, const std::vector<Match>& matches, bool invert, const Visit& visit) {
  size_t done = 0;
  for (const Match& match : matches) {
    if (done < match.begin) visit(done, match.begin, invert);
    visit(match.begin, match.end, !invert);
    done = match.end;
  }
  if (done < size) visit(done, size, invert);
}

struct Part {
  size_t begin, end;
  bool is_match;
};

}  // namespace

void split_at_matches(const Piece& piece, const std::vector<Match>& matches, SplitBehavior behavior,
                      bool invert, std::vector<Piece>& out) {
  const size_t size = piece.end - piece.begin;
  const auto put = [&](size_t begin, size_t end) {
    if (begin == end) return;
    out.push_back({piece.begin + static_cast<uint32_t>(begin), piece.begin + static_cast<uint32_t>(end), -1});
  };
  if (behavior == SplitBehavior::isolated || behavior == SplitBehavior::removed) {
    visit_parts(size, matches, invert, [&](size_t begin, size_t end, bool is_match) {
      if (!is_match || behavior == SplitBehavior::isolated) put(begin, end);
    });
    return;
  }
  std::vector<Part> parts;
  visit_parts(size, matches, invert, [&](size_t begin, size_t end, bool is_match) {
    parts.push_back({begin, end, is_match});
  });
  // Whether part i joins the one before it.
  const auto joins = [&](size_t i) {
    if (i == 0) return false;
    const bool now = parts[i].is_match;
    const bool before = parts[i - 1].is_match;
    if (behavior == SplitBehavior::contiguous) return now == before;
    if (behavior == SplitBehavior::merged_with_previous) return now && !before;
    return before && !now;
  };
  for (size_t i = 0; i < parts.size();) {
    size_t last = i;
    while (last + 1 < parts.size() && joins(last + 1)) ++last;
    put(parts[i].begin, parts[last].end);
    i = last + 1;
  }
}

}  // namespace saccade::tokens
