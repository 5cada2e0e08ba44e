// The second stream that a session's contrast asks for (Session::contrast, core/run/contrast.h), made for a
// request. Thread: the engine thread.
#pragma once

#include "core/run/edit_references.h"
#include "core/run/runner.h"
#include "core/session/session.h"

namespace saccade {

// The request under the contrast's edits after its own; or with its pictures cut down to their outlier tokens
// (DAMRO). No stream where the session asks for none. files and baseline: what from= of edits may name.
// Errors: those of the edits, outliers of a model without a vision tower, more outliers than patches.
[[nodiscard]] Result<Contrast> contrast_of(const AnswerContrast& wanted, Runner& runner,
                                           const RunRequest& request, EditFiles& files,
                                           const std::shared_ptr<const Capture>& baseline,
                                           const JobContext& job);

}  // namespace saccade
