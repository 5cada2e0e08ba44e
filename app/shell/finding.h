// One sentence about what the selected head does in this run, made from its scores, never typed.
#pragma once

#include <QString>
#include <optional>

#include "analysis/field.h"
#include "core/base/ids.h"

namespace saccade {

// "Head 1.2 looks back to the token after the previous occurrence: induction score 0.94."
[[nodiscard]] QString describe_head(const AnalysisResult& scores, HeadId head);
// The head with the highest value of a [layer, head] field; nothing when the field is not there.
[[nodiscard]] std::optional<HeadId> strongest_head(const AnalysisResult& scores, std::string_view field);

}  // namespace saccade
