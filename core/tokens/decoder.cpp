#include "core/tokens/decoder.h"

#include <fmt/format.h>

#include <optional>

#include "core/tokens/byte_alphabet.h"
#include "core/tokens/pattern_item.h"
#include "core/tokens/unicode.h"

namespace saccade::tokens {
namespace {

constexpr const char* replacement_character = "\xEF\xBF\xBD";

Result<char32_t> read_character(const JsonItem& item) {
  SACCADE_TRY(const std::string text, item.string());
  if (text.empty() || utf8_length(text[0]) != text.size()) return item.expected("one character");
  return character_at(text, 0);
}

Result<DecoderStep> read_step(const JsonItem& item, const std::string& type) {
  if (type == "ByteLevel") return DecoderStep(ByteLevelDecoder{});
  if (type == "ByteFallback") return DecoderStep(ByteFallbackDecoder{});
  if (type == "Fuse") return DecoderStep(FuseDecoder{});
  if (type == "Replace") {
    SACCADE_TRY(Pattern pattern, read_pattern(item["pattern"]));
    SACCADE_TRY(std::string content, item["content"].string());
    return DecoderStep(ReplaceDecoder{std::move(pattern), std::move(content)});
  }
  if (type == "Strip") {
    StripDecoder step;
    SACCADE_TRY(step.content, read_character(item["content"]));
    SACCADE_TRY(step.start, item["start"].integer(0));
    SACCADE_TRY(step.stop, item["stop"].integer(0));
    return DecoderStep(step);
  }
  if (type == "Metaspace") {
    SACCADE_TRY(const MetaspacePreTokenizer settings, read_metaspace(item));
    return DecoderStep(MetaspaceDecoder{settings});
  }
  if (type == "WordPiece") {
    WordPieceDecoder step;
    SACCADE_TRY(step.prefix, item["prefix"].string("##"));
    SACCADE_TRY(step.cleanup, item["cleanup"].boolean(true));
    return DecoderStep(std::move(step));
  }
  if (type == "BPEDecoder") {
    SACCADE_TRY(std::string suffix, item["suffix"].string("</w>"));
    return DecoderStep(SuffixDecoder{std::move(suffix)});
  }
  return unsupported_type("decoder", type, item);
}

void replace_all(std::string& text, std::string_view from, std::string_view to) {
  if (from.empty()) return;
  for (size_t at = text.find(from); at != std::string::npos; at = text.find(from, at + to.size()))
    text.replace(at, from.size(), to);
}

void clean_up(std::string& text) {
  constexpr std::pair<const char*, const char*> pairs[] = {
      {" .", "."},   {" ?", "?"},           {" !", "!"},   {" ,", ","},     {" ' ", "'"},   {" n't", "n't"},
      {" 'm", "'m"}, {" do not", " don't"}, {" 's", "'s"}, {" 've", "'ve"}, {" 're", "'re"}};
  for (const auto& [from, to] : pairs) replace_all(text, from, to);
}

// The byte of "<0x0A>".
std::optional<char> fallback_byte(std::string_view token) {
  if (token.size() != 6 || !token.starts_with("<0x") || !token.ends_with('>')) return std::nullopt;
  int value = 0;
  for (const char digit : token.substr(3, 2)) {
    value *= 16;
    if (digit >= '0' && digit <= '9') {
      value += digit - '0';
    } else if (digit >= 'A' && digit <= 'F') {
      value += digit - 'A' + 10;
    } else if (digit >= 'a' && digit <= 'f') {
      value += digit - 'a' + 10;
    } else {
      return std::nullopt;
    }
  }
  return static_cast<char>(value);
}

// One step over the tokens of a text (`whole`) or over a token on its own.
struct Application {
  std::vector<std::string>& tokens;
  bool whole;
  RegexScratch& scratch;

  void join() const {
    std::string all;
    for (const std::string& token : tokens) all += token;
    tokens.assign(1, all);
  }

  Result<void> operator()(const ByteLevelDecoder&) const {
    for (std::string& token : tokens) {
      if (auto bytes = letters_to_bytes(token)) token = std::move(*bytes);
    }
    join();
    if (whole) tokens[0] = replace_invalid_utf8(tokens[0]);
    return {};
  }

