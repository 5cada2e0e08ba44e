// Between a captured run and the mechanism simulators (analysis/mechanisms): heads as those read them, and
// masks as edits of the run.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "analysis/mechanisms/imposed.h"
#include "core/base/ids.h"
#include "core/capture/capture.h"

namespace saccade::mechanisms {

constexpr int64_t most_tokens = 1024;  // maps are held whole, some at once

// Errors: no captured attention, more than most_tokens.
[[nodiscard]] Result<void> check_run(const Capture* capture);
// What masks made of positions alone read: no q, k, v, weights.
[[nodiscard]] HeadView positions_only(const Capture& capture, HeadId head);
// All of it; v where the capture recorded it. Edits of the run count: what they hide is not visible.
[[nodiscard]] Result<HeadView> view_of(const std::shared_ptr<const Capture>& capture, HeadId head,
                                       const KernelSet& kernels);

// What a head under this mechanism is as edits: a verb of its own, where there is one, or the mask's
// knockouts. Empty where it cannot be said in edits (other weights, keys that the model hides).
[[nodiscard]] std::vector<std::string> edits_of(const MechanismInfo& mechanism, const Constants& constants,
                                                const HeadView& view, const Imposed& imposed,
                                                const std::string& heads);
// Edits of all heads, for mechanisms that positions decide (and sharpen): "*.*" where heads do not differ.
[[nodiscard]] Result<std::vector<std::string>> edits_for_all(const MechanismInfo& mechanism,
                                                             const Constants& constants,
                                                             const Capture& capture);

}  // namespace saccade::mechanisms
