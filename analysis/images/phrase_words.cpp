#include "analysis/images/phrase_words.h"

#include <algorithm>
#include <array>

namespace saccade {
namespace {

bool is_blank(char c) { return c == ' ' || c == '\n' || c == '\t' || c == '\r'; }
// Bytes of other scripts are letters here.
bool is_letter(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '\'' ||
         static_cast<unsigned char>(c) >= 0x80;
}

std::string_view trimmed(std::string_view text) {
  while (!text.empty() && is_blank(text.front())) text.remove_prefix(1);
  while (!text.empty() && is_blank(text.back())) text.remove_suffix(1);
  return text;
}

std::string lower(std::string_view text) {
  std::string made(text);
  for (char& c : made)
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  return made;
}

bool has_letters(std::string_view text) { return std::any_of(text.begin(), text.end(), is_letter); }

}  // namespace

bool is_stop_word(std::string_view word) {
  // Articles, prepositions, conjunctions, pronouns, auxiliaries: the closed classes.
  static constexpr std::array stop_words{
      "a",    "about", "after", "all",   "am",    "an",    "and",  "any",  "are",   "as",    "at",
      "be",   "been",  "but",   "by",    "can",   "could", "did",  "do",   "does",  "for",   "from",
      "had",  "has",   "have",  "he",    "her",   "his",   "how",  "i",    "if",    "in",    "into",
      "is",   "it",    "its",   "me",    "my",    "no",    "nor",  "not",  "of",    "on",    "or",
      "our",  "out",   "she",   "so",    "some",  "such",  "than", "that", "the",   "their", "them",
      "then", "there", "these", "they",  "this",  "those", "to",   "too",  "up",    "was",   "we",
      "were", "what",  "when",  "where", "which", "who",   "will", "with", "would", "you",   "your"};
  const std::string plain = lower(trimmed(word));
  return !has_letters(plain) || std::find(stop_words.begin(), stop_words.end(), plain) != stop_words.end();
}

std::vector<PhraseWord> phrase_words(std::span<const Token> tokens, int64_t begin, int64_t end) {
  std::vector<PhraseWord> words;
  const Token* before = nullptr;
  for (int64_t i = begin; i < std::min<int64_t>(end, std::ssize(tokens)); ++i) {
    const Token& token = tokens[static_cast<size_t>(i)];
    const std::string_view text = trimmed(token.text);
    const bool goes_on = before != nullptr && !token.special && !before->special && token.end > token.begin &&
                         before->end == token.begin && !text.empty() && is_letter(token.text.front()) &&
                         is_letter(before->text.back());
    if (goes_on) {
      words.back().text += text;
      words.back().end = i + 1;
    } else if (!text.empty()) {
      words.push_back({std::string(text), i, i + 1, token.special});
    }
    before = token.text.empty() ? nullptr : &token;
  }
  for (PhraseWord& word : words) word.is_stop = word.is_stop || is_stop_word(word.text);
  return words;
}

std::vector<PhraseWord> find_phrase(std::span<const PhraseWord> words, std::string_view phrase) {
  std::vector<std::string> wanted;
  for (size_t at = 0; at < phrase.size();) {
    size_t stop = at;
    while (stop < phrase.size() && is_letter(phrase[stop])) ++stop;
    if (stop > at) wanted.push_back(lower(phrase.substr(at, stop - at)));
    at = std::max(stop, at + 1);
  }
  std::vector<size_t> spoken;
  for (size_t w = 0; w < words.size(); ++w)
    if (has_letters(words[w].text)) spoken.push_back(w);
  for (size_t first = 0; !wanted.empty() && first + wanted.size() <= spoken.size(); ++first) {
    const auto same = [&](const std::string& word) {
      return word == lower(words[spoken[first + static_cast<size_t>(&word - wanted.data())]].text);
    };
    if (!std::all_of(wanted.begin(), wanted.end(), same)) continue;
    const size_t last = spoken[first + wanted.size() - 1];
    return {words.begin() + static_cast<ptrdiff_t>(spoken[first]),
            words.begin() + static_cast<ptrdiff_t>(last) + 1};
  }
  return {};
}

}  // namespace saccade
