// Which family reads a checkpoint: by the config's model_type, or, where that is not known, by its tensors.
// Private to core/model.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>
#include <string_view>

#include "core/model/checkpoint.h"
#include "core/model/family.h"

namespace saccade {

struct TowerMatch {
  ModelSpec spec;
  WeightMap weights;
};

struct FamilyMatch {
  ModelSpec spec;
  WeightMap weights;
  std::optional<TowerMatch> tower;  // of decoders that read pictures
  std::string note;                 // empty, or that the model is read as another family's layout
};

// An unknown model_type is read as the family whose keys and tensors all fit, the one that leaves the fewest
// tensors over first. When none fits, the error names the nearest family and what it misses. When a known
// one does not fit, but another does, the error names that. `as`: the family to read it as, whatever the
// config says.
Result<FamilyMatch> match_family(const nlohmann::json& config, const Checkpoint& checkpoint,
                                 std::string_view as = {});

// The family whose keys and tensors all fit though the config names another; null when none does.
[[nodiscard]] const Family* find_other_family(const nlohmann::json& config, const Checkpoint& checkpoint);

}  // namespace saccade
