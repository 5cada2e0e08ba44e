#include "core/tokens/pipeline.h"

#include <fmt/format.h>

#include <algorithm>

#include "core/tokens/prompt.h"

namespace saccade::tokens {
namespace {

class PipelineTokenizer final : public Tokenizer {
 public:
  static Result<std::shared_ptr<const Tokenizer>> make(Pipeline pipeline) {
    auto made = std::make_shared<PipelineTokenizer>(std::move(pipeline));
    SACCADE_CHECK(made->finish());
    return std::shared_ptr<const Tokenizer>(std::move(made));
  }

  explicit PipelineTokenizer(Pipeline pipeline) : p_(std::move(pipeline)) {}

  [[nodiscard]] Result<TokenSequence> encode(std::string_view text,
                                             const EncodeOptions& options) const override {
    SACCADE_CHECK(check_prompt(text));
    RegexScratch scratch;
    AlignedText aligned = AlignedText::from(text);
    p_.added.split(aligned, AddedTokens::When::before_normalization, options.parse_special_tokens);
    SACCADE_CHECK(p_.normalizer.apply(aligned, scratch));
    p_.added.split(aligned, AddedTokens::When::after_normalization, options.parse_special_tokens);
    SACCADE_CHECK(p_.pre_tokenizer.apply(aligned, scratch));

    std::vector<EncodedToken> encoded = run_model(aligned);
    p_.post_processor.apply(encoded, text, options.add_special_tokens, [&](int32_t id) { return name(id); });
    TokenSequence sequence;
    sequence.text = text;
    sequence.tokens.reserve(encoded.size());
    for (const EncodedToken& token : encoded) {
      sequence.tokens.push_back({token.id, texts_[static_cast<size_t>(token.id)], token.begin, token.end,
                                 special_[static_cast<size_t>(token.id)]});
    }
    return sequence;
  }

  [[nodiscard]] Result<std::string> decode(std::span<const int32_t> ids, bool skip_special) const override {
    std::vector<std::string> names;
    names.reserve(ids.size());
    for (const int32_t id : ids) {
      SACCADE_CHECK(check(id));
      if (!skip_special || !special_[static_cast<size_t>(id)]) names.emplace_back(name(id));
    }
    RegexScratch scratch;
    return p_.decoder.text(std::move(names), scratch);
  }

  [[nodiscard]] Result<Token> token(int32_t id) const override {
    SACCADE_CHECK(check(id));
    return Token{id, texts_[static_cast<size_t>(id)], 0, 0, special_[static_cast<size_t>(id)]};
  }

  [[nodiscard]] int32_t vocabulary_size() const override { return static_cast<int32_t>(texts_.size()); }
  [[nodiscard]] std::optional<int32_t> bos() const override { return p_.bos; }
  [[nodiscard]] std::optional<int32_t> eos() const override { return p_.eos; }
  [[nodiscard]] std::string description() const override {
    return fmt::format("{}, {} tokens, from {}", p_.kind, with_thousands(vocabulary_size()), p_.source);
  }

 private:
  Result<void> finish() {
    std::vector<std::string> normalized;
    for (const AddedToken& token : p_.added.all()) {
      normalized.push_back(token.content);
      if (!token.normalized) continue;
      SACCADE_TRY(normalized.back(), p_.normalizer.apply(token.content));
    }
    p_.added.finish(normalized);

    const auto size = static_cast<size_t>(std::max(p_.model.vocabulary().size(), p_.added.highest_id() + 1));
    texts_.resize(size);
    special_.resize(size);
    known_.resize(size);
    RegexScratch scratch;
    for (size_t i = 0; i < size; ++i) {
      const auto id = static_cast<int32_t>(i);
      const AddedToken* added = p_.added.find(id);
      special_[i] = added != nullptr && added->special;
      known_[i] = added != nullptr || p_.model.vocabulary().at(id) != nullptr;
      if (!known_[i]) continue;
      if (special_[i]) {
        texts_[i] = added->content;
      } else {
        SACCADE_TRY(texts_[i], p_.decoder.piece(std::string(name(id)), scratch));
      }
    }
    for (const auto& ids : {p_.post_processor.before(), p_.post_processor.after()}) {
      for (const int32_t id : ids) {
        auto checked = check(id);
        if (!checked.ok()) return std::move(checked).error().with("post_processor");
      }
    }
    return {};
  }

  [[nodiscard]] Result<void> check(int32_t id) const {
    if (id >= 0 && static_cast<size_t>(id) < known_.size() && known_[static_cast<size_t>(id)]) return {};
    return unknown_id(id, vocabulary_size());
  }

  // The token as the file spells it.
  [[nodiscard]] std::string_view name(int32_t id) const {
    if (const AddedToken* added = p_.added.find(id)) return added->written;
    const std::string* found = p_.model.vocabulary().at(id);
    return found != nullptr ? std::string_view(*found) : std::string_view();
  }

  [[nodiscard]] std::vector<EncodedToken> run_model(const AlignedText& aligned) const {
    std::vector<EncodedToken> encoded;
    encoded.reserve(aligned.text.size() / 3 + 4);
    std::vector<ModelToken> tokens;
    BpeScratch scratch;
    for (const Piece& piece : aligned.pieces) {
      if (piece.id >= 0) {
        const SourceRange range = aligned.source_of(piece.begin, piece.end);
        encoded.push_back({piece.id, range.begin, range.end, true});
        continue;
      }
      tokens.clear();
      p_.model.encode(aligned.view(piece), scratch, tokens);
      for (const ModelToken& token : tokens) {
        const SourceRange range = aligned.source_of(piece.begin + token.begin, piece.begin + token.end);
        encoded.push_back({token.id, range.begin, range.end, false});
      }
    }
    return encoded;
  }

  Pipeline p_;
  std::vector<std::string> texts_;  // by id: what the token stands for
  std::vector<bool> special_, known_;
};

}  // namespace

Result<std::shared_ptr<const Tokenizer>> make_tokenizer(Pipeline pipeline) {
  return PipelineTokenizer::make(std::move(pipeline));
}

}  // namespace saccade::tokens
