// A model family: how its config.json becomes a ModelSpec and its checkpoint a WeightMap. One file each in
// core/model/families, one line in families.cpp's table.
#pragma once

#include <nlohmann/json.hpp>
#include <span>
#include <string_view>
#include <vector>

#include "core/model/model_spec.h"
#include "core/model/weight_map.h"

namespace saccade {

// The vision tower of a decoder: a family of its own, its part of the config, and what stands before its
// tensors' names.
struct TowerConfig {
  std::string_view family;
  nlohmann::json config;
  std::vector<std::string> prefixes;
};

struct Family {
  std::string_view name;
  std::vector<std::string_view> model_types;  // values of config.json's model_type it reads
  Result<ModelSpec> (*read_config)(const nlohmann::json& config);
  std::vector<WeightRule> (*weight_rules)(const ModelSpec& spec);
  std::vector<std::string> prefixes;   // tried before every tensor name
  std::vector<std::string> ignorable;  // wildcard patterns of tensors that carry no weights
  Result<TowerConfig> (*tower)(const nlohmann::json& config) = nullptr;
};

[[nodiscard]] std::span<const Family> families();
// Null when no family reads that model_type.
[[nodiscard]] const Family* find_family(std::string_view model_type);

}  // namespace saccade
