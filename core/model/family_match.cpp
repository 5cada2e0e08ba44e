#include "core/model/family_match.h"

#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <optional>

#include "core/model/config_reader.h"

namespace saccade {
namespace {

Result<TowerMatch> read_tower(const Family& family, const nlohmann::json& config,
                              const Checkpoint& checkpoint) {
  SACCADE_TRY(const TowerConfig wanted, family.tower(config));
  const auto found = std::find_if(families().begin(), families().end(),
                                  [&](const Family& one) { return one.name == wanted.family; });
  TowerMatch tower;
  SACCADE_TRY(tower.spec, found->read_config(wanted.config));
  SACCADE_TRY(tower.weights, WeightMap::bind(checkpoint, tower.spec, found->weight_rules(tower.spec),
                                             wanted.prefixes, {"*"}));
  SACCADE_TRY(tower.spec.model_type, ConfigReader(wanted.config).text("model_type", ""));
  return tower;
}

Result<FamilyMatch> read_as(const Family& family, const nlohmann::json& config,
                            const Checkpoint& checkpoint) {
  FamilyMatch match;
  SACCADE_TRY(match.spec, family.read_config(config));
  SACCADE_TRY(match.weights, WeightMap::bind(checkpoint, match.spec, family.weight_rules(match.spec),
                                             family.prefixes, family.ignorable));
  if (family.tower) {
    auto tower = read_tower(family, config, checkpoint);
    if (!tower.ok()) return std::move(tower).error().with("vision tower");
    match.tower = std::move(*tower);
  }
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

struct Fit {
  const Family* family = nullptr;
  FamilyMatch match;
};

// The family that everything fits and that leaves the fewest tensors over; not `except`.
std::optional<Fit> best_fit(const nlohmann::json& config, const Checkpoint& checkpoint,
                            const Family* except) {
  std::optional<Fit> best;
  for (const Family& family : families()) {
    if (&family == except) continue;
    auto match = read_as(family, config, checkpoint);
    if (!match.ok()) continue;
    if (best && best->match.weights.unused().size() <= match->weights.unused().size()) continue;
    best = Fit{&family, std::move(*match)};
  }
  return best;
}

Error no_family(const std::string& type, const nlohmann::json& config, const Checkpoint& checkpoint) {
  constexpr std::string_view gguf = "gguf-";
  const bool in_gguf = type.starts_with(gguf);
  const std::string found = type.empty() ? "nothing" : "'" + type.substr(in_gguf ? gguf.size() : 0) + "'";
  const Family* nearest = nullptr;
  double best = 0.0;
  std::string known;
  for (const Family& family : families()) {
    for (const std::string_view name : family.model_types)
      if (name.starts_with(gguf) == in_gguf)
        known += (known.empty() ? "" : ", ") + std::string(name.substr(in_gguf ? gguf.size() : 0));
    if (const double like = likeness(family, config, checkpoint); like > best) {
      best = like;
      nearest = &family;
    }
  }
  std::string text = fmt::format("config.json: '{}': expected one of {}, found {}",
                                 in_gguf ? "general.architecture" : "model_type", known, found);
  if (nearest)
    if (const auto tried = read_as(*nearest, config, checkpoint); !tried.ok())
      text += fmt::format("; nearest is {}, but {}", nearest->name, tried.error().message);
  return make_error(ErrorCode::unsupported, text);
}

Result<FamilyMatch> match_named(std::string_view name, const nlohmann::json& config,
                                const Checkpoint& checkpoint) {
  std::string known;
  for (const Family& family : families()) {
    if (family.name == name) {
      SACCADE_TRY(FamilyMatch match, read_as(family, config, checkpoint));
      match.note = fmt::format("it is read as {}, as asked for", name);
      return match;
    }
    known += fmt::format("{}{}", known.empty() ? "" : ", ", family.name);
  }
  return make_error(ErrorCode::not_found, fmt::format("no family is called '{}'; there are {}", name, known));
}

}  // namespace

Result<FamilyMatch> match_family(const nlohmann::json& config, const Checkpoint& checkpoint,
                                 std::string_view as) {
  if (!as.empty()) return match_named(as, config, checkpoint);
  SACCADE_TRY(const std::string type, ConfigReader(config).text("model_type", ""));
  if (const Family* family = find_family(type)) {
    auto match = read_as(*family, config, checkpoint);
    if (match.ok()) return match;
    Error error = std::move(match).error();
    if (const Family* other = find_other_family(config, checkpoint))
      error.message += fmt::format("; its tensors fit {0}, open it as:{0}:PATH", other->name);
    return error;
  }
  std::optional<Fit> best = best_fit(config, checkpoint, nullptr);
  if (!best) return no_family(type, config, checkpoint);
  if (!type.empty() || best->family->name != "hooked_transformer")  // whose configs have no model_type
    best->match.note =
        fmt::format("'{}' is not a known model type; its tensors fit {}, and it is read as that", type,
                    best->family->name);
  return std::move(best->match);
}

const Family* find_other_family(const nlohmann::json& config, const Checkpoint& checkpoint) {
  const auto type = ConfigReader(config).text("model_type", "");
  const auto fit = best_fit(config, checkpoint, type.ok() ? find_family(*type) : nullptr);
  return fit ? fit->family : nullptr;
}

}  // namespace saccade
