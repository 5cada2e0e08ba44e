// Writes a trained demo model as a Hugging Face folder: config, safetensors weights, tokenizer in both
// spellings. Errors name the file that could not be written. The folder is made when it is missing.
#pragma once

#include <filesystem>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <string_view>
#include <vector>

#include "kernels/base/result.h"
#include "resources/models/gpt2.h"
#include "resources/models/llama.h"
#include "resources/models/word_bpe.h"

namespace saccade {

enum class WeightType { float32, bfloat16 };

Result<void> write_model(const std::filesystem::path& folder, const Gpt2Shape& shape,
                         const std::vector<NamedTensor>& weights);
// In bfloat16: the weights are rounded to it, ties to even.
Result<void> write_model(const std::filesystem::path& folder, const LlamaShape& shape,
                         const std::vector<NamedTensor>& weights);
// model.safetensors alone; bfloat16 is rounded to, ties to even.
Result<void> write_weights(const std::filesystem::path& folder, const std::vector<NamedTensor>& weights,
                           WeightType type);
// config.json of a Llama whose texts begin and end with `end`.
nlohmann::ordered_json llama_config(const LlamaShape& shape, int32_t end);
// vocab.json and merges.txt, tokenizer.json, tokenizer_config.json: byte-level BPE that puts "<|endoftext|>"
// first. `more_special` tokens are added behind it.
Result<void> write_tokenizer(const std::filesystem::path& folder, const WordBpe& bpe, int32_t n_context,
                             const std::vector<std::string>& more_special = {});
Result<void> write_file(const std::filesystem::path& path, std::string_view bytes);

}  // namespace saccade
