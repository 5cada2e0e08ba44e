#include "core/tokens/unigram.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <numeric>

#include "core/tokens/unicode.h"

namespace saccade::tokens {
namespace {

// What an unknown character costs beyond the least probable piece, as in SentencePiece.
constexpr double unknown_penalty = 10.0;

}  // namespace

Result<UnigramModel> UnigramModel::make(Pieces pieces, std::optional<int64_t> unknown, bool byte_fallback) {
  const auto bad = [](const std::string& what) { return make_error(ErrorCode::bad_format, what); };
  if (pieces.empty()) return bad("vocab: expected at least one piece, found none");
  if (unknown && (*unknown < 0 || *unknown >= static_cast<int64_t>(pieces.size())))
    return bad(fmt::format("unk_id: expected an id below {}, found {}", pieces.size(), *unknown));
  UnigramModel model;
  std::vector<std::pair<std::string, int64_t>> entries;
  double least = pieces.front().second;
  for (const auto& [piece, score] : pieces) {
    if (!std::isfinite(score)) return bad(fmt::format("vocab: the score of '{}' is no number", piece));
    least = std::min(least, score);
    model.scores_.push_back(score);
    entries.emplace_back(piece, static_cast<int64_t>(entries.size()));
  }
  SACCADE_TRY(model.vocabulary_, Vocabulary::make(std::move(entries)));
  model.unknown_ = unknown ? static_cast<int32_t>(*unknown) : Vocabulary::absent;
  model.unknown_score_ = least - unknown_penalty;
  model.sorted_.resize(pieces.size());
  std::iota(model.sorted_.begin(), model.sorted_.end(), 0);
  std::sort(model.sorted_.begin(), model.sorted_.end(), [&](int32_t a, int32_t b) {
    return pieces[static_cast<size_t>(a)].first < pieces[static_cast<size_t>(b)].first;
  });
  for (int byte = 0; byte_fallback && byte < 256; ++byte)
    model.by_byte_.push_back(model.vocabulary_.find(fmt::format("<0x{:02X}>", byte)));
  return model;
}

// Tries every piece that begins at byte `at`, by narrowing the sorted list byte after byte.
void UnigramModel::extend(std::string_view text, size_t at, std::vector<Node>& best) const {
  const size_t length = utf8_length(text[at]);
  const double so_far = best[at].score;
  bool whole_character = false;
  const auto offer = [&](size_t end, double score, int32_t id) {
    Node& node = best[end];
    if (node.begin < 0 || score > node.score) node = {score, static_cast<int64_t>(at), id};
  };
  auto first = sorted_.begin(), last = sorted_.end();
  for (size_t depth = 0; at + depth < text.size() && first != last; ++depth) {
    const auto byte = static_cast<unsigned char>(text[at + depth]);
    const auto at_depth = [&](int32_t id) -> int {  // shorter pieces come first
      const std::string& piece = *vocabulary_.at(id);
      return depth < piece.size() ? static_cast<unsigned char>(piece[depth]) : -1;
    };
    first = std::partition_point(first, last, [&](int32_t id) { return at_depth(id) < byte; });
    last = std::partition_point(first, last, [&](int32_t id) { return at_depth(id) <= byte; });
    if (first == last) break;
    if (const int32_t id = *first; vocabulary_.at(id)->size() == depth + 1) {
      offer(at + depth + 1, so_far + scores_[static_cast<size_t>(id)], id);
      whole_character = whole_character || depth + 1 == length;
    }
  }
  if (!whole_character) offer(at + length, so_far + unknown_score_, unknown_);
}

void UnigramModel::put(std::string_view text, size_t begin, size_t end, int32_t id,
                       std::vector<ModelToken>& out) const {
  const bool bytes =
      id == unknown_ && !by_byte_.empty() &&
      std::all_of(text.begin() + static_cast<ptrdiff_t>(begin), text.begin() + static_cast<ptrdiff_t>(end),
                  [&](char c) { return by_byte_[static_cast<unsigned char>(c)] != Vocabulary::absent; });
  if (!bytes) {
    if (id != Vocabulary::absent)
      out.push_back({id, static_cast<uint32_t>(begin), static_cast<uint32_t>(end)});
    return;
  }
  for (size_t at = begin; at < end;
       ++at)  // each byte stands for the whole stretch, as in the `tokenizers` package
    out.push_back({by_byte_[static_cast<unsigned char>(text[at])], static_cast<uint32_t>(begin),
                   static_cast<uint32_t>(end)});
}

void UnigramModel::encode(std::string_view text, std::vector<ModelToken>& out) const {
  std::vector<Node> best(text.size() + 1);
  for (size_t at = 0; at < text.size(); at += utf8_length(text[at])) extend(text, at, best);
  struct Part {
    size_t begin, end;
    int32_t id;
  };
  std::vector<Part> parts;  // from the end
  for (auto end = static_cast<int64_t>(text.size()); end > 0;) {
    const Node& node = best[static_cast<size_t>(end)];
    const Part part{static_cast<size_t>(node.begin), static_cast<size_t>(end), node.id};
    const bool joins = !parts.empty() && part.id == unknown_ && parts.back().id == unknown_;
    if (joins)
      parts.back().begin = part.begin;
    else
      parts.push_back(part);
    end = node.begin;
  }
  for (auto part = parts.rbegin(); part != parts.rend(); ++part)
    put(text, part->begin, part->end, part->id, out);
}

}  // namespace saccade::tokens
