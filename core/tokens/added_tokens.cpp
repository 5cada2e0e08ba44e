#include "core/tokens/added_tokens.h"

#include <fmt/format.h>

#include <algorithm>

#include "core/tokens/unicode.h"

namespace saccade::tokens {
namespace {

constexpr size_t max_content_bytes = 1024;  // bounds the work per place of the text

constexpr int32_t max_id_gap = 65'536;  // ids may have holes, but not fill the memory

// Start of the whitespace that ends at byte `end`, not before `begin`.
size_t whitespace_before(std::string_view text, size_t begin, size_t end) {
  while (end > begin) {
    const size_t at = character_before(text, end);
    if (at < begin || !is_whitespace(character_at(text, at))) break;
    end = at;
  }
  return end;
}

size_t whitespace_after(std::string_view text, size_t begin) {
  while (begin < text.size() && is_whitespace(character_at(text, begin))) begin += utf8_length(text[begin]);
  return begin;
}

bool is_single_word(std::string_view text, size_t begin, size_t end) {
  if (begin > 0 && is_word(character_at(text, character_before(text, begin)))) return false;
  return end == text.size() || !is_word(character_at(text, end));
}

}  // namespace

void StringTrie::add(std::string_view text, int32_t value) {
  uint32_t node = 0;
  for (const char byte : text) {
    const auto found = nodes_[node].next.find(byte);
    if (found != nodes_[node].next.end()) {
      node = found->second;
      continue;
    }
    const auto made = static_cast<uint32_t>(nodes_.size());
    nodes_[node].next.emplace(byte, made);
    nodes_.emplace_back();
    node = made;
  }
  if (node != 0) nodes_[node].value = value;
}

StringTrie::Hit StringTrie::longest(std::string_view text, size_t at) const {
  Hit hit;
  uint32_t node = 0;
  for (size_t i = at; i < text.size(); ++i) {
    const auto found = nodes_[node].next.find(text[i]);
    if (found == nodes_[node].next.end()) break;
    node = found->second;
    if (nodes_[node].value >= 0) hit = {i + 1 - at, nodes_[node].value};
  }
  return hit;
}

Result<void> AddedTokens::add(AddedToken token, const Vocabulary& vocabulary) {
  if (token.content.empty()) return {};  // as the originals do: nothing to look for
  if (token.content.size() > max_content_bytes) {
    return make_error(ErrorCode::unsupported,
                      fmt::format("the added token {} has {} bytes, at most {} are supported", token.id,
                                  token.content.size(), max_content_bytes));
  }
  const int32_t known = vocabulary.find(token.content);
  if (const auto earlier = by_content_.find(token.content); earlier != by_content_.end()) {
    token.id = tokens_[earlier->second].id;
    tokens_[earlier->second] = std::move(token);
    return {};
  }
  if (known != Vocabulary::absent) {
    token.id = known;
  } else if (token.id < 0) {
    token.id = std::max(vocabulary.size(), highest_ + 1);
  }
  if (token.id > vocabulary.size() + static_cast<int32_t>(tokens_.size()) + max_id_gap) {
    return make_error(ErrorCode::bad_format,
                      fmt::format("the added token \"{}\" has the id {}, far beyond the {} tokens "
                                  "of the vocabulary",
                                  token.content, token.id, vocabulary.size()));
  }
  const std::string* owner = vocabulary.at(token.id);
  if (owner != nullptr && known == Vocabulary::absent) {
    return make_error(ErrorCode::bad_format,
                      fmt::format("the added token \"{}\" has the id {}, which the vocabulary "
                                  "gives to \"{}\"",
                                  token.content, token.id, *owner));
  }
  if (const AddedToken* other = find(token.id)) {
    return make_error(ErrorCode::bad_format,
                      fmt::format("the added tokens \"{}\" and \"{}\" both have the id {}", other->content,
                                  token.content, token.id));
  }
  highest_ = std::max(highest_, token.id);
  by_id_[token.id] = tokens_.size();
  by_content_[token.content] = tokens_.size();
  tokens_.push_back(std::move(token));
  return {};
}

void AddedTokens::finish(const std::vector<std::string>& normalized_contents) {
  raw_ = {};
  normalized_ = {};
  for (size_t i = 0; i < tokens_.size(); ++i) {
    tokens_[i].written = normalized_contents[i];
    if (tokens_[i].normalized) {
      normalized_.add(normalized_contents[i], static_cast<int32_t>(i));
    } else {
      raw_.add(tokens_[i].content, static_cast<int32_t>(i));
    }
  }
}

const AddedToken* AddedTokens::find(int32_t id) const {
  const auto found = by_id_.find(id);
  return found == by_id_.end() ? nullptr : &tokens_[found->second];
}

const AddedToken* AddedTokens::find(std::string_view content) const {
  const auto found = by_content_.find(std::string(content));
  return found == by_content_.end() ? nullptr : &tokens_[found->second];
}

void AddedTokens::split(AlignedText& text, When when, bool parse_special) const {
  const StringTrie& trie = when == When::before_normalization ? raw_ : normalized_;
  if (trie.empty()) return;
  std::vector<Piece> pieces;
  for (const Piece& piece : text.pieces) {
    if (piece.id >= 0) {
      pieces.push_back(piece);
    } else {
      split_piece(text, piece, trie, parse_special, pieces);
    }
  }
  text.pieces = std::move(pieces);
}

void AddedTokens::split_piece(const AlignedText& text, const Piece& piece, const StringTrie& trie,
                              bool parse_special, std::vector<Piece>& out) const {
  const std::string_view view = text.view(piece);
  const auto put = [&](size_t begin, size_t end, int32_t id) {
    out.push_back({piece.begin + static_cast<uint32_t>(begin), piece.begin + static_cast<uint32_t>(end), id});
  };
  size_t done = 0;
  for (size_t at = 0; at < view.size();) {
    const StringTrie::Hit hit = trie.longest(view, at);
    if (hit.length == 0) {
      ++at;
      continue;
    }
    const AddedToken& token = tokens_[static_cast<size_t>(hit.value)];
    const size_t after = at + hit.length;
    if ((token.special && !parse_special) || (token.single_word && !is_single_word(view, at, after))) {
      at = after;
      continue;
    }
    const size_t begin = token.lstrip ? whitespace_before(view, done, at) : at;
    const size_t end = token.rstrip ? whitespace_after(view, after) : after;
    if (done < begin) put(done, begin, -1);
    put(begin, end, token.id);
    at = done = end;
  }
  if (done < view.size()) put(done, view.size(), -1);
}

}  // namespace saccade::tokens
