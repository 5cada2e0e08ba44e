#include "core/model/weight_map.h"

#include <fmt/format.h>
#include <fnmatch.h>

#include <algorithm>
#include <set>

namespace saccade {

const char* to_string(Slot slot) {
  switch (slot) {
    case Slot::embed:
      return "token embedding";
    case Slot::pos_embed:
      return "position embedding";
    case Slot::final_norm_weight:
      return "final norm weight";
    case Slot::final_norm_bias:
      return "final norm bias";
    case Slot::unembed:
      return "unembedding";
    case Slot::norm1_weight:
      return "first norm weight";
    case Slot::norm1_bias:
      return "first norm bias";
    case Slot::norm2_weight:
      return "second norm weight";
    case Slot::norm2_bias:
      return "second norm bias";
    case Slot::qkv_weight:
      return "fused q, k, v weight";
    case Slot::qkv_bias:
      return "fused q, k, v bias";
    case Slot::q_weight:
      return "q weight";
    case Slot::q_bias:
      return "q bias";
    case Slot::k_weight:
      return "k weight";
    case Slot::k_bias:
      return "k bias";
    case Slot::v_weight:
      return "v weight";
    case Slot::v_bias:
      return "v bias";
    case Slot::o_weight:
      return "attention output weight";
    case Slot::o_bias:
      return "attention output bias";
    case Slot::mlp_in_weight:
      return "MLP input weight";
    case Slot::mlp_in_bias:
      return "MLP input bias";
    case Slot::mlp_gate_weight:
      return "MLP gate weight";
    case Slot::mlp_gate_bias:
      return "MLP gate bias";
    case Slot::mlp_out_weight:
      return "MLP output weight";
    case Slot::mlp_out_bias:
      return "MLP output bias";
  }
  return "";
}

namespace {

std::string for_layer(const std::string& name, int32_t layer) {
  std::string text = name;
  if (const size_t at = text.find("{l}"); at != std::string::npos) text.replace(at, 3, std::to_string(layer));
  return text;
}

bool is_per_layer(const WeightRule& rule) { return rule.name.find("{l}") != std::string::npos; }
bool is_floating(DType dtype) { return dtype == DType::f32 || dtype == DType::f16 || dtype == DType::bf16; }

const TensorView* find_with_prefix(const Checkpoint& checkpoint, const std::vector<std::string>& prefixes,
                                   const std::string& name) {
  for (const std::string& prefix : prefixes)
    if (const TensorView* tensor = checkpoint.find(prefix + name)) return tensor;
  return nullptr;
}

Error missing(const std::string& name, const WeightRule& rule, const std::vector<std::string>& prefixes) {
  std::string also;
  for (const std::string& prefix : prefixes)
    if (!prefix.empty()) also += fmt::format(", also as '{}{}'", prefix, name);
  return make_error(ErrorCode::not_found,
                    fmt::format("tensor '{}' ({}) is missing: expected shape [{}]{}", name,
                                to_string(rule.slot), fmt::join(rule.shape, ", "), also));
}

Result<void> check(const TensorView& tensor, const WeightRule& rule) {
  if (!is_floating(tensor.dtype))
    return make_error(ErrorCode::unsupported,
                      fmt::format("tensor '{}' ({}): expected float32, float16 or bfloat16, found {}",
                                  tensor.name, to_string(rule.slot), to_string(tensor.dtype)));
  if (tensor.shape != rule.shape)
    return make_error(
        ErrorCode::bad_format,
        fmt::format("tensor '{}' ({}): expected shape [{}] from config.json, found [{}]", tensor.name,
                    to_string(rule.slot), fmt::join(rule.shape, ", "), fmt::join(tensor.shape, ", ")));
  return {};
}

}  // namespace

Result<WeightMap> WeightMap::bind(const Checkpoint& checkpoint, const ModelSpec& spec,
                                  const std::vector<WeightRule>& rules,
                                  const std::vector<std::string>& prefixes,
                                  const std::vector<std::string>& ignorable) {
  WeightMap map;
  std::set<std::string> used;
  for (const WeightRule& rule : rules) {
    const bool per_layer = is_per_layer(rule);
    for (int32_t l = per_layer ? 0 : -1; l < (per_layer ? spec.n_layer : 0); ++l) {
      const std::string name = for_layer(rule.name, l);
      const TensorView* tensor = find_with_prefix(checkpoint, prefixes, name);
      if (!tensor && !rule.or_name.empty()) tensor = checkpoint.find(rule.or_name);
      if (!tensor) {
        if (!rule.required) continue;
        return missing(name, rule, prefixes);
      }
      SACCADE_CHECK(check(*tensor, rule));
      used.insert(tensor->name);
      map.weights_[{l, rule.slot}] = {tensor, rule.layout};
      if (rule.slot != Slot::unembed || !spec.tied_unembedding) map.parameters_ += tensor->elements();
    }
  }
  for (const auto& entry : checkpoint.tensors()) {
    const std::string& name = entry.first;
    const bool known =
        used.contains(name) || std::any_of(ignorable.begin(), ignorable.end(), [&](const std::string& p) {
          return ::fnmatch(p.c_str(), name.c_str(), 0) == 0;
        });
    if (!known) map.unused_.push_back(name);
  }
  return map;
}

Weight WeightMap::get(Slot slot, int32_t layer) const {
  const auto found = weights_.find({layer, slot});
  return found == weights_.end() ? Weight{} : found->second;
}

}  // namespace saccade
