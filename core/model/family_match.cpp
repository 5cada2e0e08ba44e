#include "core/model/family_match.h"

#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <optional>

#include "core/model/config_reader.h"

namespace saccade {
namespace {

Result<FamilyMatch> read_as(const Family& family, const nlohmann::json& config,
                            const Checkpoint& checkpoint) {
  FamilyMatch match;
  SACCADE_TRY(match.spec, family.read_config(config));
  SACCADE_TRY(match.weights, WeightMap::bind(checkpoint, match.spec, family.weight_rules(match.spec),
                                             family.prefixes, family.ignorable));
  return match;
}

// How many of a family's tensors of the first layer and outside the layers are there, as a share of its
// rules.
double likeness(const Family& family, const nlohmann::json& config, const Checkpoint& checkpoint) {
  const auto spec = family.read_config(config);
  if (!spec.ok()) return 0.0;
  const std::vector<WeightRule> rules = family.weight_rules(*spec);
  const auto there = std::count_if(rules.begin(), rules.end(), [&](const WeightRule& rule) {
    return std::any_of(family.prefixes.begin(), family.prefixes.end(), [&](const std::string& prefix) {
      return checkpoint.find(prefix + name_at(rule.name, 0, 0)) != nullptr;
    });
  });
  return rules.empty() ? 0.0 : static_cast<double>(there) / static_cast<double>(rules.size());
}

Error no_family(const std::string& type, const nlohmann::json& config, const Checkpoint& checkpoint) {
  const std::string found = type.empty() ? "nothing" : "'" + type + "'";
  const Family* nearest = nullptr;
  double best = 0.0;
  std::string known;
  for (const Family& family : families()) {
    for (const std::string_view name : family.model_types)
      known += (known.empty() ? "" : ", ") + std::string(name);
    if (const double like = likeness(family, config, checkpoint); like > best) {
      best = like;
      nearest = &family;
    }
  }
  std::string text = fmt::format("config.json: 'model_type': expected one of {}, found {}", known, found);
  if (nearest)
    if (const auto tried = read_as(*nearest, config, checkpoint); !tried.ok())
      text += fmt::format("; nearest is {}, but {}", nearest->name, tried.error().message);
  return make_error(ErrorCode::unsupported, text);
}

}  // namespace

Result<FamilyMatch> match_family(const nlohmann::json& config, const Checkpoint& checkpoint) {
  SACCADE_TRY(const std::string type, ConfigReader(config).text("model_type", ""));
  if (const Family* family = find_family(type)) return read_as(*family, config, checkpoint);
  std::optional<FamilyMatch> best;
  for (const Family& family : families()) {
    auto match = read_as(family, config, checkpoint);
    if (!match.ok() || (best && best->weights.unused().size() <= match->weights.unused().size())) continue;
    if (!type.empty() || family.name != "hooked_transformer")  // whose configs have no model_type
      match->note = fmt::format("'{}' is not a known model type; its tensors fit {}, and it is read as that",
                                type, family.name);
    best = std::move(*match);
  }
  if (!best) return no_family(type, config, checkpoint);
  return std::move(*best);
}

}  // namespace saccade
