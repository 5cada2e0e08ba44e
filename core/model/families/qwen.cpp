// Qwen 2 (Yang et al. 2024, arXiv 2407.10671: biases on q, k, v), Qwen 3 (arXiv 2505.09388: normalised q and
// k) and their mixtures of experts.
#include "core/model/families/common.h"

namespace saccade {
namespace {

// Windows only where use_sliding_window says so, from layer max_window_layers on.
Result<void> read_qwen_windows(const ConfigReader& config, ModelSpec& spec, int32_t first_default) {
  SACCADE_TRY(const bool slides, config.flag("use_sliding_window", false));
  if (!slides) return {};
  SACCADE_TRY(const double first, config.number("max_window_layers", first_default));
  SACCADE_TRY(const std::vector<bool> sliding,
              read_sliding_layers(config, spec.n_layer, [&](int32_t l) { return l >= first; }));
  SACCADE_TRY(spec.windows, read_windows(config, sliding));
  return {};
}

// Layers without experts: those listed, and all but every decoder_sparse_step-th.
Result<void> read_experts(const ConfigReader& config, ModelSpec& spec, int32_t n_used) {
  ExpertSpec& experts = spec.experts;
  SACCADE_TRY(experts.n_expert, config.count({"num_experts", "num_local_experts"}, 0, 100000));
  SACCADE_TRY(experts.n_used, config.count({"num_experts_per_tok"}, n_used, experts.n_expert));
  SACCADE_TRY(experts.d_mlp, config.count({"moe_intermediate_size"}));
  SACCADE_TRY(experts.normalise_weights, config.flag("norm_topk_prob", false));
  SACCADE_TRY(const int32_t step, config.count({"decoder_sparse_step"}, 1));
  SACCADE_TRY(const std::vector<int32_t> listed, config.ids("mlp_only_layers"));
  for (int32_t l = 0; l < spec.n_layer; ++l)
    if ((l + 1) % step != 0 || std::find(listed.begin(), listed.end(), l) != listed.end())
      spec.dense_layers.push_back(l);
  return {};
}

DecoderDefaults defaults_of(const char* family) {
  DecoderDefaults defaults{family};
  defaults.n_context = 32768;
  return defaults;
}

Result<ModelSpec> read_qwen2(const nlohmann::json& json) {
  const ConfigReader config(json);
  SACCADE_TRY(ModelSpec spec, read_decoder(config, defaults_of("qwen2")));
  spec.qkv_bias = true;
  spec.attention_out_bias = false;
  SACCADE_CHECK(read_qwen_windows(config, spec, 28));
  return spec;
}

Result<ModelSpec> read_qwen2_moe(const nlohmann::json& json) {
  const ConfigReader config(json);
  SACCADE_TRY(ModelSpec spec, read_decoder(config, defaults_of("qwen2_moe")));
  SACCADE_TRY(spec.qkv_bias, config.flag("qkv_bias", true));
  spec.attention_out_bias = false;
  SACCADE_CHECK(read_qwen_windows(config, spec, 28));
  SACCADE_CHECK(read_experts(config, spec, 4));
  SACCADE_TRY(spec.experts.d_shared, config.count({"shared_expert_intermediate_size"}));
  return spec;
}

Result<ModelSpec> read_qwen3(const nlohmann::json& json) {
  const ConfigReader config(json);
  nlohmann::json with_head = json;
  if (!config.has("head_dim")) with_head["head_dim"] = 128;
  const ConfigReader full(with_head);
  SACCADE_TRY(ModelSpec spec, read_decoder(full, defaults_of("qwen3")));
  spec.qk_norm = QkNorm::per_head;
  SACCADE_CHECK(read_qwen_windows(config, spec, 28));
  return spec;
}

Result<ModelSpec> read_qwen3_moe(const nlohmann::json& json) {
  const ConfigReader config(json);
  SACCADE_TRY(ModelSpec spec, read_decoder(config, defaults_of("qwen3_moe")));
  spec.qk_norm = QkNorm::per_head;
  SACCADE_CHECK(read_qwen_windows(config, spec, 0));
  SACCADE_CHECK(read_experts(config, spec, 8));
  return spec;
}

void add_qk_norms(RuleTable& table, const ModelSpec& spec) {
  if (spec.qk_norm == QkNorm::none) return;
  table.vector(Slot::q_norm_weight, "model.layers.{l}.self_attn.q_norm.weight", spec.d_head)
      .vector(Slot::k_norm_weight, "model.layers.{l}.self_attn.k_norm.weight", spec.d_head);
}

std::vector<WeightRule> dense_rules(const ModelSpec& spec) {
  RuleTable table = llama_rules(spec);
  add_qk_norms(table, spec);
  return table.rules();
}

std::vector<WeightRule> expert_rules(const ModelSpec& spec) {
  RuleTable table = llama_rules(spec);
  add_qk_norms(table, spec);
  const std::string mlp = "model.layers.{l}.mlp.";
  const std::string expert = mlp + "experts.{p}.";
  table.experts(mlp + "gate", expert + "up_proj", expert + "gate_proj", expert + "down_proj");
  if (spec.experts.d_shared == 0) return table.rules();
  const size_t first = table.rules().size();
  const int64_t d = spec.d_model, m = spec.experts.d_shared;
  table.linear(Slot::shared_in, mlp + "shared_expert.up_proj", d, m, false)
      .linear(Slot::shared_gate, mlp + "shared_expert.gate_proj", d, m, false)
      .linear(Slot::shared_out, mlp + "shared_expert.down_proj", m, d, false)
      .linear(Slot::shared_router, mlp + "shared_expert_gate", d, 1, false);
  std::vector<WeightRule> rules = table.rules();
  std::vector<int32_t> layers;
  for (int32_t l = 0; l < spec.n_layer; ++l)
    if (spec.has_experts(l)) layers.push_back(l);
  for (size_t i = first; i < rules.size(); ++i) rules[i].layers = layers;
  return rules;
}

// Mixtral (Jiang et al. 2024, arXiv 2401.04088): Mistral with eight experts, two of them used.
Result<ModelSpec> read_mixtral(const nlohmann::json& json) {
  const ConfigReader config(json);
  DecoderDefaults defaults{"mixtral"};
  defaults.norm_epsilon = 1e-5;
  defaults.n_context = 131072;
  defaults.rotary.base = 1000000.0;
  SACCADE_TRY(ModelSpec spec, read_decoder(config, defaults));
  SACCADE_TRY(spec.windows, read_windows(config, std::vector<bool>(static_cast<size_t>(spec.n_layer), true)));
  SACCADE_TRY(spec.experts.n_expert, config.count({"num_local_experts", "num_experts"}, 8, 100000));
  SACCADE_TRY(spec.experts.n_used, config.count({"num_experts_per_tok"}, 2, spec.experts.n_expert));
  spec.experts.d_mlp = spec.d_mlp;
  spec.experts.normalise_weights = true;
  return spec;
}

std::vector<WeightRule> mixtral_rules(const ModelSpec& spec) {
  RuleTable table = llama_rules(spec);
  const std::string block = "model.layers.{l}.block_sparse_moe.";
  const std::string expert = block + "experts.{p}.";
  table.experts(block + "gate", expert + "w3", expert + "w1", expert + "w2");
  return table.rules();
}

}  // namespace

Family qwen2_family() { return {"qwen2", {"qwen2"}, read_qwen2, dense_rules, {""}, {}}; }
Family qwen2_moe_family() { return {"qwen2_moe", {"qwen2_moe"}, read_qwen2_moe, expert_rules, {""}, {}}; }
Family qwen3_family() { return {"qwen3", {"qwen3"}, read_qwen3, dense_rules, {""}, {}}; }
Family qwen3_moe_family() { return {"qwen3_moe", {"qwen3_moe"}, read_qwen3_moe, expert_rules, {""}, {}}; }
Family mixtral_family() { return {"mixtral", {"mixtral"}, read_mixtral, mixtral_rules, {""}, {}}; }

}  // namespace saccade
