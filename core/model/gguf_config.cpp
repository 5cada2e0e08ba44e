#include "core/model/gguf_config.h"

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

}  // namespace saccade
