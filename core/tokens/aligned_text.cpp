#include "core/tokens/aligned_text.h"

#include "core/tokens/unicode.h"

namespace saccade::tokens {

AlignedText AlignedText::from(std::string_view prompt) {
  AlignedText aligned;
  aligned.text = prompt;
  aligned.source.resize(prompt.size());
  for (uint32_t i = 0; i < aligned.source.size(); ++i) aligned.source[i] = {i, i + 1};
  if (!prompt.empty()) aligned.pieces.push_back({0, static_cast<uint32_t>(prompt.size()), -1});
  return aligned;
}

Rewriter::Rewriter(const AlignedText& old) : old_(old) {
  next_.text.reserve(old.text.size() + old.text.size() / 4);
  next_.source.reserve(old.text.size() + old.text.size() / 4);
  next_.pieces.reserve(old.pieces.size());
}

void Rewriter::open(const Piece& piece) {
  begin_ = at_ = piece.begin;
  end_ = piece.end;
  current_ = {static_cast<uint32_t>(next_.text.size()), 0, piece.id};
}

void Rewriter::keep(size_t bytes) {
  next_.text.append(old_.text, at_, bytes);
  const auto from = old_.source.begin() + static_cast<ptrdiff_t>(at_);
  next_.source.insert(next_.source.end(), from, from + static_cast<ptrdiff_t>(bytes));
  at_ += bytes;
}

void Rewriter::put(char32_t character, SourceRange source) {
  append_utf8(next_.text, character);
  next_.source.resize(next_.text.size(), source);
}

void Rewriter::replace(char32_t character) {
  const size_t length = utf8_length(old_.text[at_]);
  if (character_at(old_.text, at_) == character) {
    keep(length);
    return;
  }
  put(character, old_.source_of(at_, at_ + length));
  at_ += length;
}

SourceRange Rewriter::previous_character() const {
  if (at_ == begin_) {
    if (begin_ == end_) return {};
    return {old_.source[begin_].begin, old_.source[begin_].begin};
  }
  return old_.source_of(character_before(old_.text, at_), at_);
}

void Rewriter::insert(char32_t character) { put(character, previous_character()); }

void Rewriter::insert(std::string_view text) {
  next_.text += text;
  next_.source.resize(next_.text.size(), previous_character());
}

void Rewriter::prepend(std::string_view text) {
  const size_t length = utf8_length(old_.text[at_]);
  next_.text += text;
  next_.source.resize(next_.text.size(), old_.source_of(at_, at_ + length));
}

void Rewriter::close() {
  current_.end = static_cast<uint32_t>(next_.text.size());
  if (current_.end > current_.begin) next_.pieces.push_back(current_);
}

}  // namespace saccade::tokens
