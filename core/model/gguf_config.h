// What a GGUF file says of its model, as the config.json that the gguf families read. Private to core/model.
#pragma once

#include <nlohmann/json_fwd.hpp>

#include "core/model/gguf_file.h"

namespace saccade {

// model_type "gguf-<architecture>"; the architecture's own values without its prefix; vocab_size, tied,
// bos_token_id and eos_token_id from where they are.
Result<nlohmann::json> gguf_config(const GgufFile& file);

}  // namespace saccade
