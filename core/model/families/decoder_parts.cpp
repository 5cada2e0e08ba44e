#include "core/model/families/decoder_parts.h"

#include <fmt/ranges.h>

#include <algorithm>

namespace saccade {

using Json = nlohmann::json;

Result<Json> part_of(const Json& json, const char* key) {
  const ConfigReader config(json);
  SACCADE_TRY(const Json* part, config.object(key));
  if (!part) return config.wrong(key, "an object", Json());
  return *part;
}

Result<ModelSpec> read_decoder_part(const Json& text, const std::vector<std::string_view>& families) {
  const ConfigReader config(text, "text_config");
  SACCADE_TRY(const std::string type, config.text("model_type", ""));
  const Family* decoder = find_family(type);
  if (!decoder || std::find(families.begin(), families.end(), type) == families.end())
    return config.wrong(
        "model_type",
        fmt::format("{} or {}", fmt::join(families.begin(), families.end() - 1, ", "), families.back()),
        type);
  auto read = decoder->read_config(text);
  if (!read.ok()) return std::move(read).error().with("text_config");
  return read;
}

Result<int32_t> image_token_of(const ConfigReader& config, int32_t fallback, int32_t n_vocab) {
  int32_t id = fallback;
  for (const char* key : {"image_token_index", "image_token_id"}) {
    SACCADE_TRY(const std::vector<int32_t> ids, config.ids(key));
    if (!ids.empty()) id = ids.front();
  }
  if (id < 0 || id >= n_vocab)
    return config.wrong("image_token_index", "a token id below text_config.vocab_size", id);
  return id;
}

std::vector<WeightRule> with_decoder(const RuleTable& table, const ModelSpec& spec, const std::string& base) {
  constexpr std::string_view usual = "model.";
  std::vector<WeightRule> rules = table.rules();
  if (const Family* decoder = find_family(spec.family))
    for (WeightRule& rule : decoder->weight_rules(spec)) {
      if (rule.or_name.empty() && rule.name.starts_with(usual))
        rule.or_name = base + rule.name.substr(usual.size());
      rules.push_back(std::move(rule));
    }
  return rules;
}

}  // namespace saccade
