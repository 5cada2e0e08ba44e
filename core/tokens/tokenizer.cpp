#include "core/tokens/tokenizer.h"

#include <fmt/format.h>

#include <algorithm>

#include "core/base/files.h"
#include "core/tokens/byte_alphabet.h"
#include "core/tokens/tokenizer_files.h"
#include "core/tokens/unicode.h"

namespace saccade {
namespace {

class IdTokenizer final : public Tokenizer {
 public:
  explicit IdTokenizer(int32_t size) : size_(size) {}

  [[nodiscard]] Result<TokenSequence> encode(std::string_view, const EncodeOptions&) const override {
    return make_error(
        ErrorCode::unsupported,
        "this model has no tokenizer files, so text cannot be turned into tokens; give token ids with "
        "--ids instead");
  }
  [[nodiscard]] Result<std::string> decode(std::span<const int32_t> ids, bool) const override {
    std::string text;
    for (const int32_t id : ids) {
      SACCADE_TRY(const Token one, token(id));
      text += one.text;
    }
    return text;
  }
  [[nodiscard]] Result<Token> token(int32_t id) const override {
    if (id < 0 || id >= size_) {
      return make_error(ErrorCode::invalid_argument,
                        fmt::format("token id {} is not in the vocabulary of {} tokens", id, size_));
    }
    return Token{id, fmt::format("<{}>", id), 0, 0, false};
  }
  [[nodiscard]] int32_t vocabulary_size() const override { return size_; }
  [[nodiscard]] std::optional<int32_t> bos() const override { return std::nullopt; }
  [[nodiscard]] std::optional<int32_t> eos() const override { return std::nullopt; }
  [[nodiscard]] std::string description() const override {
    return fmt::format("no tokenizer files, {} token ids", size_);
  }

 private:
  int32_t size_;
};

// Labels in the place of a vocabulary.
class LabelTokenizer final : public Tokenizer {
 public:
  explicit LabelTokenizer(std::vector<std::string> names) : names_(std::move(names)) {}

  [[nodiscard]] Result<TokenSequence> encode(std::string_view, const EncodeOptions&) const override {
    return make_error(ErrorCode::unsupported,
                      "this model reads pictures, no text: give one with --image FILE");
  }
  [[nodiscard]] Result<std::string> decode(std::span<const int32_t> ids, bool) const override {
    std::string text;
    for (const int32_t id : ids) {
      SACCADE_TRY(const Token one, token(id));
      text += (text.empty() ? "" : ", ") + one.text;
    }
    return text;
  }
  [[nodiscard]] Result<Token> token(int32_t id) const override {
    if (id < 0 || id >= vocabulary_size())
      return make_error(ErrorCode::invalid_argument,
                        fmt::format("class {} is not among the model's {}", id, names_.size()));
    return Token{id, names_[static_cast<size_t>(id)], 0, 0, false};
  }
  [[nodiscard]] int32_t vocabulary_size() const override { return static_cast<int32_t>(names_.size()); }
  [[nodiscard]] std::optional<int32_t> bos() const override { return std::nullopt; }
  [[nodiscard]] std::optional<int32_t> eos() const override { return std::nullopt; }
  [[nodiscard]] std::string description() const override {
    return fmt::format("none: it reads pictures and answers with {} labels", names_.size());
  }

