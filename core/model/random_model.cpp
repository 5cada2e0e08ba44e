// make_random_model: checkpoints of known shapes with random weights, streamed to disk.
#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <cstdio>
#include <cstring>
#include <nlohmann/json.hpp>
#include <random>
#include <system_error>

#include "core/model/family.h"
#include "core/model/model.h"

namespace saccade {
namespace {

using Json = nlohmann::ordered_json;

Json gpt2_config(int layers, int heads, int d_model, int vocab, int context) {
  return {{"architectures", {"GPT2LMHeadModel"}},
          {"model_type", "gpt2"},
          {"n_layer", layers},
          {"n_head", heads},
          {"n_embd", d_model},
          {"n_positions", context},
          {"vocab_size", vocab},
          {"activation_function", "gelu_new"},
          {"layer_norm_epsilon", 1e-5},
          {"tie_word_embeddings", true},
          {"torch_dtype", "float32"}};
}

struct LlamaShape {
  int layers, heads, kv_heads, d_model, d_mlp, vocab, context;
};
Json llama_config(const LlamaShape& s, const char* dtype) {
  return {{"architectures", {"LlamaForCausalLM"}},
          {"model_type", "llama"},
          {"num_hidden_layers", s.layers},
          {"num_attention_heads", s.heads},
          {"num_key_value_heads", s.kv_heads},
          {"hidden_size", s.d_model},
          {"intermediate_size", s.d_mlp},
          {"vocab_size", s.vocab},
          {"max_position_embeddings", s.context},
          {"rms_norm_eps", 1e-5},
          {"rope_theta", 500000.0},
          {"rope_scaling",
           {{"rope_type", "llama3"},
            {"factor", 32.0},
            {"low_freq_factor", 1.0},
            {"high_freq_factor", 4.0},
            {"original_max_position_embeddings", 8192}}},
          {"hidden_act", "silu"},
          {"tie_word_embeddings", true},
          {"attention_bias", false},
          {"mlp_bias", false},
          {"torch_dtype", dtype}};
}

// A small Llama behind a CLIP tower that makes 24 x 24 patches of a picture.
Json llava_config(int positions) {
  Json text = llama_config({8, 8, 8, 512, 1376, 1024, positions}, "float32");
  text.erase("torch_dtype");
  text["tie_word_embeddings"] = false;
  return {{"architectures", {"LlavaForConditionalGeneration"}},
          {"model_type", "llava"},
          {"image_token_index", 300},
          {"projector_hidden_act", "gelu"},
          {"vision_feature_layer", -2},
          {"vision_feature_select_strategy", "default"},
          {"tie_word_embeddings", false},
          {"text_config", std::move(text)},
          {"vision_config",
           {{"model_type", "clip_vision_model"},
            {"hidden_size", 256},
            {"intermediate_size", 1024},
            {"num_attention_heads", 4},
            {"num_hidden_layers", 4},
            {"image_size", 336},
            {"patch_size", 14},
            {"projection_dim", 256}}},
          {"torch_dtype", "float32"}};
}

// "gpt2-small", or "gpt2-small@4096" for another number of positions.
Result<Json> config_of(const std::string& shape) {
  const size_t at = shape.find('@');
  const std::string name = shape.substr(0, at);
  int context = 0;
  if (at != std::string::npos) {
    const char* end = shape.data() + shape.size();
    const auto [stop, code] = std::from_chars(shape.data() + at + 1, end, context);
    if (code != std::errc() || stop != end || context < 1 || context > 1 << 20)
      return make_error(ErrorCode::invalid_argument,
                        fmt::format("{}: expected SHAPE@POSITIONS with 1 to {} positions", shape, 1 << 20));
  }
  const auto positions = [&](int usual) { return context > 0 ? context : usual; };
  if (name == "gpt2-small") return gpt2_config(12, 12, 768, 50257, positions(1024));
  if (name == "gpt2-tiny") return gpt2_config(2, 4, 64, 512, positions(256));
  if (name == "llama-tiny") return llama_config({2, 8, 2, 128, 344, 512, positions(512)}, "float32");
  if (name == "llama-1b") return llama_config({16, 32, 8, 2048, 8192, 128256, positions(131072)}, "bfloat16");
  if (name == "llama-7b") return llama_config({32, 32, 32, 4096, 11008, 32000, positions(4096)}, "bfloat16");
  if (name == "llava-small") return llava_config(positions(2048));
  return make_error(
      ErrorCode::invalid_argument,
      fmt::format("no shape is called '{}'; there are gpt2-small, gpt2-tiny, llama-tiny, llama-1b, llama-7b "
                  "and llava-small, each also as SHAPE@POSITIONS",
                  name));
}

struct Planned {
  std::string name;
  std::vector<int64_t> shape;
  enum class Kind { matrix, norm, bias } kind;
  [[nodiscard]] int64_t elements() const {
    int64_t count = 1;
    for (const int64_t extent : shape) count *= extent;
    return count;
  }
};

Planned::Kind kind_of(const WeightRule& rule) {
  if (rule.name.ends_with(".bias")) return Planned::Kind::bias;
  return rule.shape.size() == 1 ? Planned::Kind::norm : Planned::Kind::matrix;
}

std::vector<Planned> plan_tensors(const Family& family, const ModelSpec& spec) {
  std::vector<Planned> tensors;
  for (const WeightRule& rule : family.weight_rules(spec)) {
    if (!rule.required) continue;
    const size_t mark = rule.name.find("{l}");
    for (int32_t l = 0; l < (mark == std::string::npos ? 1 : spec.n_layer); ++l) {
      std::string name = rule.name;
      if (mark != std::string::npos) name.replace(mark, 3, std::to_string(l));
      tensors.push_back({std::move(name), rule.shape, kind_of(rule)});
    }
  }
  return tensors;
}

// Those of a decoder's vision tower, under the name that its family puts before them.
Result<std::vector<Planned>> plan_tower(const Family& family, const nlohmann::json& config) {
  std::vector<Planned> tensors;
  if (family.tower == nullptr) return tensors;
  SACCADE_TRY(const TowerConfig tower, family.tower(config));
  const auto found = std::find_if(families().begin(), families().end(),
                                  [&](const Family& one) { return one.name == tower.family; });
  SACCADE_TRY(const ModelSpec spec, found->read_config(tower.config));
  tensors = plan_tensors(*found, spec);
  for (Planned& tensor : tensors) tensor.name = tower.prefixes.front() + tensor.name;
  return tensors;
}

uint16_t to_bf16(float value) {
  uint32_t bits = 0;
  std::memcpy(&bits, &value, sizeof bits);
  return static_cast<uint16_t>((bits + 0x7fff + ((bits >> 16) & 1)) >> 16);
}

// Normal by the sum of four uniforms: fast, seeded, the same everywhere.
class Normal {
 public:
  explicit Normal(uint64_t seed) : random_(seed) {}
  float operator()() {
    const uint64_t bits = random_();
    int64_t sum = 0;
    for (int i = 0; i < 4; ++i) sum += static_cast<int64_t>((bits >> (16 * i)) & 0xffff);
    return static_cast<float>(static_cast<double>(sum - 2 * 0xffff) / 65536.0 * 1.7320508075688772);
  }

