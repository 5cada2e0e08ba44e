#include "resources/models/export.h"

#include <bit>
#include <fstream>
#include <nlohmann/json.hpp>
#include <system_error>

namespace saccade {
namespace {

using Json = nlohmann::ordered_json;

static_assert(std::endian::native == std::endian::little, "safetensors are little-endian");

uint16_t to_bfloat16(float value) {
  const auto bits = std::bit_cast<uint32_t>(value);
  return static_cast<uint16_t>((bits + 0x7FFFU + ((bits >> 16) & 1U)) >> 16);
}

void append_values(std::string& data, const std::vector<float>& values, WeightType type) {
  if (type == WeightType::float32) {
    data.append(reinterpret_cast<const char*>(values.data()), values.size() * sizeof(float));
    return;
  }
  for (const float value : values) {
    const uint16_t narrow = to_bfloat16(value);
    data.append(reinterpret_cast<const char*>(&narrow), sizeof narrow);
  }
}

// [8 bytes: header size][header JSON, padded to 8 bytes with spaces][the tensors, one after the other].
std::string safetensors(const std::vector<NamedTensor>& tensors, WeightType type) {
  Json header;
  header["__metadata__"] = {{"format", "pt"}};
  std::string data;
  for (const auto& tensor : tensors) {
    const size_t begin = data.size();
    append_values(data, tensor.values, type);
    header[tensor.name] = {{"dtype", type == WeightType::float32 ? "F32" : "BF16"},
                           {"shape", tensor.shape},
                           {"data_offsets", {begin, data.size()}}};
  }
  std::string text = header.dump();
  text.append((8 - text.size() % 8) % 8, ' ');
  const uint64_t size = text.size();
  return std::string(reinterpret_cast<const char*>(&size), sizeof size) + text + data;
}

Json config(const Gpt2Shape& shape) {
  const int32_t end = shape.n_vocab - 1;
  return {{"architectures", {"GPT2LMHeadModel"}},
          {"model_type", "gpt2"},
          {"activation_function", "gelu_new"},
          {"attn_pdrop", 0.0},
          {"embd_pdrop", 0.0},
          {"resid_pdrop", 0.0},
          {"bos_token_id", end},
          {"eos_token_id", end},
          {"layer_norm_epsilon", 1e-5},
          {"n_ctx", shape.n_context},
          {"n_embd", shape.d_model},
          {"n_head", shape.n_head},
          {"n_inner", shape.d_mlp},
          {"n_layer", shape.n_layer},
          {"n_positions", shape.n_context},
          {"tie_word_embeddings", true},
          {"torch_dtype", "float32"},
          {"vocab_size", shape.n_vocab}};
}

}  // namespace

nlohmann::ordered_json llama_config(const LlamaShape& shape, int32_t end) {
  return {{"architectures", {"LlamaForCausalLM"}},
          {"model_type", "llama"},
          {"attention_bias", true},
          {"attention_dropout", 0.0},
          {"bos_token_id", end},
          {"eos_token_id", end},
          {"head_dim", shape.d_head},
          {"hidden_act", "silu"},
          {"hidden_size", shape.d_model},
          {"intermediate_size", shape.d_mlp},
          {"max_position_embeddings", shape.n_context},
          {"mlp_bias", false},
          {"num_attention_heads", shape.n_head},
          {"num_hidden_layers", shape.n_layer},
          {"num_key_value_heads", shape.n_kv_head},
          {"rms_norm_eps", shape.norm_epsilon},
          {"rope_theta", shape.rope_theta},
          {"tie_word_embeddings", true},
          {"torch_dtype", "bfloat16"},
          {"vocab_size", shape.n_vocab}};
}

namespace {

Json vocabulary(const WordBpe& bpe) {
  Json vocab = Json::object();
  for (int32_t id = 0; id < bpe.size(); ++id) vocab[bpe.spelling(id)] = id;
  return vocab;
}

std::vector<std::string> merge_lines(const WordBpe& bpe) {
  std::vector<std::string> lines;
  for (const auto& [left, right] : bpe.merges())
    lines.push_back(bpe.spelling(left) + " " + bpe.spelling(right));
  return lines;
}

Json byte_level(bool add_prefix_space) {
  return {{"type", "ByteLevel"},
          {"add_prefix_space", add_prefix_space},
          {"trim_offsets", true},
          {"use_regex", true}};
}

Json added_token(int32_t id, const std::string& content) {
  return {{"id", id},        {"content", content},  {"single_word", false}, {"lstrip", false},
          {"rstrip", false}, {"normalized", false}, {"special", true}};
}

Json tokenizer(const WordBpe& bpe, const std::vector<std::string>& more_special) {
  const std::string end(end_of_text);
  const Json special = {{"SpecialToken", {{"id", end}, {"type_id", 0}}}};
  const auto sequence = [](const char* id, int type) {
    return Json{{"Sequence", {{"id", id}, {"type_id", type}}}};
  };
  Json out;
  out["version"] = "1.0";
  out["truncation"] = nullptr;
  out["padding"] = nullptr;
  out["added_tokens"] = Json::array({added_token(bpe.end_of_text_id(), end)});
  for (size_t i = 0; i < more_special.size(); ++i)
    out["added_tokens"].push_back(added_token(bpe.size() + static_cast<int32_t>(i), more_special[i]));
  out["normalizer"] = nullptr;
  out["pre_tokenizer"] = byte_level(false);
  out["post_processor"] = {
      {"type", "TemplateProcessing"},
      {"single", Json::array({special, sequence("A", 0)})},
      {"pair", Json::array({special, sequence("A", 0), sequence("B", 1)})},
      {"special_tokens", {{end, {{"id", end}, {"ids", {bpe.end_of_text_id()}}, {"tokens", {end}}}}}}};
  out["decoder"] = byte_level(false);
  out["model"] = {{"type", "BPE"},
                  {"dropout", nullptr},
                  {"unk_token", nullptr},
                  {"continuing_subword_prefix", ""},
                  {"end_of_word_suffix", ""},
                  {"fuse_unk", false},
                  {"byte_fallback", false},
                  {"vocab", vocabulary(bpe)},
                  {"merges", merge_lines(bpe)}};
  return out;
}

Json tokenizer_config(int32_t n_context) {
  const std::string end(end_of_text);
  return {{"tokenizer_class", "GPT2Tokenizer"},
          {"add_bos_token", true},
          {"add_prefix_space", false},
          {"bos_token", end},
          {"eos_token", end},
          {"unk_token", end},
          {"clean_up_tokenization_spaces", false},
          {"model_max_length", n_context}};
}

}  // namespace

Result<void> write_file(const std::filesystem::path& path, std::string_view bytes) {
  std::error_code failed;
  std::filesystem::create_directories(path.parent_path(), failed);
  std::ofstream file(path, std::ios::binary | std::ios::trunc);
  file.write(bytes.data(), static_cast<std::streamsize>(bytes.size()));
  file.close();
  if (!file) return make_error(ErrorCode::io, path.string() + ": cannot write it; is the folder writable?");
  return {};
}

Result<void> write_weights(const std::filesystem::path& folder, const std::vector<NamedTensor>& weights,
                           WeightType type) {
  return write_file(folder / "model.safetensors", safetensors(weights, type));
}

Result<void> write_model(const std::filesystem::path& folder, const Gpt2Shape& shape,
                         const std::vector<NamedTensor>& weights) {
  SACCADE_CHECK(write_file(folder / "config.json", config(shape).dump(2) + "\n"));
  return write_weights(folder, weights, WeightType::float32);
}

Result<void> write_model(const std::filesystem::path& folder, const LlamaShape& shape,
                         const std::vector<NamedTensor>& weights) {
  SACCADE_CHECK(write_file(folder / "config.json", llama_config(shape, shape.n_vocab - 1).dump(2) + "\n"));
  return write_weights(folder, weights, WeightType::bfloat16);
}

Result<void> write_tokenizer(const std::filesystem::path& folder, const WordBpe& bpe, int32_t n_context,
                             const std::vector<std::string>& more_special) {
  std::string merges = "#version: 0.2\n";
  for (const auto& line : merge_lines(bpe)) merges += line + "\n";
  SACCADE_CHECK(write_file(folder / "merges.txt", merges));
  SACCADE_CHECK(write_file(folder / "vocab.json", vocabulary(bpe).dump() + "\n"));
  SACCADE_CHECK(write_file(folder / "tokenizer.json", tokenizer(bpe, more_special).dump(1) + "\n"));
  return write_file(folder / "tokenizer_config.json", tokenizer_config(n_context).dump(2) + "\n");
}

}  // namespace saccade
