#include "core/tokens/bpe.h"

#include <fmt/format.h>

#include <algorithm>
#include <bit>

#include "core/tokens/unicode.h"

namespace saccade::tokens {
namespace {

using Symbol = BpeScratch::Symbol;

constexpr size_t scan_up_to = 40;          // symbols; beyond it the heap is faster
constexpr size_t max_ranked_bytes = 1024;  // bounds the work per token
constexpr char32_t indexed_characters = 0x3000;

}  // namespace

void PairTable::reserve(size_t pairs) {
  slots_.assign(std::bit_ceil(std::max<size_t>(pairs * 2, 16)), Slot{});
  mask_ = slots_.size() - 1;
}

void PairTable::set(int32_t left, int32_t right, Merge merge) {
  const uint64_t key = key_of(left, right);
  size_t at = slot_of(key);
  while (slots_[at].key != free_key && slots_[at].key != key) at = (at + 1) & mask_;
  slots_[at] = {key, merge};
}

Result<BpeModel> BpeModel::make(Vocabulary vocabulary, const Merges& merges, BpeOptions options) {
  BpeModel model;
  model.vocabulary_ = std::move(vocabulary);
  model.merges_.reserve(merges.size());
  const std::string& prefix = options.continuing_subword_prefix;
  for (size_t rank = 0; rank < merges.size(); ++rank) {
    const std::string& left = merges[rank].first;
    const std::string& right = merges[rank].second;
    const auto fail = [&](const std::string& why) {
      return make_error(ErrorCode::bad_format,
                        fmt::format("merge {} (\"{}\" + \"{}\"): {}", rank, left, right, why));
    };
    if (left.empty() || right.empty()) return fail("a part is empty");
    const bool continues = !prefix.empty() && right.starts_with(prefix);
    if (continues && right.size() == prefix.size()) return fail("the right part is only the subword prefix");
    const std::string joined = left + (continues ? right.substr(prefix.size()) : right);
    const auto id_of = [&](const std::string& part) { return model.vocabulary_.find(part); };
    for (const std::string& part : {left, right, joined}) {
      if (id_of(part) == Vocabulary::absent)
        return fail(fmt::format("\"{}\" is not in the vocabulary", part));
    }
    model.merges_.set(id_of(left), id_of(right), {static_cast<uint32_t>(rank), id_of(joined)});
  }
  SACCADE_CHECK(model.finish(std::move(options)));
  return model;
}

Result<BpeModel> BpeModel::make_ranked(Vocabulary vocabulary, std::span<const uint32_t> ranks,
                                       BpeOptions options) {
  if (ranks.size() != static_cast<size_t>(vocabulary.size())) {
    return make_error(ErrorCode::bad_format, fmt::format("the vocabulary has {} tokens, but {} ranks",
                                                         vocabulary.size(), ranks.size()));
  }
  BpeModel model;
  model.vocabulary_ = std::move(vocabulary);
  struct Pair {
    int32_t left, right, joined;
  };
  std::vector<Pair> pairs;
  for (int32_t id = 0; id < model.vocabulary_.size(); ++id) {
    const std::string* token = model.vocabulary_.at(id);
    if (token == nullptr || ranks[static_cast<size_t>(id)] == never) continue;
    if (token->size() > max_ranked_bytes) {
      return make_error(ErrorCode::unsupported, fmt::format("token {} has {} bytes, at most {} are supported",
                                                            id, token->size(), max_ranked_bytes));
    }
    const std::string_view view = *token;
    for (size_t cut = view.empty() ? 0 : utf8_length(view[0]); cut < view.size();
         cut += utf8_length(view[cut])) {
      const int32_t left = model.vocabulary_.find(view.substr(0, cut));
      if (left == Vocabulary::absent) continue;
      const int32_t right = model.vocabulary_.find(view.substr(cut));
      if (right != Vocabulary::absent) pairs.push_back({left, right, id});
    }
  }
  model.merges_.reserve(pairs.size());
  for (const Pair& pair : pairs)
    model.merges_.set(pair.left, pair.right, {ranks[static_cast<size_t>(pair.joined)], pair.joined});
  SACCADE_CHECK(model.finish(std::move(options)));
  return model;
}

Result<void> BpeModel::finish(BpeOptions options) {
  options_ = std::move(options);
  if (options_.unknown) {
    unknown_ = vocabulary_.find(*options_.unknown);
    if (unknown_ == Vocabulary::absent) {
      return make_error(ErrorCode::bad_format,
                        fmt::format("the unknown token \"{}\" is not in the vocabulary", *options_.unknown));
    }
  }
  index_characters();
  return {};
}

void BpeModel::index_characters() {
  if (options_.byte_fallback) {
    for (int byte = 0; byte < 256; ++byte)
      by_byte_.push_back(vocabulary_.find(fmt::format("<0x{:02X}>", byte)));
  }
  if (!options_.continuing_subword_prefix.empty() || !options_.end_of_word_suffix.empty()) return;
  by_character_.reserve(indexed_characters);
  std::string text;
  for (char32_t character = 0; character < indexed_characters; ++character) {
    text.clear();
    append_utf8(text, character);
    by_character_.push_back(vocabulary_.find(text));
  }
}

int32_t BpeModel::character_id(std::string_view word, size_t begin, size_t end) const {
  if (!by_character_.empty()) {
    const char32_t character = character_at(word, begin);
    if (character < indexed_characters) return by_character_[character];
    return vocabulary_.find(word.substr(begin, end - begin));
  }
  std::string token;
  if (begin > 0) token = options_.continuing_subword_prefix;
  token += word.substr(begin, end - begin);
  if (end == word.size()) token += options_.end_of_word_suffix;
  return vocabulary_.find(token);
}

void BpeModel::start_symbols(std::string_view word, std::vector<Symbol>& symbols) const {
  symbols.clear();
  const auto put = [&](int32_t id, size_t begin, size_t end) {
    symbols.push_back({id, static_cast<uint32_t>(begin), static_cast<uint32_t>(end), -1, -1, {}});
  };
  bool after_unknown = false;
  for (size_t begin = 0; begin < word.size();) {
    const size_t end = begin + utf8_length(word[begin]);
    const int32_t id = character_id(word, begin, end);
    const auto byte_id = [&](size_t i) { return by_byte_[static_cast<unsigned char>(word[i])]; };
    if (id != Vocabulary::absent) {
      put(id, begin, end);
      after_unknown = false;
    } else {
      bool bytes_known = options_.byte_fallback;
      for (size_t i = begin; i < end && bytes_known; ++i) bytes_known = byte_id(i) != Vocabulary::absent;
      if (bytes_known) {
        for (size_t i = begin; i < end; ++i) put(byte_id(i), i, i + 1);
        after_unknown = false;
      } else if (after_unknown && options_.fuse_unknown) {
        symbols.back().end = static_cast<uint32_t>(end);
      } else if (unknown_ != Vocabulary::absent) {
        put(unknown_, begin, end);
        after_unknown = true;
      }
    }
    begin = end;
  }
  for (size_t i = 0; i < symbols.size(); ++i) {
    symbols[i].previous = static_cast<int32_t>(i) - 1;
    symbols[i].next = i + 1 < symbols.size() ? static_cast<int32_t>(i + 1) : -1;
    if (i + 1 < symbols.size()) symbols[i].merge = merges_.find(symbols[i].id, symbols[i + 1].id);
  }
}

void BpeModel::merge_by_scan(std::vector<Symbol>& symbols) const {
  while (true) {
    size_t best = 0;
    for (size_t i = 1; i < symbols.size(); ++i) {
      if (symbols[i].merge.rank < symbols[best].merge.rank) best = i;
    }
    if (symbols[best].merge.joined < 0) return;
    symbols[best].id = symbols[best].merge.joined;
    symbols[best].end = symbols[best + 1].end;
    symbols.erase(symbols.begin() + static_cast<ptrdiff_t>(best) + 1);
    symbols[best].merge =
        best + 1 < symbols.size() ? merges_.find(symbols[best].id, symbols[best + 1].id) : PairTable::Merge{};
    if (best > 0) symbols[best - 1].merge = merges_.find(symbols[best - 1].id, symbols[best].id);
  }
}

void BpeModel::merge_by_heap(BpeScratch& scratch) const {
  std::vector<Symbol>& symbols = scratch.symbols;
  auto& heap = scratch.heap;
  heap.clear();
  const auto later = [](const BpeScratch::Candidate& a, const BpeScratch::Candidate& b) {
    return a.rank != b.rank ? a.rank > b.rank : a.at > b.at;
  };
  for (size_t i = 0; i < symbols.size(); ++i) {
    if (symbols[i].merge.joined >= 0) heap.push_back({symbols[i].merge.rank, static_cast<uint32_t>(i)});
  }
  std::make_heap(heap.begin(), heap.end(), later);
  const auto look = [&](int32_t at) {
    Symbol& symbol = symbols[static_cast<size_t>(at)];
    symbol.merge = {};
    if (symbol.next < 0) return;
    symbol.merge = merges_.find(symbol.id, symbols[static_cast<size_t>(symbol.next)].id);
    if (symbol.merge.joined < 0) return;
    heap.push_back({symbol.merge.rank, static_cast<uint32_t>(at)});
    std::push_heap(heap.begin(), heap.end(), later);
  };
  while (!heap.empty()) {
    const BpeScratch::Candidate top = heap.front();
    std::pop_heap(heap.begin(), heap.end(), later);
    heap.pop_back();
    Symbol& left = symbols[top.at];
    if (left.id < 0 || left.merge.joined < 0 || left.merge.rank != top.rank) continue;  // overtaken
    Symbol& right = symbols[static_cast<size_t>(left.next)];
    left.id = left.merge.joined;
    left.end = right.end;
    left.next = right.next;
    right.id = -1;
    if (left.next >= 0) symbols[static_cast<size_t>(left.next)].previous = static_cast<int32_t>(top.at);
    look(static_cast<int32_t>(top.at));
    if (left.previous >= 0) look(left.previous);
  }
}

void BpeModel::encode(std::string_view word, BpeScratch& scratch, std::vector<ModelToken>& out) const {
  if (options_.ignore_merges) {
    if (const int32_t whole = vocabulary_.find(word); whole != Vocabulary::absent) {
      out.push_back({whole, 0, static_cast<uint32_t>(word.size())});
      return;
    }
  }
  start_symbols(word, scratch.symbols);
  if (scratch.symbols.empty()) return;
  if (scratch.symbols.size() <= scan_up_to) {
    merge_by_scan(scratch.symbols);
  } else {
    merge_by_heap(scratch);
  }
  for (const Symbol& symbol : scratch.symbols) {
    if (symbol.id >= 0) out.push_back({symbol.id, symbol.begin, symbol.end});
  }
}

}  // namespace saccade::tokens