  Result<void> operator()(const ByteFallbackDecoder&) const {
    std::vector<std::string> out;
    std::string run;  // bytes that may make characters together
    const auto flush = [&] {
      if (run.empty()) return;
      if (!whole || !find_invalid_utf8(run)) {
        out.push_back(run);
      } else {
        out.insert(out.end(), run.size(), replacement_character);
      }
      run.clear();
    };
    for (std::string& token : tokens) {
      if (const auto byte = fallback_byte(token)) {
        run.push_back(*byte);
      } else {
        flush();
        out.push_back(std::move(token));
      }
    }
    flush();
    tokens = std::move(out);
    return {};
  }

  Result<void> operator()(const FuseDecoder&) const {
    join();
    return {};
  }

  Result<void> operator()(const ReplaceDecoder& step) const {
    std::vector<Match> matches;
    for (std::string& token : tokens) {
      if (find_invalid_utf8(token)) continue;  // a lone byte has nothing to find in it
      SACCADE_CHECK(find_all(step.pattern, token, scratch, matches));
      if (matches.empty()) continue;
      std::string replaced;
      size_t done = 0;
      for (const Match& match : matches) {
        replaced.append(token, done, match.begin - done).append(step.content);
        done = match.end;
      }
      token = replaced.append(token, done);
    }
    return {};
  }

  Result<void> operator()(const WordPieceDecoder& step) const {
    for (size_t i = 0; i < tokens.size(); ++i) {
      std::string& token = tokens[i];
      if (i > 0 || !whole) {
        if (token.starts_with(step.prefix))
          token.erase(0, step.prefix.size());
        else
          token.insert(0, " ");
      }
      if (step.cleanup && whole) clean_up(token);
    }
    return {};
  }

  Result<void> operator()(const SuffixDecoder& step) const {
    for (size_t i = 0; i < tokens.size(); ++i)
      replace_all(tokens[i], step.suffix, whole && i + 1 == tokens.size() ? "" : " ");
    return {};
  }

  Result<void> operator()(const StripDecoder& step) const {
    if (!whole) return {};
    for (std::string& token : tokens) {
      size_t begin = 0;
      size_t end = token.size();
      for (int64_t i = 0; i < step.start && begin < end; ++i) {
        if (character_at(token, begin) != step.content) break;
        begin += utf8_length(token[begin]);
      }
      for (int64_t i = 0; i < step.stop && end > begin; ++i) {
        const size_t last = character_before(token, end);
        if (character_at(token, last) != step.content) break;
        end = last;
      }
      token = token.substr(begin, end - begin);
    }
    return {};
  }

  Result<void> operator()(const MetaspaceDecoder& step) const {
    std::string mark;
    append_utf8(mark, step.settings.replacement);
    for (size_t i = 0; i < tokens.size(); ++i) {
      const bool drop = whole && i == 0 && step.settings.scheme != PrependScheme::never;
      std::string out;
      for (size_t at = 0; at < tokens[i].size();) {
        if (std::string_view(tokens[i]).substr(at).starts_with(mark)) {
          if (!drop) out.push_back(' ');
          at += mark.size();
        } else {
          out.push_back(tokens[i][at++]);
        }
      }
      tokens[i] = std::move(out);
    }
    return {};
  }
};

}  // namespace

Result<Decoder> Decoder::read(const JsonItem& item) {
  Decoder decoder;
  decoder.joins_with_spaces = item.is_null();
  SACCADE_CHECK(
      read_sequence(item, "decoders", [&](const JsonItem& one, const std::string& type) -> Result<void> {
        SACCADE_TRY(DecoderStep step, read_step(one, type));
        decoder.steps.push_back(std::move(step));
        return {};
      }));
  return decoder;
}

Result<std::string> Decoder::text(std::vector<std::string> tokens, RegexScratch& scratch) const {
  for (const DecoderStep& step : steps) SACCADE_CHECK(std::visit(Application{tokens, true, scratch}, step));
  std::string out;
  for (size_t i = 0; i < tokens.size(); ++i) {
    if (i > 0 && joins_with_spaces) out.push_back(' ');
    out += tokens[i];
  }
  return find_invalid_utf8(out) ? replace_invalid_utf8(out) : out;
}

Result<std::string> Decoder::piece(std::string token, RegexScratch& scratch) const {
  std::vector<std::string> tokens{std::move(token)};
  for (const DecoderStep& step : steps) SACCADE_CHECK(std::visit(Application{tokens, false, scratch}, step));
  std::string out;
  for (const std::string& part : tokens) out += part;
  return out;
}

}  // namespace saccade::tokens
