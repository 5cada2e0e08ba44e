#include "core/tokens/token_table.h"

#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <numeric>
#include <vector>

#include "core/tokens/pipeline.h"
#include "core/tokens/unicode.h"
#include "core/tokens/word_patterns.h"

namespace saccade {
namespace {

using tokens::AddedToken;
using tokens::BpeModel;
using tokens::BpeOptions;
using tokens::JsonItem;
using tokens::Pipeline;
using tokens::Vocabulary;
using Json = nlohmann::json;

constexpr std::string_view word_start = "\u2581";  // as SentencePiece writes the space before a word

Error bad(std::string what) { return make_error(ErrorCode::bad_format, std::move(what)); }

Result<void> check(const TokenTable& table) {
  if (table.tokens.empty()) return bad("the list of tokens is empty");
  const auto has_length = [&](size_t length, const char* what) -> Result<void> {
    if (length == 0 || length == table.tokens.size()) return {};
    return bad(fmt::format("expected {} for each of {} tokens, found {}", what, table.tokens.size(), length));
  };
  SACCADE_CHECK(has_length(table.scores.size(), "a score"));
  SACCADE_CHECK(has_length(table.types.size(), "a type"));
  const auto count = static_cast<int64_t>(table.tokens.size());
  for (const auto& id : {table.bos, table.eos, table.unknown_id, table.separator, table.classifier}) {
    if (id && (*id < 0 || *id >= count))
      return bad(fmt::format("a special token has id {}, but there are {} tokens", *id, count));
  }
  for (const std::string_view token : table.tokens) {
    if (tokens::find_invalid_utf8(token)) return bad("a token is no valid UTF-8");
  }
  return {};
}

int64_t type_of(const TokenTable& table, size_t id) {
  return table.types.empty() ? int64_t{TokenTable::normal} : table.types[id];
}

// Tokens that are looked for in the text itself, not made by the model.
bool is_found_whole(int64_t type) {
  return type == TokenTable::unknown || type == TokenTable::control || type == TokenTable::user_defined;
}

// `spell(token, type)`: as the model's stage wants it.
template <class Spell>
Result<Vocabulary> make_vocabulary(const TokenTable& table, const Spell& spell) {
  std::vector<std::pair<std::string, int64_t>> entries;
  entries.reserve(table.tokens.size());
  for (size_t id = 0; id < table.tokens.size(); ++id)
    entries.emplace_back(spell(table.tokens[id], type_of(table, id)), static_cast<int64_t>(id));
  return Vocabulary::make(std::move(entries));
}

std::string as_written(std::string_view token, int64_t) { return std::string(token); }

// Phi-3's chat tokens take the spaces and line ends that follow them, as in its own tokenizer.json.
bool takes_spaces_after(const TokenTable& table, std::string_view content) {
  if (table.architecture != "phi3" || table.model != "llama") return false;
  return content != "<unk>" && content != "<s>" && content != "<|endoftext|>";
}

Result<void> add_whole_tokens(const TokenTable& table, Pipeline& pipeline) {
  for (size_t id = 0; id < table.tokens.size(); ++id) {
    const int64_t type = type_of(table, id);
    if (!is_found_whole(type) || table.tokens[id].empty()) continue;
    AddedToken token;
    token.content = table.tokens[id];
    token.id = static_cast<int32_t>(id);
    token.special = type != TokenTable::user_defined;
    token.rstrip = takes_spaces_after(table, token.content);
    SACCADE_CHECK(pipeline.added.add(std::move(token), pipeline.model.vocabulary()));
  }
  return {};
}

// "left right": the left part may itself begin with the space only where tokens hold one, which byte-level
// spelling excludes.
Result<BpeModel::Merges> read_merges(std::span<const std::string_view> lines) {
  BpeModel::Merges merges;
  merges.reserve(lines.size());
  for (const std::string_view line : lines) {
    const size_t space = line.find(' ', 1);
    if (space == std::string_view::npos)
      return bad(fmt::format("merge {}: expected two parts with a space between, found \"{}\"", merges.size(),
                             tokens::replace_invalid_utf8(line.substr(0, 80))));
    merges.emplace_back(line.substr(0, space), line.substr(space + 1));
  }
  return merges;
}

struct Ends {
  bool before = false, after = false;  // what this kind does when the file does not say
};

Result<Ends> fill_byte_level(const TokenTable& table, Pipeline& pipeline) {
  SACCADE_TRY(auto words, tokens::find_word_pattern(table.words.empty() ? "default" : table.words));
  pipeline.pre_tokenizer = std::move(words.pre_tokenizer);
  if (table.add_space_prefix.value_or(false)) {
    pipeline.normalizer.steps.emplace_back(tokens::PrependNormalizer{" "});
  }
  SACCADE_TRY(Vocabulary vocabulary, make_vocabulary(table, as_written));
  SACCADE_TRY(const BpeModel::Merges merges, read_merges(table.merges));
  BpeOptions options;
  options.ignore_merges = words.ignore_merges;
  SACCADE_TRY(pipeline.model, BpeModel::make(std::move(vocabulary), merges, std::move(options)));
  pipeline.decoder.steps.emplace_back(tokens::ByteLevelDecoder{});
  pipeline.kind = "byte-level BPE";
  return Ends{words.add_beginning, false};
}

// The better the score, the earlier two pieces are joined to the token.
Result<std::vector<uint32_t>> ranks_of(const TokenTable& table) {
  if (table.scores.empty()) return bad("a \"llama\" tokenizer needs a score for every token, found none");
  std::vector<uint32_t> order;
  for (uint32_t id = 0; id < table.tokens.size(); ++id) {
    const bool is_number = table.scores[id] == table.scores[id];
    if (!is_number) return bad(fmt::format("the score of token {} is not a number", id));
    if (type_of(table, id) == TokenTable::normal) order.push_back(id);
  }
  std::stable_sort(order.begin(), order.end(),
                   [&](uint32_t a, uint32_t b) { return table.scores[a] > table.scores[b]; });
  std::vector<uint32_t> ranks(table.tokens.size(), BpeModel::never);
  uint32_t rank = 0;
  for (size_t i = 0; i < order.size(); ++i) {
    if (i > 0 && table.scores[order[i]] != table.scores[order[i - 1]]) ++rank;
    ranks[order[i]] = rank;  // equal scores: the leftmost pair comes first
  }
  return ranks;
}

Result<Ends> fill_scored(const TokenTable& table, Pipeline& pipeline) {
  SACCADE_TRY(const std::vector<uint32_t> ranks, ranks_of(table));
  SACCADE_TRY(Vocabulary vocabulary, make_vocabulary(table, as_written));
  BpeOptions options;
  options.byte_fallback = true;
  if (table.unknown_id) options.unknown = std::string(table.tokens[static_cast<size_t>(*table.unknown_id)]);
  SACCADE_TRY(pipeline.model, BpeModel::make_ranked(std::move(vocabulary), ranks, std::move(options)));
  const bool prefix = table.add_space_prefix.value_or(true);
  const std::string mark(word_start);
  if (prefix) pipeline.normalizer.steps.emplace_back(tokens::PrependNormalizer{mark});
  pipeline.normalizer.steps.emplace_back(tokens::ReplaceNormalizer{std::string(" "), mark});
  auto& decoding = pipeline.decoder.steps;
  decoding.emplace_back(tokens::ReplaceDecoder{mark, " "});
  decoding.emplace_back(tokens::ByteFallbackDecoder{});
  decoding.emplace_back(tokens::FuseDecoder{});
  if (prefix) decoding.emplace_back(tokens::StripDecoder{U' ', 1, 0});
  pipeline.kind = "SentencePiece BPE";
  return Ends{true, false};
}

bool has_capital(std::string_view token) {
  return std::any_of(token.begin(), token.end(), [](char c) { return c >= 'A' && c <= 'Z'; });
}

// GGUF marks the pieces that begin a word, WordPiece those that do not.
std::string spell_piece(std::string_view token, int64_t type) {
  if (is_found_whole(type)) return std::string(token);
  if (token.starts_with(word_start) && token.size() > word_start.size())
    return std::string(token.substr(word_start.size()));
  return "##" + std::string(token);
}

Result<Ends> fill_word_piece(const TokenTable& table, Pipeline& pipeline) {
  if (!table.unknown_id) return bad("a \"bert\" tokenizer needs an unknown token, found none");
  bool cased = false;
  for (size_t id = 0; id < table.tokens.size() && !cased; ++id)
    cased = type_of(table, id) == TokenTable::normal && has_capital(table.tokens[id]);
  SACCADE_TRY(pipeline.normalizer, tokens::Normalizer::read(JsonItem(Json{{"type", "BertNormalizer"},
                                                                          {"clean_text", true},
                                                                          {"handle_chinese_chars", true},
                                                                          {"strip_accents", !cased},
                                                                          {"lowercase", !cased}},
                                                                     "normalizer")));
  SACCADE_TRY(pipeline.pre_tokenizer,
              tokens::PreTokenizer::read(JsonItem(Json{{"type", "BertPreTokenizer"}}, "pre_tokenizer")));
  SACCADE_TRY(Vocabulary vocabulary, make_vocabulary(table, spell_piece));
  tokens::WordPieceModel::Options options;
  options.unknown = table.tokens[static_cast<size_t>(*table.unknown_id)];
  SACCADE_TRY(pipeline.model, tokens::WordPieceModel::make(std::move(vocabulary), std::move(options)));
  pipeline.decoder.steps.emplace_back(tokens::WordPieceDecoder{});
  pipeline.kind = cased ? "WordPiece" : "WordPiece, lower case";
  return Ends{true, true};
}

Result<Ends> fill(const TokenTable& table, Pipeline& pipeline) {
  if (table.model == "gpt2") return fill_byte_level(table, pipeline);
  if (table.model == "llama") return fill_scored(table, pipeline);
  if (table.model == "bert") return fill_word_piece(table, pipeline);
  return make_error(
      ErrorCode::unsupported,
      fmt::format("a tokenizer of the kind \"{}\" is not supported; known are gpt2, llama and bert",
                  tokens::replace_invalid_utf8(table.model.substr(0, 80))));
}

std::optional<int32_t> as_id(const std::optional<int64_t>& id) {
  return id ? std::optional(static_cast<int32_t>(*id)) : std::nullopt;
}

void add_ends(const TokenTable& table, const Ends& usual, Pipeline& pipeline) {
  const bool is_bert = table.model == "bert";
  pipeline.bos = as_id(is_bert && table.classifier ? table.classifier : table.bos);
  pipeline.eos = as_id(is_bert && table.separator ? table.separator : table.eos);
  tokens::TemplatePostProcessor around;
  if (pipeline.bos && table.add_bos.value_or(usual.before)) around.before.push_back(*pipeline.bos);
  if (pipeline.eos && table.add_eos.value_or(usual.after)) around.after.push_back(*pipeline.eos);
  if (!around.before.empty() || !around.after.empty())
    pipeline.post_processor.steps.emplace_back(std::move(around));
}

}  // namespace

Result<std::shared_ptr<const Tokenizer>> make_tokenizer(const TokenTable& table) {
  SACCADE_CHECK(check(table));
  Pipeline pipeline;
  pipeline.source = "the GGUF file";
  SACCADE_TRY(const Ends usual, fill(table, pipeline));
  SACCADE_CHECK(add_whole_tokens(table, pipeline));
  add_ends(table, usual, pipeline);
  return tokens::make_tokenizer(std::move(pipeline));
}

}  // namespace saccade
