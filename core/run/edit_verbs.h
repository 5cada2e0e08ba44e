// What every verb of an edit is: the one table that the text form, the checks, the runner and the window
// read. Constant; thread: any.
#pragma once

#include <limits>
#include <optional>
#include <span>
#include <string_view>
#include <vector>

#include "core/run/edit.h"

namespace saccade {

// Where in an attention layer a verb acts, in the order in which they act. values: z, or a hook site.
enum class EditStage { mask, scores, weights, values };

// What by= may be. The sliders span what is useful, not what is allowed.
struct EditFactor {
  double least = -std::numeric_limits<double>::infinity();
  double most = std::numeric_limits<double>::infinity();
  bool above_least = false;       // `least` itself is not allowed
  std::optional<double> neutral;  // the value that changes nothing
  double slider_least = 0.0, slider_most = 1.0;
  bool whole = false;  // whole numbers only
};

// optional: written where it is not the default; shown: always written; required: must be given.
enum class SettingNeed { optional, shown, required };
struct VerbSetting {
  std::string_view key;
  SettingNeed need = SettingNeed::optional;
};

struct VerbInfo {
  EditVerb verb = EditVerb::zero;
  std::string_view name;
  EditStage stage = EditStage::values;
  bool on_heads = true, on_sites = false;
  std::vector<VerbSetting> settings;  // in the order of the text
  std::optional<EditFactor> by;       // verbs without by= have none
  std::string_view example;           // a whole edit, for people to start from
  std::string_view meaning;           // one line
};

[[nodiscard]] std::span<const VerbInfo> edit_verbs();
[[nodiscard]] const VerbInfo& info_of(EditVerb verb);
// "zero, scale, mean, ..."
[[nodiscard]] std::string_view verb_names();

}  // namespace saccade
