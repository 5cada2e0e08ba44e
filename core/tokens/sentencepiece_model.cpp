#include "core/tokens/sentencepiece_model.h"

#include <fmt/format.h>

#include <algorithm>

#include "core/tokens/added_tokens.h"
#include "core/tokens/prompt.h"
#include "core/tokens/sentencepiece_library.h"
#include "core/tokens/sentencepiece_proto.h"
#include "core/tokens/unicode.h"

namespace saccade::tokens {
namespace {

constexpr std::string_view space_mark = "\u2581";

// Special tokens at the ends of a text.
struct Ends {
  std::vector<int32_t> before, after;
};

// What a piece stands for in a text.
std::string text_of(const SentencePieceProto::Piece& piece, bool escaped) {
  if (piece.type == PieceType::byte) {
    unsigned value = 0;
    for (const char digit : piece.text.substr(3, 2))
      value = value * 16 + static_cast<unsigned>(digit <= '9' ? digit - '0' : digit - 'A' + 10);
    return {static_cast<char>(value)};
  }
  std::string text(piece.text);
  if (!escaped) return text;
  for (size_t at = text.find(space_mark); at != std::string::npos; at = text.find(space_mark, at + 1))
    text.replace(at, space_mark.size(), " ");
  return text;
}

class SentencePieceTokenizer final : public Tokenizer {
 public:
  Result<void> load(const std::string& file, const TokenizerConfig& config, const std::string& source) {
    SACCADE_TRY(const SentencePieceProto proto, SentencePieceProto::read(file));
    SACCADE_TRY(model_, SentencePieceLibrary::open(file));
    if (static_cast<size_t>(model_->size()) != proto.pieces.size()) {
      return make_error(ErrorCode::internal, fmt::format("SentencePiece read {} pieces, expected {}",
                                                         model_->size(), proto.pieces.size()));
    }
    if (config.legacy && !*config.legacy && proto.normalization.add_dummy_prefix) {
      SACCADE_TRY(following_, SentencePieceLibrary::open(file + without_dummy_prefix()));
    }
    SACCADE_CHECK(list_tokens(proto, config));
    SACCADE_CHECK(set_ends(config));
    const bool fallback = std::any_of(proto.pieces.begin(), proto.pieces.end(),
                                      [](const auto& piece) { return piece.type == PieceType::byte; });
    description_ =
        fmt::format("SentencePiece {}{}, {} tokens, from {}", algorithm_name(proto.algorithm),
                    fallback ? " with byte fallback" : "", with_thousands(vocabulary_size()), source);
    return {};
  }

  [[nodiscard]] Result<TokenSequence> encode(std::string_view text,
                                             const EncodeOptions& options) const override {
    SACCADE_CHECK(check_prompt(text));
    AlignedText aligned = AlignedText::from(text);
    added_.split(aligned, AddedTokens::When::before_normalization, options.parse_special_tokens);
    TokenSequence sequence;
    sequence.text = text;
    const auto end = static_cast<int64_t>(text.size());
    if (options.add_special_tokens) {
      for (const int32_t id : ends_.before) put(sequence, id, 0, 0);
    }
    for (const Piece& piece : aligned.pieces) {
      if (piece.id >= 0) {
        put(sequence, piece.id, piece.begin, piece.end);
      } else {
        SACCADE_CHECK(encode_part(text.substr(piece.begin, piece.end - piece.begin), piece.begin, sequence));
      }
    }
    if (options.add_special_tokens) {
      for (const int32_t id : ends_.after) put(sequence, id, end, end);
    }
    return sequence;
  }

  [[nodiscard]] Result<std::string> decode(std::span<const int32_t> ids, bool skip_special) const override {
    std::string out;
    std::vector<int32_t> run;  // ids for the library
    bool first = true;
    const auto flush = [&]() -> Result<void> {
      if (run.empty()) return {};
      SACCADE_TRY(const std::string part, model_->decode(run));
      // The library takes the space off that stands before a whole text.
      if (!first && at(run.front()).text.starts_with(' ') && !part.starts_with(' ')) out.push_back(' ');
      out += part;
      first = false;
      run.clear();
      return {};
    };
    for (const int32_t id : ids) {
      SACCADE_CHECK(check(id));
      if (skip_special && at(id).special) continue;
      if (added_.find(id) == nullptr) {
        run.push_back(id);
        continue;
      }
      SACCADE_CHECK(flush());
      out += at(id).text;
      first = false;
    }
    SACCADE_CHECK(flush());
    return find_invalid_utf8(out) ? replace_invalid_utf8(out) : out;
  }

  [[nodiscard]] Result<Token> token(int32_t id) const override {
    SACCADE_CHECK(check(id));
    return Token{id, at(id).text, 0, 0, at(id).special};
  }
  [[nodiscard]] int32_t vocabulary_size() const override { return static_cast<int32_t>(entries_.size()); }
  [[nodiscard]] std::optional<int32_t> bos() const override { return bos_; }
  [[nodiscard]] std::optional<int32_t> eos() const override { return eos_; }
  [[nodiscard]] std::string description() const override { return description_; }

 private:
  struct Entry {
    std::string text;
    bool special = false, known = false, byte = false;
  };

  static const char* algorithm_name(SentencePieceProto::Algorithm algorithm) {
    switch (algorithm) {
      case SentencePieceProto::Algorithm::unigram:
        return "unigram";
      case SentencePieceProto::Algorithm::bpe:
        return "BPE";
      case SentencePieceProto::Algorithm::word:
        return "words";
      case SentencePieceProto::Algorithm::character:
        return "characters";
    }
    return "";
  }

