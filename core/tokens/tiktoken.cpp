#include "core/tokens/tiktoken.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <numeric>
#include <unordered_map>

#include "core/tokens/byte_alphabet.h"
#include "core/tokens/unicode.h"
#include "core/tokens/word_patterns.h"

namespace saccade::tokens {
namespace {

constexpr uint32_t highest_rank = 1U << 24;
constexpr size_t llama3_tokens = 128'000;

// -1: no digit of base64.
int base64_digit(char c) {
  if (c >= 'A' && c <= 'Z') return c - 'A';
  if (c >= 'a' && c <= 'z') return c - 'a' + 26;
  if (c >= '0' && c <= '9') return c - '0' + 52;
  return c == '+' ? 62 : c == '/' ? 63 : -1;
}

// Nothing for text that is no padded base64 (RFC 4648, section 4), or is empty.
std::optional<std::string> decode_base64(std::string_view text) {
  if (text.empty() || text.size() % 4 != 0) return std::nullopt;
  const size_t padding = text.ends_with("==") ? 2 : text.ends_with('=') ? 1 : 0;
  std::string bytes;
  uint32_t bits = 0;
  for (size_t i = 0; i < text.size(); ++i) {
    const bool padded = i >= text.size() - padding;
    const int digit = padded ? 0 : base64_digit(text[i]);
    if (digit < 0) return std::nullopt;
    bits = bits << 6 | static_cast<uint32_t>(digit);
    if (i % 4 != 3) continue;
    for (const int shift : {16, 8, 0}) bytes.push_back(static_cast<char>(bits >> shift & 0xFF));
    bits = 0;
  }
  bytes.resize(bytes.size() - padding);
  return bytes;
}

struct Line {
  std::string bytes;
  uint32_t rank = 0;
};

Result<Line> parse_line(std::string_view text) {
  const auto fail = [&](std::string_view what) {
    return make_error(ErrorCode::bad_format, fmt::format("expected \"base64 rank\", found {} in \"{}\"", what,
                                                         replace_invalid_utf8(text.substr(0, 80))));
  };
  const size_t space = text.find(' ');
  if (space == std::string_view::npos) return fail("no space");
  Line line;
  auto bytes = decode_base64(text.substr(0, space));
  if (!bytes) return fail("what is not base64");
  line.bytes = std::move(*bytes);
  const std::string_view rank = text.substr(space + 1);
  const auto [end, error] = std::from_chars(rank.data(), rank.data() + rank.size(), line.rank);
  if (error != std::errc() || end != rank.data() + rank.size()) return fail("a rank that is no number");
  if (line.rank > highest_rank) return fail(fmt::format("a rank above {}", highest_rank));
  return line;
}

std::string as_letters(std::string_view bytes) {
  std::string letters;
  for (const char byte : bytes) append_utf8(letters, byte_to_letter(static_cast<unsigned char>(byte)));
  return letters;
}

Result<Vocabulary> read_lines(std::string_view file) {
  std::vector<std::pair<std::string, int64_t>> entries;
  size_t number = 0;
  for (size_t at = 0; at < file.size();) {
    const size_t end = std::min(file.find('\n', at), file.size());
    std::string_view text = file.substr(at, end - at);
    at = end + 1;
    ++number;
    if (text.ends_with('\r')) text.remove_suffix(1);
    if (text.empty()) continue;
    auto line = parse_line(text);
    if (!line.ok()) return std::move(line).error().with(fmt::format("line {}", number));
    entries.emplace_back(as_letters(line->bytes), line->rank);
  }
  if (entries.empty()) return make_error(ErrorCode::bad_format, "the file has no tokens");
  return Vocabulary::make(std::move(entries));
}

struct Special {
  const char* content;
  int32_t id;
};

// What is known about a published file.
struct Encoding {
  std::string_view file;
  const char* words = "cl100k";
  std::vector<Special> specials = {};
  const char* bos = nullptr;
  const char* eos = nullptr;
};

std::vector<Encoding> encodings() {
  const char* const end = "<|endoftext|>";
  return {
      {"cl100k_base.tiktoken",
       "cl100k",
       {{end, 100257},
        {"<|fim_prefix|>", 100258},
        {"<|fim_middle|>", 100259},
        {"<|fim_suffix|>", 100260},
        {"<|endofprompt|>", 100276}},
       nullptr,
       end},
      {"o200k_base.tiktoken", "o200k", {{end, 199999}, {"<|endofprompt|>", 200018}}, nullptr, end},
      {"p50k_base.tiktoken", "gpt-2", {{end, 50256}}, end, end},
      {"r50k_base.tiktoken", "gpt-2", {{end, 50256}}, end, end},
      {"gpt2.tiktoken", "gpt-2", {{end, 50256}}, end, end},
      {"qwen.tiktoken",
       "qwen2",
       {{end, 151643}, {"<|im_start|>", 151644}, {"<|im_end|>", 151645}},
       nullptr,
       end},
  };
}

Encoding llama3() {
  return {"",
          "llama-bpe",
          {{"<|begin_of_text|>", 128000},
           {"<|end_of_text|>", 128001},
           {"<|start_header_id|>", 128006},
           {"<|end_header_id|>", 128007},
           {"<|eot_id|>", 128009}},
          "<|begin_of_text|>",
          "<|end_of_text|>"};
}

Encoding find_encoding(const std::string& name, size_t tokens) {
  for (Encoding& one : encodings()) {
    if (one.file == name) return std::move(one);
  }
  return tokens == llama3_tokens ? llama3() : Encoding{name};
}

// What the configuration does not say.
void complete(const Encoding& encoding, bool add_beginning, TokenizerConfig& config) {
  if (config.added.empty()) {
    for (const Special& special : encoding.specials) {
      AddedToken token;
      token.content = special.content;
      token.id = special.id;
      token.special = true;
      config.added.push_back(std::move(token));
    }
    if (encoding.bos != nullptr && !config.bos) config.bos = encoding.bos;
    if (encoding.eos != nullptr && !config.eos) config.eos = encoding.eos;
  }
  if (config.bos && !config.add_bos) config.add_bos = add_beginning;
}

}  // namespace

bool looks_like_tiktoken(std::string_view file) {
  constexpr size_t longest_first_line = 4096;
  std::string_view line = file.substr(0, std::min(file.find('\n'), longest_first_line));
  if (line.ends_with('\r')) line.remove_suffix(1);
  return parse_line(line).ok();
}

Result<Pipeline> read_tiktoken(std::string_view file, const std::string& name, TokenizerConfig& config) {
  Pipeline pipeline;
  SACCADE_TRY(Vocabulary vocabulary, read_lines(file));
  const Encoding encoding = find_encoding(name, vocabulary.count());
  SACCADE_TRY(WordPattern words, find_word_pattern(encoding.words));
  pipeline.pre_tokenizer = std::move(words.pre_tokenizer);
  std::vector<uint32_t> ranks(static_cast<size_t>(vocabulary.size()));
  std::iota(ranks.begin(), ranks.end(), 0U);
  BpeOptions options;
  options.ignore_merges = true;
  SACCADE_TRY(pipeline.model, BpeModel::make_ranked(std::move(vocabulary), ranks, std::move(options)));
  complete(encoding, words.add_beginning, config);
  pipeline.decoder.steps.emplace_back(ByteLevelDecoder{});
  pipeline.kind = "byte-level BPE";
  pipeline.source = name;
  return pipeline;
}

}  // namespace saccade::tokens
