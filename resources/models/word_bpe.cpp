#include "resources/models/word_bpe.h"

#include <algorithm>
#include <array>
#include <cctype>

namespace saccade {
namespace {

using Pair = std::pair<int32_t, int32_t>;

// GPT-2's order of the bytes: first those that print as themselves, then the rest, which print as U+0100 and
// up.
struct ByteTable {
  std::array<int32_t, 256> id{};
  std::array<uint8_t, 256> byte{};
  std::array<char32_t, 256> character{};  // by id

  ByteTable() {
    const auto prints = [](int b) { return (b >= 33 && b <= 126) || (b >= 161 && b <= 172) || b >= 174; };
    int32_t next = 0;
    for (const bool printable : {true, false}) {
      char32_t other = 0x100;
      for (int b = 0; b < 256; ++b) {
        if (prints(b) != printable) continue;
        id[b] = next;
        byte[next] = static_cast<uint8_t>(b);
        character[next++] = printable ? static_cast<char32_t>(b) : other++;
      }
    }
  }
};

const ByteTable& byte_table() {
  static const ByteTable table;
  return table;
}

// Replaces each occurrence of `pair`, from the left.
void merge_pair(std::vector<int32_t>& symbols, Pair pair, int32_t merged) {
  size_t out = 0;
  for (size_t i = 0; i < symbols.size(); ++i, ++out) {
    const bool hit = i + 1 < symbols.size() && symbols[i] == pair.first && symbols[i + 1] == pair.second;
    symbols[out] = hit ? merged : symbols[i];
    if (hit) ++i;
  }
  symbols.resize(out);
}

std::vector<int32_t> byte_symbols(std::string_view word) {
  std::vector<int32_t> symbols;
  for (const char c : word) symbols.push_back(byte_table().id[static_cast<uint8_t>(c)]);
  return symbols;
}

// The commonest neighbouring pair; of equally common ones the smallest, so that learning is deterministic.
std::pair<Pair, int> commonest_pair(const std::vector<std::vector<int32_t>>& words) {
  std::map<Pair, int> counts;
  for (const auto& word : words)
    for (size_t i = 0; i + 1 < word.size(); ++i) ++counts[{word[i], word[i + 1]}];
  std::pair<Pair, int> best{{}, 0};
  for (const auto& entry : counts)
    if (entry.second > best.second) best = entry;
  return best;
}

}  // namespace

WordBpe WordBpe::learn(const std::vector<std::string>& words) {
  WordBpe bpe;
  for (const uint8_t byte : byte_table().byte) bpe.bytes_.emplace_back(1, static_cast<char>(byte));
  std::vector<std::vector<int32_t>> state;
  for (const auto& word : words) state.push_back(byte_symbols(word));
  for (auto best = commonest_pair(state); best.second > 0; best = commonest_pair(state)) {
    const auto merged = static_cast<int32_t>(bpe.bytes_.size());
    bpe.rank_[best.first] = static_cast<int32_t>(bpe.merges_.size());
    bpe.merges_.push_back(best.first);
    bpe.bytes_.push_back(bpe.bytes_[best.first.first] + bpe.bytes_[best.first.second]);
    for (auto& word : state) merge_pair(word, best.first, merged);
  }
  return bpe;
}

std::vector<int32_t> WordBpe::encode_word(std::string_view word) const {
  auto symbols = byte_symbols(word);
  for (;;) {
    int32_t best = static_cast<int32_t>(merges_.size());
    for (size_t i = 0; i + 1 < symbols.size(); ++i) {
      const auto found = rank_.find({symbols[i], symbols[i + 1]});
      if (found != rank_.end()) best = std::min(best, found->second);
    }
    if (best == static_cast<int32_t>(merges_.size())) return symbols;
    merge_pair(symbols, merges_[best], 256 + best);
  }
}

std::vector<int32_t> WordBpe::encode(std::string_view text) const {
  const auto is_letter = [&](size_t i) { return std::isalpha(static_cast<unsigned char>(text[i])) != 0; };
  std::vector<int32_t> ids;
  for (size_t begin = 0; begin < text.size();) {
    size_t end = begin;
    if (text[end] == ' ' && end + 1 < text.size()) ++end;
    const bool letters = is_letter(end);
    while (end < text.size() && is_letter(end) == letters && (end == begin || text[end] != ' ')) ++end;
    const auto word = encode_word(text.substr(begin, end - begin));
    ids.insert(ids.end(), word.begin(), word.end());
    begin = end;
  }
  return ids;
}

std::string WordBpe::decode(int32_t id) const {
  return id == end_of_text_id() ? std::string(end_of_text) : bytes_[id];
}

std::string WordBpe::spelling(int32_t id) const {
  if (id == end_of_text_id()) return std::string(end_of_text);
  std::string out;
  for (const char byte : bytes_[id]) {
    const char32_t c = byte_table().character[byte_table().id[static_cast<uint8_t>(byte)]];
    if (c < 0x80) {
      out += static_cast<char>(c);
    } else {  // all are below U+0800: two bytes of UTF-8
      out += static_cast<char>(0xC0 | (c >> 6));
      out += static_cast<char>(0x80 | (c & 0x3F));
    }
  }
  return out;
}

WordBpe WordBpe::of_bare(const std::vector<std::string>& words) {
  std::vector<std::string> forms;
  for (const auto& word : words) {
    forms.push_back(" " + word);
    forms.push_back(word);
  }
  return learn(forms);
}

std::vector<std::string> WordBpe::split_forms(const std::vector<std::string>& words) const {
  std::vector<std::string> out;
  for (const auto& word : words)
    for (const auto& form : {word, " " + word})
      if (encode(form).size() != 1) out.push_back(form);
  return out;
}

}  // namespace saccade