  // The tokens of the model and of the configuration: what they stand for, which are found in a text.
  Result<void> list_tokens(const SentencePieceProto& proto, const TokenizerConfig& config) {
    std::vector<std::pair<std::string, int64_t>> names;
    names.reserve(proto.pieces.size());
    for (size_t id = 0; id < proto.pieces.size(); ++id)
      names.emplace_back(proto.pieces[id].text, static_cast<int64_t>(id));
    SACCADE_TRY(vocabulary_, Vocabulary::make(std::move(names)));
    for (const auto& piece : proto.pieces) {
      if (piece.type != PieceType::control && piece.type != PieceType::unknown) continue;
      AddedToken token;
      token.content = piece.text;
      token.special = true;
      SACCADE_CHECK(added_.add(std::move(token), vocabulary_));
    }
    for (AddedToken token : config.added) {
      token.normalized = false;
      SACCADE_CHECK(added_.add(std::move(token), vocabulary_));
    }
    std::vector<std::string> contents;
    for (const AddedToken& token : added_.all()) contents.push_back(token.content);
    added_.finish(contents);

    entries_.resize(static_cast<size_t>(std::max(vocabulary_.size(), added_.highest_id() + 1)));
    for (size_t id = 0; id < proto.pieces.size(); ++id) {
      const SentencePieceProto::Piece& piece = proto.pieces[id];
      entries_[id] = {text_of(piece, proto.normalization.escape_whitespaces), false, true,
                      piece.type == PieceType::byte};
    }
    for (const AddedToken& token : added_.all())
      entries_[static_cast<size_t>(token.id)] = {token.content, token.special, true, false};
    return {};
  }

  Result<void> set_ends(const TokenizerConfig& config) {
    const auto id_of = [&](const std::optional<std::string>& name, int own) -> std::optional<int32_t> {
      if (name) {
        if (const AddedToken* token = added_.find(*name)) return token->id;
        if (const int32_t id = vocabulary_.find(*name); id != Vocabulary::absent) return id;
      }
      return own >= 0 ? std::optional<int32_t>(own) : std::nullopt;
    };
    bos_ = id_of(config.bos, model_->bos());
    eos_ = id_of(config.eos, model_->eos());
    const std::string& name = config.tokenizer_class;
    const bool ends_only = name.starts_with("T5") || name.starts_with("MT5");
    const auto put_end = [&](std::optional<bool> wanted, bool usual, std::optional<int32_t> id,
                             const char* member, std::vector<int32_t>& into) -> Result<void> {
      if (!wanted.value_or(usual && id.has_value())) return {};
      if (!id) {
        return make_error(
            ErrorCode::bad_format,
            fmt::format("add_{0}_token is true, but no {0}_token of the model is named", member));
      }
      into.push_back(*id);
      return {};
    };
    SACCADE_CHECK(put_end(config.add_bos, !ends_only, bos_, "bos", ends_.before));
    return put_end(config.add_eos, ends_only, eos_, "eos", ends_.after);
  }

  [[nodiscard]] const Entry& at(int32_t id) const { return entries_[static_cast<size_t>(id)]; }
  [[nodiscard]] Result<void> check(int32_t id) const {
    if (id >= 0 && id < vocabulary_size() && at(id).known) return {};
    return unknown_id(id, vocabulary_size());
  }
  void put(TokenSequence& sequence, int32_t id, int64_t begin, int64_t end) const {
    sequence.tokens.push_back({id, at(id).text, begin, end, at(id).special});
  }

  // Appends the tokens of a part of the prompt that holds no special token; `base`: where the part begins.
  Result<void> encode_part(std::string_view part, int64_t base, TokenSequence& sequence) const {
    const SentencePieceLibrary& model = base > 0 && following_ ? *following_ : *model_;
    SACCADE_TRY(const std::vector<SaccadePiece> pieces, model.encode(part));
    for (const SaccadePiece& piece : pieces) SACCADE_CHECK(check(piece.id));
    for (size_t i = 0; i < pieces.size();) {
      const SaccadePiece& first = pieces[i];
      if (!at(first.id).byte) {
        put(sequence, first.id, base + first.begin, base + first.end);
        ++i;
        continue;
      }
      // The bytes of one character: the library gives its range to the last of them.
      const size_t length = std::min(utf8_length(at(first.id).text[0]), pieces.size() - i);
      const uint32_t end = pieces[i + length - 1].end;
      const bool as_written = end - first.begin == length;
      for (size_t k = 0; k < length; ++k, ++i) {
        const int64_t begin = base + first.begin + (as_written ? static_cast<int64_t>(k) : 0);
        put(sequence, pieces[i].id, begin, as_written ? begin + 1 : base + end);
      }
    }
    return {};
  }

  std::unique_ptr<const SentencePieceLibrary> model_;
  std::unique_ptr<const SentencePieceLibrary> following_;  // for what follows a special token; null: the same
  Vocabulary vocabulary_;
  AddedTokens added_;
  std::vector<Entry> entries_;  // by id
  std::optional<int32_t> bos_, eos_;
  Ends ends_;
  std::string description_;
};

}  // namespace

Result<std::shared_ptr<const Tokenizer>> open_sentencepiece(const std::string& file,
                                                            const TokenizerConfig& config,
                                                            const std::string& source) {
  auto made = std::make_shared<SentencePieceTokenizer>();
  SACCADE_CHECK(made->load(file, config, source));
  return std::shared_ptr<const Tokenizer>(std::move(made));
}

}  // namespace saccade::tokens
