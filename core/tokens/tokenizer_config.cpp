#include <fmt/format.h>

#include "core/base/files.h"
#include "core/tokens/tokenizer_files.h"

namespace saccade::tokens {
namespace {

// A token as the configuration files write it: text, or an object with "content" and flags.
Result<AddedToken> read_config_token(const JsonItem& item, bool special) {
  AddedToken token;
  token.special = special;
  if (item.json().is_string()) {
    SACCADE_TRY(token.content, item.string());
    return token;
  }
  if (!item.json().is_object()) return item.expected("text or an object with \"content\"");
  SACCADE_TRY(token.content, item["content"].string());
  SACCADE_TRY(token.special, item["special"].boolean(special));
  SACCADE_TRY(token.lstrip, item["lstrip"].boolean(false));
  SACCADE_TRY(token.rstrip, item["rstrip"].boolean(false));
  SACCADE_TRY(token.single_word, item["single_word"].boolean(false));
  SACCADE_TRY(token.normalized, item["normalized"].boolean(!token.special));
  return token;
}

Result<void> read_special_names(const JsonItem& root, TokenizerConfig& config) {
  for (const char* key :
       {"bos_token", "eos_token", "unk_token", "sep_token", "pad_token", "cls_token", "mask_token"}) {
    const JsonItem item = root[key];
    if (item.is_null()) continue;
    SACCADE_TRY(AddedToken token, read_config_token(item, true));
    if (std::string_view(key) == "bos_token" && !config.bos) config.bos = token.content;
    if (std::string_view(key) == "eos_token" && !config.eos) config.eos = token.content;
    config.added.push_back(std::move(token));
  }
  const JsonItem further = root["additional_special_tokens"];
  if (further.is_null() || further.json().is_object()) return {};
  SACCADE_TRY(const size_t count, further.array_size());
  for (size_t i = 0; i < count; ++i) {
    SACCADE_TRY(AddedToken token, read_config_token(further[i], true));
    config.added.push_back(std::move(token));
  }
  return {};
}

std::optional<int32_t> parse_id(const std::string& text) {
  if (text.empty() || text.size() > 9 || text.find_first_not_of("0123456789") != std::string::npos)
    return std::nullopt;
  return std::stoi(text);
}

// {"50257": {"content": "<pad>", ...}, ...}
Result<void> read_added_decoder(const JsonItem& item, TokenizerConfig& config) {
  if (item.is_null()) return {};
  if (!item.json().is_object()) return item.expected("an object of ids");
  for (const auto& [key, value] : item.json().items()) {
    const auto id = parse_id(key);
    if (!id)
      return make_error(ErrorCode::bad_format, fmt::format("{}: \"{}\" is no token id", item.path(), key));
    SACCADE_TRY(AddedToken token,
                read_config_token(JsonItem(value, fmt::format("{}.{}", item.path(), key)), false));
    token.id = *id;
    config.added.push_back(std::move(token));
  }
  return {};
}

// {"<pad>": 50257, ...}, the oldest form.
Result<void> read_added_file(const JsonItem& root, TokenizerConfig& config) {
  if (!root.json().is_object()) return root.expected("an object of tokens");
  for (const auto& [content, value] : root.json().items()) {
    SACCADE_TRY(const int64_t id, JsonItem(value, fmt::format("\"{}\"", content)).integer());
    if (id < 0 || id > INT32_MAX) return root[content].expected("a token id");
    AddedToken token;
    token.content = content;
    token.id = static_cast<int32_t>(id);
    token.normalized = true;
    config.added.push_back(std::move(token));
  }
  return {};
}

template <class Read>
Result<void> with_file(const std::filesystem::path& path, const Read& read) {
  std::error_code ignored;
  if (!std::filesystem::exists(path, ignored)) return {};
  SACCADE_TRY(const std::string text, read_text_file(path));
  const auto run = [&]() -> Result<void> {
    SACCADE_TRY(const Json json, parse_json(text));
    return read(JsonItem(json, ""));
  };
  auto done = run();
  if (!done.ok()) return std::move(done).error().with(path.string());
  return {};
}

std::optional<bool> optional_flag(const Result<bool>& value, const JsonItem& item) {
  return item.is_null() ? std::nullopt : std::optional<bool>(*value);
}

Result<void> read_main(const JsonItem& root, TokenizerConfig& config) {
  if (!root.json().is_object()) return root.expected("an object");
  SACCADE_TRY(config.tokenizer_class, root["tokenizer_class"].string(""));
  const auto read_flag = [&](const char* key, std::optional<bool>& flag) -> Result<void> {
    const Result<bool> value = root[key].boolean(false);
    if (!value.ok()) return value.error();
    flag = optional_flag(value, root[key]);
    return {};
  };
  SACCADE_CHECK(read_flag("add_bos_token", config.add_bos));
  SACCADE_CHECK(read_flag("add_eos_token", config.add_eos));
  SACCADE_CHECK(read_flag("add_prefix_space", config.add_prefix_space));
  SACCADE_CHECK(read_flag("legacy", config.legacy));
  SACCADE_CHECK(read_added_decoder(root["added_tokens_decoder"], config));
  return read_special_names(root, config);
}

}  // namespace

Result<TokenizerConfig> read_tokenizer_config(const std::filesystem::path& folder) {
  TokenizerConfig config;
  SACCADE_CHECK(with_file(folder / "added_tokens.json",
                          [&](const JsonItem& root) { return read_added_file(root, config); }));
  SACCADE_CHECK(with_file(folder / "tokenizer_config.json",
                          [&](const JsonItem& root) { return read_main(root, config); }));
  SACCADE_CHECK(with_file(folder / "special_tokens_map.json",
                          [&](const JsonItem& root) { return read_special_names(root, config); }));
  return config;
}

}  // namespace saccade::tokens
