#include "core/tokens/clip.h"

#include <fmt/format.h>

#include "core/tokens/byte_alphabet.h"
#include "core/tokens/gzip.h"
#include "core/tokens/merges_text.h"
#include "core/tokens/unicode.h"

namespace saccade::tokens {
namespace {

constexpr const char* word_end = "</w>";
constexpr const char* start_token = "<|startoftext|>";
constexpr const char* end_token = "<|endoftext|>";
constexpr const char* words = R"('s|'t|'re|'ve|'m|'ll|'d|\p{L}+|\p{N}|[^\s\p{L}\p{N}]+)";
constexpr size_t used_merges = 49'152 - 256 - 2;
constexpr size_t max_file_bytes = size_t{64} << 20;

Result<Normalizer> make_normalizer() {
  Normalizer normalizer;
  SACCADE_TRY(auto spaces, Regex::compile(R"(\s+)"));
  normalizer.steps.emplace_back(UnicodeFormNormalizer{false, true});
  normalizer.steps.emplace_back(ReplaceNormalizer{Pattern(std::move(spaces)), " "});
  normalizer.steps.emplace_back(LowercaseNormalizer{});
  return normalizer;
}

Result<PreTokenizer> make_pre_tokenizer() {
  PreTokenizer pre_tokenizer;
  SACCADE_TRY(auto regex, Regex::compile(words));
  pre_tokenizer.steps.emplace_back(
      SplitPreTokenizer{Pattern(std::move(regex)), SplitBehavior::removed, true});
  SACCADE_TRY(ByteLevelPreTokenizer letters, make_byte_level(false, false));
  pre_tokenizer.steps.emplace_back(std::move(letters));
  return pre_tokenizer;
}

// The end of a word is a space in the text, but not after the last word.
Decoder make_decoder() {
  std::string space_letter;
  append_utf8(space_letter, byte_to_letter(' '));
  Decoder decoder;
  decoder.steps.emplace_back(ReplaceDecoder{Pattern(std::string(word_end)), space_letter});
  decoder.steps.emplace_back(ByteLevelDecoder{});
  decoder.steps.emplace_back(StripDecoder{U' ', 0, 1});
  return decoder;
}

// The 256 letters: printable bytes first, then the others, both in their order.
std::vector<std::string> letters() {
  std::vector<std::string> printable, others;
  for (unsigned byte = 0; byte < 256; ++byte) {
    const char32_t letter = byte_to_letter(static_cast<unsigned char>(byte));
    std::string text;
    append_utf8(text, letter);
    (letter == byte ? printable : others).push_back(text);
  }
  printable.insert(printable.end(), others.begin(), others.end());
  return printable;
}

}  // namespace

Result<Pipeline> make_clip(Vocabulary vocabulary, const BpeModel::Merges& merges) {
  Pipeline pipeline;
  TemplatePostProcessor around;
  for (const auto& [content, side] : {std::pair(start_token, &around.before), {end_token, &around.after}}) {
    AddedToken token;
    token.content = content;
    token.special = true;
    token.id = vocabulary.find(content);
    if (token.id == Vocabulary::absent) {
      return make_error(ErrorCode::bad_format,
                        fmt::format("CLIP's vocabulary needs the token {}, which is not there", content));
    }
    side->push_back(token.id);
    SACCADE_CHECK(pipeline.added.add(std::move(token), vocabulary));
  }
  SACCADE_TRY(pipeline.normalizer, make_normalizer());
  SACCADE_TRY(pipeline.pre_tokenizer, make_pre_tokenizer());
  BpeOptions options;
  options.unknown = end_token;
  options.end_of_word_suffix = word_end;
  SACCADE_TRY(pipeline.model, BpeModel::make(std::move(vocabulary), merges, std::move(options)));
  pipeline.post_processor.steps.emplace_back(std::move(around));
  pipeline.decoder = make_decoder();
  pipeline.kind = "CLIP's byte-level BPE";
  pipeline.source = "vocab.json + merges.txt";
  return pipeline;
}

Result<Pipeline> read_clip_merges(std::string_view file) {
  std::string unpacked;
  if (looks_like_gzip(file)) {
    SACCADE_TRY(unpacked, unpack_gzip(file, max_file_bytes));
    file = unpacked;
  }
  SACCADE_TRY(const BpeModel::Merges merges, read_merges_text(file, used_merges));
  std::vector<std::pair<std::string, int64_t>> entries;
  const auto put = [&](std::string token) {
    entries.emplace_back(std::move(token), static_cast<int64_t>(entries.size()));
  };
  const std::vector<std::string> bytes = letters();
  for (const std::string& letter : bytes) put(letter);
  for (const std::string& letter : bytes) put(letter + word_end);
  for (const auto& [left, right] : merges) put(left + right);
  put(start_token);
  put(end_token);
  SACCADE_TRY(Vocabulary vocabulary, Vocabulary::make(std::move(entries)));
  return make_clip(std::move(vocabulary), merges);
}

}  // namespace saccade::tokens
