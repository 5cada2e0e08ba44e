// Text on its way to the model: its bytes now, and for each byte where in the prompt it came from.
//
// Normalizers and pre-tokenizers rewrite the text and cut it into pieces; the source ranges are carried along
// so that every token can say which bytes of the prompt it stands for. The rules for a character that was not
// there before follow the `tokenizers` package, so that offsets agree with it: a replaced character keeps the
// range of the character it replaces, an inserted one shares the range of the character before it. Thread:
// one at a time (a value local to one encode call).
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace saccade::tokens {

struct SourceRange {
  uint32_t begin = 0, end = 0;  // bytes of the prompt
};

struct Piece {
  uint32_t begin = 0, end = 0;  // bytes of AlignedText::text
  int32_t id = -1;              // an added token that was recognised; -1: text for the next stage
};

struct AlignedText {
  std::string text;
  std::vector<SourceRange> source;  // one per byte of text
  std::vector<Piece> pieces;        // in order, without overlap; what no piece covers is dropped

  // The prompt itself as one piece; size below 2^32 is the caller's duty.
  [[nodiscard]] static AlignedText from(std::string_view prompt);
  [[nodiscard]] std::string_view view(const Piece& piece) const {
    return std::string_view(text).substr(piece.begin, piece.end - piece.begin);
  }
  // Where bytes [begin, end) of text, not empty, came from.
  [[nodiscard]] SourceRange source_of(size_t begin, size_t end) const {
    return {source[begin].begin, source[end - 1].end};
  }
};

// Writes the next version of a text, piece by piece:
//   Rewriter next(old); for each piece: next.open(piece); keep/replace/insert/skip ...; next.close();
//   next.take()
class Rewriter {
 public:
  explicit Rewriter(const AlignedText& old);
  void open(const Piece& piece);
  [[nodiscard]] bool at_end() const { return at_ == end_; }
  [[nodiscard]] size_t at() const { return at_; }  // next byte of the old text
  [[nodiscard]] std::string_view rest() const { return std::string_view(old_.text).substr(at_, end_ - at_); }
  void keep(size_t bytes);                   // the next bytes stay as they are
  void replace(char32_t character);          // the next character becomes this one
  void insert(char32_t character);           // a new one after the character last passed
  void insert(std::string_view text);        // several, all sharing that character's range
  void skip(size_t bytes) { at_ += bytes; }  // the next bytes (whole characters) go
  void prepend(std::string_view text);  // new text before the piece; call right after open, piece not empty
  void close();                         // drops what is left, ends the piece
  [[nodiscard]] AlignedText take() { return std::move(next_); }

 private:
  void put(char32_t character, SourceRange source);
  [[nodiscard]] SourceRange previous_character() const;
  const AlignedText& old_;
  AlignedText next_;
  size_t at_ = 0, end_ = 0, begin_ = 0;
  Piece current_;
};

}  // namespace saccade::tokens