 private:
  std::vector<std::string> names_;
};

bool has_file(const std::filesystem::path& path) {
  std::error_code ignored;
  return std::filesystem::exists(path, ignored);
}

Result<tokens::Pipeline> read_pipeline(const std::filesystem::path& folder,
                                       const tokens::TokenizerConfig& config) {
  if (const auto path = folder / "tokenizer.json"; has_file(path)) {
    SACCADE_TRY(const std::string text, read_text_file(path));
    auto pipeline = tokens::read_tokenizer_json(text);
    if (!pipeline.ok()) return std::move(pipeline).error().with(path.string());
    return pipeline;
  }
  if (has_file(folder / "vocab.json") && has_file(folder / "merges.txt")) {
    SACCADE_TRY(const std::string vocab, read_text_file(folder / "vocab.json"));
    SACCADE_TRY(const std::string merges, read_text_file(folder / "merges.txt"));
    auto pipeline = tokens::read_vocab_and_merges(vocab, merges, config);
    if (!pipeline.ok()) return std::move(pipeline).error().with(folder.string());
    return pipeline;
  }
  return make_error(ErrorCode::not_found,
                    fmt::format("{} has no tokenizer: expected tokenizer.json, or vocab.json and merges.txt, "
                                "or tokenizer.model, or a .tiktoken file, or bpe_simple_vocab_16e6.txt.gz",
                                folder.string()));
}

// Joiners and variation selectors belong to what is printed beside them.
bool shapes_neighbours(char32_t character) {
  return character == 0x200D || (character >= 0xFE00 && character <= 0xFE0F);
}

// The picture of a control character: U+2400 and on; other unprintable ones as "⟨U+200B⟩".
void append_visible(std::string& out, char32_t character) {
  if (character == '\n') {
    out += "\u21B5";
  } else if (character == '\t') {
    out += "\u21E5";
  } else if (character < 0x20) {
    tokens::append_utf8(out, 0x2400 + character);
  } else if (character == 0x7F) {
    out += "\u2421";
  } else if (tokens::is_unprintable(character) && !shapes_neighbours(character)) {
    out += fmt::format("\u27E8U+{:04X}\u27E9", static_cast<uint32_t>(character));
  } else {
    tokens::append_utf8(out, character);
  }
}

}  // namespace

std::vector<ImageRegion> TokenSequence::image_regions() const {
  std::vector<ImageRegion> regions;
  for (const PlacedImage& image : images) regions.push_back(image.region);
  return regions;
}

bool same_input(const TokenSequence& a, const TokenSequence& b) {
  const auto same = [](const PlacedImage& one, const PlacedImage& other) {
    return one.region.begin == other.region.begin && one.image->digest == other.image->digest &&
           one.kept == other.kept;
  };
  return a.ids() == b.ids() &&
         std::equal(a.images.begin(), a.images.end(), b.images.begin(), b.images.end(), same);
}

TokenSequence with_generated(TokenSequence prompt, std::span<const Token> generated) {
  if (prompt.generated_from < 0) prompt.generated_from = prompt.size();
  prompt.tokens.insert(prompt.tokens.end(), generated.begin(), generated.end());
  return prompt;
}

std::vector<int32_t> TokenSequence::ids() const {
  std::vector<int32_t> ids;
  ids.reserve(tokens.size());
  for (const Token& token : tokens) ids.push_back(token.id);
  return ids;
}

Result<TokenSequence> Tokenizer::sequence(std::span<const int32_t> ids) const {
  TokenSequence sequence;
  sequence.tokens.reserve(ids.size());
  for (const int32_t id : ids) {
    SACCADE_TRY(Token one, token(id));
    sequence.tokens.push_back(std::move(one));
  }
  return sequence;
}

Result<std::shared_ptr<const Tokenizer>> open_tokenizer(const std::filesystem::path& folder) {
  SACCADE_TRY(const tokens::TokenizerConfig config, tokens::read_tokenizer_config(folder));
  auto found = read_pipeline(folder, config);
  if (!found.ok() && found.error().code == ErrorCode::not_found) {
    auto other = tokens::open_other_tokenizer(folder, config);
    return other.ok() || other.error().code != ErrorCode::not_found ? std::move(other)
                                                                    : std::move(found).error();
  }
  if (!found.ok()) return std::move(found).error();
  tokens::Pipeline& pipeline = *found;
  const std::string source = pipeline.source;
  auto applied = tokens::apply_config(config, pipeline);
  auto tokenizer = applied.ok() ? tokens::make_tokenizer(std::move(pipeline))
                                : Result<std::shared_ptr<const Tokenizer>>(std::move(applied).error());
  if (!tokenizer.ok())
    return std::move(tokenizer).error().with(fmt::format("{} ({})", folder.string(), source));
  return tokenizer;
}

std::shared_ptr<const Tokenizer> make_label_tokenizer(std::vector<std::string> names) {
  return std::make_shared<LabelTokenizer>(std::move(names));
}

std::shared_ptr<const Tokenizer> make_id_tokenizer(int32_t vocabulary_size) {
  return std::make_shared<IdTokenizer>(vocabulary_size);
}

std::string display_text(const Token& token, bool mark_space, int max_characters) {
  const std::string& text = token.text;
  std::string out;
  int shown = 0;
  bool leading = true;
  for (size_t at = 0; at < text.size();) {
    if (max_characters > 0 && shown == max_characters) {
      out += "\u2026";
      break;
    }
    const std::string_view rest = std::string_view(text).substr(at);
    const size_t length = std::min(tokens::utf8_length(text[at]), rest.size());
    if (tokens::find_invalid_utf8(rest.substr(0, length))) {
      out += fmt::format("<{:02X}>", static_cast<unsigned char>(text[at]));
      leading = false;
      ++at;
    } else {
      const char32_t character = tokens::character_at(text, at);
      if (character == ' ' && mark_space && leading) {
        out += "\u2423";
      } else {
        append_visible(out, character);
      }
      leading = leading && character == ' ';
      at += length;
    }
    ++shown;
  }
  return out;
}

}  // namespace saccade