 private:
  std::mt19937_64 random_;
};

using File = std::unique_ptr<std::FILE, int (*)(std::FILE*)>;

Result<void> write_tensors(const std::filesystem::path& path, const std::vector<Planned>& tensors, bool bf16,
                           uint64_t seed, const JobContext& job) {
  const int64_t width = bf16 ? 2 : 4;
  Json header = Json::object();
  int64_t at = 0, total = 0;
  for (const Planned& tensor : tensors) {
    const int64_t bytes = tensor.elements() * width;
    header[tensor.name] = {
        {"dtype", bf16 ? "BF16" : "F32"}, {"shape", tensor.shape}, {"data_offsets", {at, at + bytes}}};
    at += bytes;
  }
  total = at;
  std::string text = header.dump();
  text.resize((text.size() + 63) / 64 * 64 + 56, ' ');  // the data then begin at a multiple of 64
  const uint64_t length = text.size();
  const File file(std::fopen(path.c_str(), "wb"), &std::fclose);
  const auto failed = [&] {
    return make_error(ErrorCode::io, fmt::format("{}: cannot write to it: {}", path.string(),
                                                 std::generic_category().message(errno)));
  };
  if (!file) return failed();
  if (std::fwrite(&length, sizeof length, 1, file.get()) != 1 ||
      std::fwrite(text.data(), 1, text.size(), file.get()) != text.size())
    return failed();
  Normal normal(seed);
  std::vector<float> block;
  std::vector<uint16_t> narrow;
  int64_t done = 0;
  for (const Planned& tensor : tensors)
    for (int64_t left = tensor.elements(); left > 0;) {
      SACCADE_CHECK(job.check());
      const int64_t count = std::min<int64_t>(left, 1 << 18);
      block.resize(static_cast<size_t>(count));
      for (float& value : block)
        value = tensor.kind == Planned::Kind::norm ? 1.0f + 0.05f * normal() : 0.02f * normal();
      narrow.clear();
      if (bf16)
        for (const float value : block) narrow.push_back(to_bf16(value));
      const void* data = bf16 ? static_cast<const void*>(narrow.data()) : block.data();
      if (std::fwrite(data, static_cast<size_t>(width), block.size(), file.get()) != block.size())
        return failed();
      left -= count;
      done += count * width;
      job.progress(static_cast<double>(done) / static_cast<double>(total), tensor.name);
    }
  if (std::fflush(file.get()) != 0) return failed();
  return {};
}

// GPT-2's byte letters: printable bytes stand for themselves, the others for code points from 256 on.
std::string byte_letter(int byte) {
  const auto printable = [](int b) { return (b >= 33 && b <= 126) || (b >= 161 && b <= 172) || b >= 174; };
  int code = byte;
  if (!printable(byte)) {
    code = 256;
    for (int b = 0; b < byte; ++b) code += printable(b) ? 0 : 1;
  }
  if (code < 0x80) return {static_cast<char>(code)};
  return {static_cast<char>(0xc0 | (code >> 6)), static_cast<char>(0x80 | (code & 0x3f))};
}

// Any text tokenizes: one token per byte, the rest of the vocabulary is filled up.
Result<void> write_tokenizer(const std::filesystem::path& folder, int32_t n_vocab) {
  Json vocabulary = Json::object();
  for (int byte = 0; byte < 256; ++byte) vocabulary[byte_letter(byte)] = byte;
  for (int32_t id = 256; id < n_vocab; ++id) vocabulary[fmt::format("<{}>", id)] = id;
  SACCADE_CHECK(write_text_file(folder / "vocab.json", vocabulary.dump()));
  return write_text_file(folder / "merges.txt", "#version: 0.2\n");
}

// What pictures of llava-small go through.
Json tower_processor() {
  return {{"image_processor_type", "CLIPImageProcessor"},
          {"size", {{"shortest_edge", 336}}},
          {"crop_size", {{"height", 336}, {"width", 336}}}};
}

// Somebody's checkpoint must not be written over.
Result<void> check_free(const std::filesystem::path& folder) {
  std::error_code ignored;
  for (const char* name :
       {"config.json", "model.safetensors", "model.safetensors.index.json", "tokenizer.json"})
    if (std::filesystem::exists(folder / name, ignored))
      return make_error(ErrorCode::invalid_argument,
                        fmt::format("{}: expected a new or empty folder, found {} in it; choose another or "
                                    "remove it first",
                                    folder.string(), name));
  return {};
}

}  // namespace

Result<void> make_random_model(const std::string& shape, const std::filesystem::path& folder, uint64_t seed,
                               const JobContext& job) {
  SACCADE_TRY(const Json config, config_of(shape));
  SACCADE_CHECK(check_free(folder));
  std::error_code failed;
  std::filesystem::create_directories(folder, failed);
  if (failed)
    return make_error(ErrorCode::io,
                      fmt::format("{}: cannot make this folder: {}", folder.string(), failed.message()));
  const Family* family = find_family(config["model_type"].get<std::string>());
  SACCADE_TRY(const ModelSpec spec, family->read_config(nlohmann::json(config)));
  std::vector<Planned> tensors = plan_tensors(*family, spec);
  SACCADE_TRY(std::vector<Planned> tower, plan_tower(*family, nlohmann::json(config)));
  tensors.insert(tensors.end(), tower.begin(), tower.end());
  if (!tower.empty())
    SACCADE_CHECK(write_text_file(folder / "preprocessor_config.json", tower_processor().dump(1) + "\n"));
  const bool bf16 = config["torch_dtype"] == "bfloat16";
  SACCADE_CHECK(write_tokenizer(folder, spec.n_vocab));
  SACCADE_CHECK(write_atomically(folder / "model.safetensors", [&](const std::filesystem::path& path) {
    return write_tensors(path, tensors, bf16, seed, job);
  }));
  return write_text_file(folder / "config.json", config.dump(1) + "\n");
}

}  // namespace saccade
