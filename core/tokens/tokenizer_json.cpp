#include <fmt/format.h>

#include "core/tokens/clip.h"
#include "core/tokens/merges_text.h"
#include "core/tokens/pattern_item.h"
#include "core/tokens/tokenizer_files.h"

namespace saccade::tokens {
namespace {

constexpr const char* gpt2_end = "<|endoftext|>";

Result<Vocabulary> read_vocabulary(const JsonItem& item) {
  if (!item.json().is_object()) return item.expected("an object of tokens and ids");
  std::vector<std::pair<std::string, int64_t>> entries;
  entries.reserve(item.json().size());
  for (const auto& [token, value] : item.json().items()) {
    SACCADE_TRY(const int64_t id, JsonItem(value, fmt::format("{}[\"{}\"]", item.path(), token)).integer());
    entries.emplace_back(token, id);
  }
  return Vocabulary::make(std::move(entries));
}

Result<BpeModel::Merges> read_merges(const JsonItem& item) {
  SACCADE_TRY(const size_t count, item.array_size());
  BpeModel::Merges merges;
  merges.reserve(count);
  for (size_t i = 0; i < count; ++i) {
    const Json& value = item.json()[i];
    if (value.is_string()) {
      SACCADE_TRY(auto merge,
                  parse_merge(value.get_ref<const std::string&>(), fmt::format("{}[{}]", item.path(), i)));
      merges.push_back(std::move(merge));
    } else if (value.is_array() && value.size() == 2 && value[0].is_string() && value[1].is_string()) {
      merges.emplace_back(value[0].get<std::string>(), value[1].get<std::string>());
    } else {
      return item[i].expected("\"a b\" or [\"a\", \"b\"]");
    }
  }
  return merges;
}

Result<BpeModel> read_bpe(const JsonItem& item) {
  if (!item["dropout"].is_null() && item["dropout"].json() != 0) {
    return make_error(ErrorCode::unsupported,
                      fmt::format("{}: merging at random (dropout {}) is not supported",
                                  item["dropout"].path(), item["dropout"].json().dump()));
  }
  BpeOptions options;
  if (!item["unk_token"].is_null()) {
    SACCADE_TRY(options.unknown, item["unk_token"].string());
  }
  SACCADE_TRY(options.continuing_subword_prefix, item["continuing_subword_prefix"].string(""));
  SACCADE_TRY(options.end_of_word_suffix, item["end_of_word_suffix"].string(""));
  SACCADE_TRY(options.fuse_unknown, item["fuse_unk"].boolean(false));
  SACCADE_TRY(options.byte_fallback, item["byte_fallback"].boolean(false));
  SACCADE_TRY(options.ignore_merges, item["ignore_merges"].boolean(false));
  SACCADE_TRY(Vocabulary vocabulary, read_vocabulary(item["vocab"]));
  SACCADE_TRY(const BpeModel::Merges merges, read_merges(item["merges"]));
  return BpeModel::make(std::move(vocabulary), merges, std::move(options));
}

Result<UnigramModel> read_unigram(const JsonItem& item) {
  SACCADE_TRY(const size_t count, item["vocab"].array_size());
  UnigramModel::Pieces pieces;
  pieces.reserve(count);
  for (size_t i = 0; i < count; ++i) {
    const Json& one = item["vocab"].json()[i];
    if (!one.is_array() || one.size() != 2 || !one[0].is_string() || !one[1].is_number())
      return item["vocab"][i].expected("a piece and its score");
    pieces.emplace_back(one[0].get<std::string>(), one[1].get<double>());
  }
  std::optional<int64_t> unknown;
  if (!item["unk_id"].is_null()) {
    SACCADE_TRY(unknown, item["unk_id"].integer());
  }
  SACCADE_TRY(const bool bytes, item["byte_fallback"].boolean(false));
  return UnigramModel::make(std::move(pieces), unknown, bytes);
}

Result<WordPieceModel> read_word_piece(const JsonItem& item) {
  WordPieceModel::Options options;
  SACCADE_TRY(options.unknown, item["unk_token"].string("[UNK]"));
  SACCADE_TRY(options.continuing_prefix, item["continuing_subword_prefix"].string("##"));
  SACCADE_TRY(options.longest_word, item["max_input_chars_per_word"].integer(100));
  SACCADE_TRY(Vocabulary vocabulary, read_vocabulary(item["vocab"]));
  return WordPieceModel::make(std::move(vocabulary), std::move(options));
}

Result<TokenModel> read_model(const JsonItem& item, const std::string& type) {
  if (type == "BPE") {
    SACCADE_TRY(BpeModel model, read_bpe(item));
    return TokenModel(std::move(model));
  }
  if (type == "Unigram") {
    SACCADE_TRY(UnigramModel model, read_unigram(item));
    return TokenModel(std::move(model));
  }
  if (type == "WordPiece") {
    SACCADE_TRY(WordPieceModel model, read_word_piece(item));
    return TokenModel(std::move(model));
  }
  if (type == "WordLevel") {
    SACCADE_TRY(const std::string unknown, item["unk_token"].string("<unk>"));
    SACCADE_TRY(Vocabulary vocabulary, read_vocabulary(item["vocab"]));
    return TokenModel(WordLevelModel(std::move(vocabulary), unknown));
  }
  return unsupported_type("model", type, item);
}

Result<void> read_added(const JsonItem& item, const Vocabulary& vocabulary, AddedTokens& added) {
  if (item.is_null()) return {};
  SACCADE_TRY(const size_t count, item.array_size());
  for (size_t i = 0; i < count; ++i) {
    const JsonItem one = item[i];
    AddedToken token;
    SACCADE_TRY(token.content, one["content"].string());
    SACCADE_TRY(const int64_t id, one["id"].integer());
    if (id < 0 || id > INT32_MAX) return one["id"].expected("a token id");
    token.id = static_cast<int32_t>(id);
    SACCADE_TRY(token.special, one["special"].boolean(false));
    SACCADE_TRY(token.lstrip, one["lstrip"].boolean(false));
    SACCADE_TRY(token.rstrip, one["rstrip"].boolean(false));
    SACCADE_TRY(token.single_word, one["single_word"].boolean(false));
    SACCADE_TRY(token.normalized, one["normalized"].boolean(!token.special));
    SACCADE_CHECK(added.add(std::move(token), vocabulary));
  }
  return {};
}

bool is_byte_level(const Pipeline& pipeline) {
  for (const PreTokenizerStep& step : pipeline.pre_tokenizer.steps) {
    if (std::holds_alternative<ByteLevelPreTokenizer>(step)) return true;
  }
  return false;
}

std::string kind_of(const Pipeline& pipeline, const std::string& type) {
  const BpeModel* bpe = pipeline.model.bpe();
  if (!bpe) return type;
  if (is_byte_level(pipeline)) return "byte-level BPE";
  return bpe->options().byte_fallback ? "SentencePiece-style BPE with byte fallback" : "BPE";
}

// A template in tokenizer.json has the last word on beginning and end tokens. Where there is none,
// add_bos_token and add_eos_token count for GPT-2's two files and for the tokenizer classes that always put
// their own template in its place.
bool wants_added_ends(const TokenizerConfig& config, const Pipeline& pipeline) {
  for (const PostProcessorStep& step : pipeline.post_processor.steps) {
    if (std::holds_alternative<TemplatePostProcessor>(step)) return false;
  }
  if (pipeline.source != "tokenizer.json") return true;
  const std::string& name = config.tokenizer_class;
  return name.starts_with("Llama") || name.starts_with("CodeLlama") || name.starts_with("Gemma");
}

}  // namespace

Result<Pipeline> read_tokenizer_json(std::string_view text) {
  SACCADE_TRY(const Json json, parse_json(text));
  const JsonItem root(json, "");
  if (!json.is_object()) return JsonItem(json, "the file").expected("an object");
  Pipeline pipeline;
  const JsonItem model = root["model"];
  if (!model.json().is_object()) return model.expected("an object");
  // Files written before the type was named have BPE's members.
  SACCADE_TRY(const std::string type, model["type"].string(model["merges"].is_null() ? "" : "BPE"));
  auto read = read_model(model, type);
  if (!read.ok()) return std::move(read).error().with("model");
  pipeline.model = std::move(read).value();
  SACCADE_CHECK(read_added(root["added_tokens"], pipeline.model.vocabulary(), pipeline.added));
  SACCADE_TRY(pipeline.normalizer, Normalizer::read(root["normalizer"]));
  SACCADE_TRY(pipeline.pre_tokenizer, PreTokenizer::read(root["pre_tokenizer"]));
  SACCADE_TRY(pipeline.post_processor, PostProcessor::read(root["post_processor"]));
  SACCADE_TRY(pipeline.decoder, Decoder::read(root["decoder"]));
  pipeline.kind = kind_of(pipeline, type);
  pipeline.source = "tokenizer.json";
  return pipeline;
}

Result<Pipeline> read_vocab_and_merges(std::string_view vocab_json, std::string_view merges_text,
                                       const TokenizerConfig& config) {
  Pipeline pipeline;
  SACCADE_TRY(const Json json, parse_json(vocab_json));
  SACCADE_TRY(Vocabulary vocabulary, read_vocabulary(JsonItem(json, "vocab.json")));
  SACCADE_TRY(const BpeModel::Merges merges, read_merges_text(merges_text));
  if (config.tokenizer_class.find("CLIP") != std::string::npos)
    return make_clip(std::move(vocabulary), merges);
  SACCADE_TRY(pipeline.model, BpeModel::make(std::move(vocabulary), merges, {}));
  SACCADE_TRY(ByteLevelPreTokenizer words, make_byte_level(config.add_prefix_space.value_or(false), true));
  pipeline.pre_tokenizer.steps.emplace_back(std::move(words));
  pipeline.decoder.steps.emplace_back(ByteLevelDecoder{});
  pipeline.kind = "byte-level BPE";
  pipeline.source = "vocab.json + merges.txt";
  return pipeline;
}

Result<void> apply_config(const TokenizerConfig& config, Pipeline& pipeline) {
  const Vocabulary& vocabulary = pipeline.model.vocabulary();
  for (const AddedToken& token : config.added) {
    if (pipeline.added.find(token.content) == nullptr) SACCADE_CHECK(pipeline.added.add(token, vocabulary));
  }
  const auto id_of = [&](const std::optional<std::string>& content) -> std::optional<int32_t> {
    if (!content) return std::nullopt;
    if (const AddedToken* token = pipeline.added.find(*content)) return token->id;
    const int32_t id = vocabulary.find(*content);
    return id == Vocabulary::absent ? std::nullopt : std::optional(id);
  };
  pipeline.bos = id_of(config.bos);
  pipeline.eos = id_of(config.eos);
  const bool unnamed = !config.bos && !config.eos && pipeline.post_processor.before().empty();
  if (pipeline.source != "tokenizer.json" && unnamed) {
    // GPT-2's own folder names none: one token is its beginning, its end and everything else.
    if (vocabulary.find(gpt2_end) != Vocabulary::absent) {
      AddedToken end;
      end.content = gpt2_end;
      end.special = true;
      SACCADE_CHECK(pipeline.added.add(std::move(end), vocabulary));
      pipeline.bos = pipeline.eos = vocabulary.find(gpt2_end);
    }
  }
  if (wants_added_ends(config, pipeline)) {
    TemplatePostProcessor around;
    if (config.add_bos.value_or(false)) {
      if (!pipeline.bos) {
        return make_error(ErrorCode::bad_format,
                          "add_bos_token is true, but no bos_token of the vocabulary is named");
      }
      around.before.push_back(*pipeline.bos);
    }
    if (config.add_eos.value_or(false)) {
      if (!pipeline.eos) {
        return make_error(ErrorCode::bad_format,
                          "add_eos_token is true, but no eos_token of the vocabulary is named");
      }
      around.after.push_back(*pipeline.eos);
    }
    pipeline.post_processor.steps.emplace_back(std::move(around));
  }
  const std::vector<int32_t> before = pipeline.post_processor.before();
  if (!pipeline.bos && before.size() == 1) pipeline.bos = before.front();
  const std::vector<int32_t> after = pipeline.post_processor.after();
  if (!pipeline.eos && after.size() == 1) pipeline.eos = after.front();
  return {};
}

}  // namespace saccade::tokens
