#include "core/tokens/word_piece.h"

#include <fmt/format.h>

#include <algorithm>

#include "core/tokens/unicode.h"

namespace saccade::tokens {

Result<WordPieceModel> WordPieceModel::make(Vocabulary vocabulary, Options options) {
  WordPieceModel model;
  model.unknown_ = vocabulary.find(options.unknown);
  if (model.unknown_ == Vocabulary::absent)
    return make_error(ErrorCode::bad_format,
                      fmt::format("unk_token '{}' is not in the vocabulary", options.unknown));
  for (int32_t id = 0; id < vocabulary.size(); ++id)
    if (const std::string* piece = vocabulary.at(id))
      model.longest_piece_ = std::max(model.longest_piece_, piece->size());
  model.vocabulary_ = std::move(vocabulary);
  model.options_ = std::move(options);
  return model;
}

void WordPieceModel::encode(std::string_view word, std::vector<ModelToken>& out) const {
  const auto size = static_cast<uint32_t>(word.size());
  const size_t before = out.size();
  const auto unknown = [&] {
    out.resize(before);
    out.push_back({unknown_, 0, size});
  };
  if (static_cast<int64_t>(count_characters(word)) > options_.longest_word) return unknown();
  std::string piece;
  for (size_t begin = 0; begin < word.size();) {
    piece = begin > 0 ? options_.continuing_prefix : std::string();
    const size_t prefix = piece.size();
    size_t end = std::min(word.size(), begin + longest_piece_);
    while (end < word.size() && is_continuation(word[end])) --end;
    piece.append(word, begin, end - begin);
    int32_t id = Vocabulary::absent;
    for (; end > begin; end = character_before(word, end)) {
      id = vocabulary_.find(std::string_view(piece).substr(0, prefix + end - begin));
      if (id != Vocabulary::absent) break;
    }
    if (id == Vocabulary::absent) return unknown();
    out.push_back({id, static_cast<uint32_t>(begin), static_cast<uint32_t>(end)});
    begin = end;
  }
}

}  // namespace saccade::tokens
