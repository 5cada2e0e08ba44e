// What a GGUF file says of its model, as the config.json that the gguf families read, and of its tokenizer.
// Private to core/model.
#pragma once

#include <nlohmann/json_fwd.hpp>

#include <optional>

#include "core/model/gguf_file.h"
#include "core/tokens/chat_template.h"
#include "core/tokens/token_table.h"

namespace saccade {

// model_type "gguf-<architecture>"; the architecture's own values without its prefix; vocab_size, tied,
// bos_token_id and eos_token_id from where they are.
Result<nlohmann::json> gguf_config(const GgufFile& file);

// Its tokens, as views into the file; nothing when it carries none.
[[nodiscard]] std::optional<TokenTable> token_table(const GgufFile& file);
// The tokenizer made of them; not_found when it carries none.
[[nodiscard]] Result<std::shared_ptr<const Tokenizer>> gguf_tokenizer(const GgufFile& file);
// Its chat template, as parsed; not_found when it has none.
[[nodiscard]] Result<ChatTemplate> gguf_chat_template(const GgufFile& file);

}  // namespace saccade
