#include "core/model/weight_map.h"

#include <fmt/format.h>
#include <fnmatch.h>

#include <algorithm>
#include <array>
#include <cstring>

namespace saccade {

// In the order of the enum.
const char* to_string(Slot slot) {
  static constexpr std::array names{"token embedding",
                                    "position embedding",
                                    "token type embedding",
                                    "embedding norm weight",
                                    "embedding norm bias",
                                    "embedding projection",
                                    "output projection",
                                    "final norm weight",
                                    "final norm bias",
                                    "prediction head weight",
                                    "prediction head bias",
                                    "prediction head norm weight",
                                    "prediction head norm bias",
                                    "unembedding",
                                    "unembedding bias",
                                    "first norm weight",
                                    "first norm bias",
                                    "second norm weight",
                                    "second norm bias",
                                    "norm weight of the attention output",
                                    "norm weight of the MLP output",
                                    "q norm weight",
                                    "k norm weight",
                                    "q norm bias",
                                    "k norm bias",
                                    "fused q, k, v weight",
                                    "fused q, k, v bias",
                                    "q weight",
                                    "q bias",
                                    "k weight",
                                    "k bias",
                                    "v weight",
                                    "v bias",
                                    "attention output weight",
                                    "attention output bias",
                                    "MLP input weight",
                                    "MLP input bias",
                                    "MLP gate weight",
                                    "MLP gate bias",
                                    "MLP output weight",
                                    "MLP output bias",
                                    "MLP product bias",
                                    "expert router",
                                    "expert input weight",
                                    "expert gate weight",
                                    "expert output weight",
                                    "shared expert input weight",
                                    "shared expert gate weight",
                                    "shared expert output weight",
                                    "shared expert router",
                                    "patch embedding weight",
                                    "patch embedding bias",
                                    "CLS token",
                                    "distillation token",
                                    "register tokens",
                                    "layer scale of the attention output",
                                    "layer scale of the MLP output",
                                    "weight of the distillation head",
                                    "bias of the distillation head",
                                    "pooling probe",
                                    "pooling q, k, v weight",
                                    "pooling q, k, v bias",
                                    "pooling output weight",
                                    "pooling output bias",
                                    "pooling norm weight",
                                    "pooling norm bias",
                                    "pooling MLP input weight",
                                    "pooling MLP input bias",
                                    "pooling MLP output weight",
                                    "pooling MLP output bias",
                                    "projector input weight",
                                    "projector input bias",
                                    "projector output weight",
                                    "projector output bias",
                                    "image newline",
                                    "similarity scale",
                                    "similarity bias"};
  static_assert(names.size() == static_cast<size_t>(Slot::similarity_bias) + 1);
  return names[static_cast<size_t>(slot)];
}

namespace {

std::string with_number(std::string text, const char* mark, int32_t number) {
  if (const size_t at = text.find(mark); at != std::string::npos) text.replace(at, 3, std::to_string(number));
  return text;
}

}  // namespace

std::string name_at(const std::string& name, int32_t layer, int32_t part) {
  return with_number(with_number(name, "{l}", layer), "{p}", part);
}

namespace {

bool is_per_layer(const WeightRule& rule) { return rule.name.find("{l}") != std::string::npos; }
bool is_floating(DType dtype) {
  return dtype == DType::f32 || dtype == DType::f16 || dtype == DType::bf16 || is_quantised(dtype);
}

std::string without_base(const std::string& name) {
  for (const char* base : {"model.", "transformer.", "gpt_neox.", "bert.", "roberta.", "distilbert."})
    if (name.starts_with(base)) return name.substr(std::strlen(base));
  return name;
}

std::string as_in_first_berts(std::string name) {
  for (const auto& [now, then] :
       {std::pair("LayerNorm.weight", "LayerNorm.gamma"), std::pair("LayerNorm.bias", "LayerNorm.beta")})
    if (name.ends_with(now)) return name.replace(name.size() - std::strlen(now), std::string::npos, then);
  return name;
}

const TensorView* find_with_prefix(const Checkpoint& checkpoint, const std::vector<std::string>& prefixes,
                                   const std::string& name) {
  for (const std::string& spelling : {name, as_in_first_berts(name)}) {
    for (const std::string& prefix : prefixes)
      if (const TensorView* tensor = checkpoint.find(prefix + spelling)) return tensor;
    if (const TensorView* tensor = checkpoint.find(without_base(spelling))) return tensor;
  }
  return nullptr;
}

const std::vector<int64_t>& stored_shape(const WeightRule& rule) {
  return rule.stored_shape.empty() ? rule.shape : rule.stored_shape;
}

Error missing(const std::string& name, const WeightRule& rule, const std::vector<std::string>& prefixes) {
  std::string also;
  for (const std::string& prefix : prefixes)
    if (!prefix.empty()) also += fmt::format(", also as '{}{}'", prefix, name);
  return make_error(ErrorCode::not_found,
                    fmt::format("tensor '{}' ({}) is missing: expected shape [{}]{}", name,
                                to_string(rule.slot), fmt::join(stored_shape(rule), ", "), also));
}

Result<void> check(const TensorView& tensor, const WeightRule& rule) {
  if (!is_floating(tensor.dtype))
    return make_error(ErrorCode::unsupported,
                      fmt::format("tensor '{}' ({}): expected float32, float16 or bfloat16, found {}",
                                  tensor.name, to_string(rule.slot), to_string(tensor.dtype)));
  if (tensor.shape != stored_shape(rule))
    return make_error(ErrorCode::bad_format,
                      fmt::format("tensor '{}' ({}): expected shape [{}] from config.json, found [{}]",
                                  tensor.name, to_string(rule.slot), fmt::join(stored_shape(rule), ", "),
                                  fmt::join(tensor.shape, ", ")));
  return {};
}

// The rule's rows of the tensor, as a view of their own.
TensorView slice_of(const TensorView& tensor, const WeightRule& rule, int32_t part) {
  TensorView slice = tensor;
  slice.shape = rule.shape;
  const int64_t columns = rule.shape.size() > 1 ? rule.shape.back() : 1;
  const int64_t first = (rule.first_row + part * rule.part_rows) * columns;
  slice.data += bytes_of(tensor.dtype, first);
  return slice;
}

bool applies_to(const WeightRule& rule, int32_t layer) {
  return rule.layers.empty() || std::find(rule.layers.begin(), rule.layers.end(), layer) != rule.layers.end();
}

}  // namespace

Result<void> WeightMap::bind_rule(const Checkpoint& checkpoint, const ModelSpec& spec, const WeightRule& rule,
                                  const std::vector<std::string>& prefixes, int32_t layer,
                                  std::set<std::string>& used) {
  for (int32_t part = 0; part < rule.parts; ++part) {
    const std::string name = name_at(rule.name, layer, part);
    const TensorView* tensor = find_with_prefix(checkpoint, prefixes, name);
    if (!tensor && !rule.or_name.empty()) tensor = checkpoint.find(name_at(rule.or_name, layer, part));
    if (!tensor) {
      if (!rule.required) return {};
      return missing(name, rule, prefixes);
    }
    SACCADE_CHECK(check(*tensor, rule));
    used.insert(tensor->name);
    if (!rule.stored_shape.empty()) {
      slices_.push_back(std::make_shared<const TensorView>(slice_of(*tensor, rule, part)));
      tensor = slices_.back().get();
    }
    weights_[{layer, rule.slot, part}] = {tensor, rule.layout};
    if (rule.slot != Slot::unembed || !spec.tied_unembedding) parameters_ += tensor->elements();
  }
  return {};
}

Result<WeightMap> WeightMap::bind(const Checkpoint& checkpoint, const ModelSpec& spec,
                                  const std::vector<WeightRule>& rules,
                                  const std::vector<std::string>& prefixes,
                                  const std::vector<std::string>& ignorable) {
  WeightMap map;
  std::set<std::string> used;
  for (const WeightRule& rule : rules)
    if (!rule.part_of.empty()) map.lacking_.insert(rule.part_of);
  for (const WeightRule& rule : rules)
    if (!rule.part_of.empty() && find_with_prefix(checkpoint, prefixes, rule.name))
      map.lacking_.erase(rule.part_of);
  for (const WeightRule& rule : rules) {
    if (map.lacking_.contains(rule.part_of)) continue;
    const bool per_layer = is_per_layer(rule);
    for (int32_t l = per_layer ? 0 : -1; l < (per_layer ? spec.n_layer : 0); ++l)
      if (applies_to(rule, l)) SACCADE_CHECK(map.bind_rule(checkpoint, spec, rule, prefixes, l, used));
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

Weight WeightMap::get(Slot slot, int32_t layer, int32_t part) const {
  const auto found = weights_.find({layer, slot, part});
  return found == weights_.end() ? Weight{} : found->second;
}

int32_t WeightMap::parts(Slot slot, int32_t layer) const {
  int32_t parts = 0;
  while (weights_.contains({layer, slot, parts})) ++parts;
  return parts;
}

}  // namespace saccade
