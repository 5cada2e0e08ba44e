// What families share that are a vision tower and a decoder under one config. Private to core/model.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "core/model/families/common.h"
#include "core/model/families/families.h"

namespace saccade {

// The object under that key; an error when there is none.
Result<nlohmann::json> part_of(const nlohmann::json& json, const char* key);
// text_config as the decoder's family reads it; refuses other families than these.
Result<ModelSpec> read_decoder_part(const nlohmann::json& text,
                                    const std::vector<std::string_view>& families);
// image_token_id or image_token_index.
Result<int32_t> image_token_of(const ConfigReader& config, int32_t fallback, int32_t n_vocab);
// The table's rules, then those of the decoder's family; what stands there as "model.*" may also be named
// `base` + "*".
[[nodiscard]] std::vector<WeightRule> with_decoder(const RuleTable& table, const ModelSpec& spec,
                                                   const std::string& base);

}  // namespace saccade
