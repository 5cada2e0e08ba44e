#include "core/tokens/chat_template.h"

#include <fmt/format.h>

#include <array>

#include "core/base/files.h"
#include "core/tokens/jinja/evaluate.h"
#include "core/tokens/jinja/parser.h"
#include "core/tokens/json_item.h"
#include "core/tokens/unicode.h"

namespace saccade {

struct ChatTemplate::Tree {
  jinja::Block block;
};

namespace {

using tokens::Json;
using tokens::JsonItem;

constexpr size_t max_template_bytes = size_t{1} << 20;
constexpr size_t max_file_bytes = size_t{64} << 20;
constexpr std::array<const char*, 7> token_names = {"bos_token", "eos_token", "unk_token", "sep_token",
                                                    "pad_token", "cls_token", "mask_token"};

Result<void> check_utf8(std::string_view text, std::string_view what, ErrorCode code) {
  const auto wrong = tokens::find_invalid_utf8(text);
  if (!wrong) return {};
  return make_error(code, fmt::format("{} is not valid UTF-8 at byte {}", what, *wrong));
}

Result<jinja::Value> message_list(std::span<const ChatMessage> messages) {
  jinja::Values list;
  for (size_t i = 0; i < messages.size(); ++i) {
    const ChatMessage& message = messages[i];
    const std::string which = fmt::format("message {}", i);
    SACCADE_CHECK(check_utf8(message.role, which, ErrorCode::invalid_argument));
    SACCADE_CHECK(check_utf8(message.content, which, ErrorCode::invalid_argument));
    jinja::Dict dict;
    SACCADE_CHECK(dict.set(jinja::Value::of("role"), jinja::Value::of(message.role)));
    SACCADE_CHECK(dict.set(jinja::Value::of("content"), jinja::Value::of(message.content)));
    SACCADE_TRY(jinja::Value value, jinja::make_dict(std::move(dict)));
    list.push_back(std::move(value));
  }
  return jinja::make_sequence(std::move(list));
}

// ---- files ----

bool is_there(const std::filesystem::path& path) {
  std::error_code ignored;
  return std::filesystem::exists(path, ignored);
}

Result<Json> read_json(const std::filesystem::path& path) {
  SACCADE_TRY(const std::string text, read_text_file(path, max_file_bytes));
  return tokens::parse_json(text);
}

// "chat_template" as text, or as a list of {"name": ..., "template": ...}, or an object of name to text.
Result<std::optional<std::string>> template_of(const JsonItem& item) {
  using Found = std::optional<std::string>;
  if (item.is_null()) return Found();
  if (item.json().is_object()) {
    if (item["default"].is_null()) return item.expected("a template called \"default\"");
    SACCADE_TRY(std::string text, item["default"].string());
    return Found(std::move(text));
  }
  if (!item.json().is_array()) {
    SACCADE_TRY(std::string text, item.string());
    return Found(std::move(text));
  }
  SACCADE_TRY(const size_t count, item.array_size());
  for (size_t i = 0; i < count; ++i) {
    SACCADE_TRY(const std::string name, item[i]["name"].string());
    if (name != "default") continue;
    SACCADE_TRY(std::string text, item[i]["template"].string());
    return Found(std::move(text));
  }
  return item.expected("a template called \"default\" among its templates");
}

Result<std::optional<std::string>> template_in_json(const std::filesystem::path& path) {
  if (!is_there(path)) return std::optional<std::string>();
  SACCADE_TRY(const Json json, read_json(path));
  return template_of(JsonItem(json, "")["chat_template"]);
}

Result<std::optional<std::string>> template_in_text(const std::filesystem::path& path) {
  if (!is_there(path)) return std::optional<std::string>();
  SACCADE_TRY(std::string text, read_text_file(path, max_template_bytes));
  return std::optional<std::string>(std::move(text));
}

// What tokenizer_config.json and, where that is silent, special_tokens_map.json name.
Result<void> add_special_tokens(const std::filesystem::path& path,
                                std::map<std::string, std::string>& names) {
  if (!is_there(path)) return {};
  SACCADE_TRY(const Json json, read_json(path));
  const JsonItem root(json, "");
  for (const char* name : token_names) {
    const JsonItem item = root[name];
    if (item.is_null() || names.contains(name)) continue;
    SACCADE_TRY(names[name], (item.json().is_object() ? item["content"] : item).string());
  }
  return {};
}

Result<std::optional<ChatTemplate>> parse_found(Result<std::optional<std::string>> text) {
  if (!text.ok()) return std::move(text).error();
  if (!text->has_value()) return std::optional<ChatTemplate>();
  SACCADE_TRY(ChatTemplate made, ChatTemplate::parse(std::move(**text)));
  return std::optional<ChatTemplate>(std::move(made));
}

}  // namespace

Result<ChatTemplate> ChatTemplate::parse(std::string text,
                                         std::map<std::string, std::string> special_tokens) {
  if (text.size() > max_template_bytes)
    return make_error(ErrorCode::unsupported, fmt::format("the chat template has {} bytes, more than {}",
                                                          text.size(), max_template_bytes));
  SACCADE_CHECK(check_utf8(text, "the chat template", ErrorCode::bad_format));
  SACCADE_TRY(jinja::Block block, jinja::parse(text));
  ChatTemplate made;
  made.text_ = std::move(text);
  made.special_tokens_ = std::move(special_tokens);
  made.tree_ = std::make_shared<const Tree>(Tree{std::move(block)});
  return made;
}

Result<std::string> ChatTemplate::render(std::span<const ChatMessage> messages,
                                         const ChatOptions& options) const {
  jinja::Variables variables;
  const auto add_tokens = [&](const std::map<std::string, std::string>& names) -> Result<void> {
    for (const auto& [name, text] : names) {
      SACCADE_CHECK(check_utf8(text, name, ErrorCode::invalid_argument));
      variables[name] = jinja::Value::of(text);
    }
    return {};
  };
  SACCADE_CHECK(add_tokens(special_tokens_));
  SACCADE_CHECK(add_tokens(options.special_tokens));
  SACCADE_TRY(variables["messages"], message_list(messages));
  variables["add_generation_prompt"] = jinja::Value::of(options.add_generation_prompt);
  variables["tools"] = jinja::Value();
  variables["documents"] = jinja::Value();
  return jinja::evaluate(tree_->block, variables, options.date);
}

Result<std::optional<ChatTemplate>> open_chat_template(const std::filesystem::path& folder) {
  constexpr std::array<std::string_view, 3> files = {"chat_template.jinja", "tokenizer_config.json",
                                                     "chat_template.json"};
  for (const std::string_view file : files) {
    const std::filesystem::path path = folder / file;
    auto found = parse_found(file.ends_with(".json") ? template_in_json(path) : template_in_text(path));
    if (!found.ok()) return std::move(found).error().with(path.string());
    if (!found->has_value()) continue;
    for (const char* names : {"tokenizer_config.json", "special_tokens_map.json"}) {
      auto added = add_special_tokens(folder / names, (**found).special_tokens_);
      if (!added.ok()) return std::move(added).error().with((folder / names).string());
    }
    return found;
  }
  return std::optional<ChatTemplate>();
}

}  // namespace saccade
