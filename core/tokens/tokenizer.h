// Text to token ids and back.
//
// A Tokenizer is immutable after opening and may be used from any thread. Offsets are byte positions in the
// original UTF-8 text. Invalid UTF-8 in a prompt is an error that names the byte offset.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "core/image/placed_image.h"
#include "kernels/base/result.h"

namespace saccade {

struct Token {
  int32_t id = 0;
  // What the token stands for in decoded text, byte for byte: " cat" keeps its space. A token that is part
  // of a character holds the raw bytes; display_text() makes them printable. Special tokens: their name.
  std::string text;
  int64_t begin = 0, end = 0;  // byte range in the prompt; empty range for added special tokens
  bool special = false;
};

struct TokenSequence {
  std::string text;  // the prompt as given; empty when made from ids
  std::vector<Token> tokens;
  // The pictures, in order; their positions are among the tokens (core/model/image_input.h puts them there).
  std::vector<PlacedImage> images = {};
  int64_t generated_from = -1;  // the first token that a model wrote; negative: none

  [[nodiscard]] int64_t size() const { return static_cast<int64_t>(tokens.size()); }
  [[nodiscard]] std::vector<int32_t> ids() const;
  [[nodiscard]] std::vector<ImageRegion> image_regions() const;
  [[nodiscard]] TokenPlaces places() const { return {size(), image_regions(), generated_from}; }
};
// The prompt with what was written after it.
[[nodiscard]] TokenSequence with_generated(TokenSequence prompt, std::span<const Token> generated);
// Whether a model reads the same in both: ids, and pictures in the same places.
[[nodiscard]] bool same_input(const TokenSequence& a, const TokenSequence& b);

struct EncodeOptions {
  bool add_special_tokens = true;    // BOS and whatever the post-processor adds
  bool parse_special_tokens = true;  // "<s>" in the text is the token, not its letters
};

class Tokenizer {
 public:
  virtual ~Tokenizer() = default;
  [[nodiscard]] virtual Result<TokenSequence> encode(std::string_view text,
                                                     const EncodeOptions& options) const = 0;
  // The text of the ids as a generator would print it; invalid UTF-8 becomes U+FFFD.
  [[nodiscard]] virtual Result<std::string> decode(std::span<const int32_t> ids,
                                                   bool skip_special = true) const = 0;
  // Error for an id outside the vocabulary.
  [[nodiscard]] virtual Result<Token> token(int32_t id) const = 0;
  [[nodiscard]] virtual int32_t vocabulary_size() const = 0;
  [[nodiscard]] virtual std::optional<int32_t> bos() const = 0;
  [[nodiscard]] virtual std::optional<int32_t> eos() const = 0;
  // One line for people: "byte-level BPE, 50,257 tokens, from vocab.json + merges.txt".
  [[nodiscard]] virtual std::string description() const = 0;

  // Makes a sequence from ids (for --ids); ids outside the vocabulary are an error.
  [[nodiscard]] Result<TokenSequence> sequence(std::span<const int32_t> ids) const;
};

// Finds tokenizer.json, or vocab.json + merges.txt, or tokenizer.model, or a .tiktoken file, or CLIP's list
// of merges, in this order, with tokenizer_config.json and special_tokens_map.json beside them; not_found
// when the folder has none of these.
[[nodiscard]] Result<std::shared_ptr<const Tokenizer>> open_tokenizer(const std::filesystem::path& folder);

// A stand-in for models without tokenizer files: token i is "<i>"; encode is an error that says to use --ids.
[[nodiscard]] std::shared_ptr<const Tokenizer> make_id_tokenizer(int32_t vocabulary_size);

// The classes of a picture model, or the features that it makes: token i is names[i]; encode is an error that
// says to give a picture.
[[nodiscard]] std::shared_ptr<const Tokenizer> make_label_tokenizer(std::vector<std::string> names);

// For labels: control characters, lone bytes and line ends made visible; leading spaces become "\u2423"
// when `mark_space`, at most max_characters code points (0 = all), an ellipsis where it was cut.
[[nodiscard]] std::string display_text(const Token& token, bool mark_space = true, int max_characters = 0);

}  // namespace saccade
