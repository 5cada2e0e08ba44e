#include "core/model/gguf_config.h"

#include <fmt/format.h>

#include <map>
#include <nlohmann/json.hpp>

namespace saccade {
namespace {

nlohmann::json json_of(const GgufValue& value) {
  return std::visit([](const auto& v) { return nlohmann::json(v); }, value);
}

const TensorView* find(const GgufFile& file, std::string_view name) {
  for (const TensorView& tensor : file.tensors)
    if (tensor.name == name) return &tensor;
  return nullptr;
}

}  // namespace

Result<nlohmann::json> gguf_config(const GgufFile& file) {
  const auto architecture = file.text("general.architecture");
  if (!architecture)
    return make_error(ErrorCode::bad_format, "GGUF: 'general.architecture': expected a text, found nothing");
  nlohmann::json config = nlohmann::json::object();
  const std::string prefix = std::string(*architecture) + ".";
  for (const auto& [key, value] : file.metadata)
    if (key.starts_with(prefix)) config[key.substr(prefix.size())] = json_of(value);
  config["model_type"] = "gguf-" + std::string(*architecture);
  if (const TensorView* embed = find(file, "token_embd.weight"); embed && embed->shape.size() == 2)
    config["vocab_size"] = embed->shape[0];
  config["tied"] = find(file, "output.weight") == nullptr;
  for (const char* id : {"bos_token_id", "eos_token_id"})
    if (const auto found = file.integer(std::string("tokenizer.ggml.") + id)) config[id] = *found;
  return config;
}

std::optional<TokenTable> token_table(const GgufFile& file) {
  const auto model = file.text("tokenizer.ggml.model");
  const auto* const tokens = file.texts("tokenizer.ggml.tokens");
  if (!model || tokens == nullptr) return std::nullopt;
  TokenTable table;
  table.architecture = file.text("general.architecture").value_or("");
  table.model = *model;
  table.words = file.text("tokenizer.ggml.pre").value_or("");
  table.tokens = *tokens;
  if (const auto* scores = file.numbers("tokenizer.ggml.scores")) table.scores = *scores;
  if (const auto* types = file.integers("tokenizer.ggml.token_type")) table.types = *types;
  if (const auto* merges = file.texts("tokenizer.ggml.merges")) table.merges = *merges;
  table.bos = file.integer("tokenizer.ggml.bos_token_id");
  table.eos = file.integer("tokenizer.ggml.eos_token_id");
  table.unknown_id = file.integer("tokenizer.ggml.unknown_token_id");
  table.classifier = file.integer("tokenizer.ggml.cls_token_id");
  table.separator = file.integer("tokenizer.ggml.separator_token_id");
  if (!table.separator) table.separator = file.integer("tokenizer.ggml.seperator_token_id");  // as spelled
  table.add_bos = file.flag("tokenizer.ggml.add_bos_token");
  table.add_eos = file.flag("tokenizer.ggml.add_eos_token");
  table.add_space_prefix = file.flag("tokenizer.ggml.add_space_prefix");
  return table;
}

Result<std::shared_ptr<const Tokenizer>> gguf_tokenizer(const GgufFile& file) {
  const auto table = token_table(file);
  if (!table) return make_error(ErrorCode::not_found, "the GGUF file carries no tokenizer");
  auto made = make_tokenizer(*table);
  if (!made.ok()) return std::move(made).error().with("the GGUF file's tokenizer");
  return made;
}

Result<ChatTemplate> gguf_chat_template(const GgufFile& file) {
  const auto text = file.text("tokenizer.chat_template");
  if (!text) return make_error(ErrorCode::not_found, "the GGUF file has no chat template");
  std::map<std::string, std::string> names;
  const auto* const tokens = file.texts("tokenizer.ggml.tokens");
  for (const char* name : {"bos_token", "eos_token", "unk_token", "pad_token"}) {
    const std::string_view key = std::string_view(name) == "unk_token"   ? "unknown_token"
                                 : std::string_view(name) == "pad_token" ? "padding_token"
                                                                         : name;
    const auto id = file.integer(fmt::format("tokenizer.ggml.{}_id", key));
    if (tokens != nullptr && id && *id >= 0 && static_cast<size_t>(*id) < tokens->size())
      names[name] = (*tokens)[static_cast<size_t>(*id)];
  }
  auto parsed = ChatTemplate::parse(std::string(*text), std::move(names));
  if (!parsed.ok()) return std::move(parsed).error().with("tokenizer.chat_template");
  return parsed;
}

}  // namespace saccade
