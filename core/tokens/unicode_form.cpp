#include "core/tokens/unicode_form.h"

#include <algorithm>
#include <string>
#include <vector>

#include "core/tokens/unicode.h"

namespace saccade::tokens {
namespace {

// A character of the result. `change`: how many characters of the old text it stands for, less one: 1 for one
// that was not there (the second half of a decomposition), 0 for a replacement, -n for n more swallowed.
struct Change {
  char32_t character;
  int change;
  int combining;
};

// Canonical decomposition of the whole piece, combining marks in canonical order.
std::vector<Change> decompose(std::string_view text, bool compatibility) {
  std::vector<Change> out;
  out.reserve(text.size());
  std::u32string parts;
  size_t marks = 0;  // where the current run of marks starts
  const auto sort_marks = [&] {
    std::stable_sort(out.begin() + static_cast<ptrdiff_t>(marks), out.end(),
                     [](const Change& a, const Change& b) { return a.combining < b.combining; });
  };
  for (size_t at = 0; at < text.size(); at += utf8_length(text[at])) {
    parts.clear();
    append_decomposition(parts, character_at(text, at), compatibility);
    for (size_t i = 0; i < parts.size(); ++i) {
      const int combining = combining_class(parts[i]);
      if (combining == 0) sort_marks();
      out.push_back({parts[i], i == 0 ? 0 : 1, combining});
      if (combining == 0) marks = out.size();
    }
  }
  sort_marks();
  return out;
}

// The canonical composition algorithm over a decomposed text, in place.
void recompose(std::vector<Change>& text) {
  size_t written = 0;
  size_t starter = 0;
  bool have_starter = false;
  int last_class = -1;  // of the mark kept since the starter; -1: none
  for (const Change& next : text) {
    if (have_starter && last_class < next.combining) {
      if (const auto joined = compose(text[starter].character, next.character)) {
        text[starter].character = *joined;
        text[starter].change += next.change - 1;
        continue;
      }
    }
    if (next.combining == 0) {
      starter = written;
      have_starter = true;
      last_class = -1;
    } else {
      last_class = next.combining;
    }
    text[written++] = next;
  }
  text.resize(written);
}

bool is_unchanged(std::string_view text, bool compatibility, bool composed) {
  if (composed && !compatibility) {
    // Nothing below U+0300 is changed by NFC or joined to what follows it there.
    return std::all_of(text.begin(), text.end(), [](char c) { return static_cast<unsigned char>(c) < 0xCC; });
  }
  return std::all_of(text.begin(), text.end(), [](char c) { return static_cast<unsigned char>(c) < 0x80; });
}

}  // namespace

void rewrite_unicode_form(Rewriter& out, bool compatibility, bool composed) {
  const std::string_view text = out.rest();
  if (is_unchanged(text, compatibility, composed)) {
    out.keep(text.size());
    return;
  }
  std::vector<Change> changes = decompose(text, compatibility);
  if (composed) recompose(changes);
  for (const Change& change : changes) {
    if (change.change > 0 || out.at_end()) {
      out.insert(change.character);
      continue;
    }
    out.replace(change.character);
    for (int i = 0; i < -change.change && !out.at_end(); ++i) out.skip(utf8_length(out.rest().front()));
  }
}

}  // namespace saccade::tokens
