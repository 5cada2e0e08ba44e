// Runs one method: asks it what it needs, does that with progress and cancelling, and lets it compute.
//
// Thread: the thread that owns the Runner. A cancel during the work still gives the method its say: what
// comes back is then partial, or ErrorCode::cancelled where the method can make nothing of what there is.
#pragma once

#include <filesystem>
#include <functional>

#include "analysis/method.h"

namespace saccade {

struct Laboratory {
  std::shared_ptr<const Model> model;
  Runner* runner = nullptr;
  // Answers and generations are appended to this file as they come, and taken from it the next time: a long
  // sweep that was stopped goes on where it was. Empty = nothing is kept.
  std::filesystem::path journal;
  // Called between the parts of a long sweep, when the runner is free. so_far computes what the answers up to
  // now give; like everything a method computes, it may be refused.
  std::function<void(const std::function<Result<AnalysisResult>()>& so_far)> between = {};
};

// parameters: as given, not yet complete. looked_at: the run that the method is about.
[[nodiscard]] Result<AnalysisResult> run_method(const AnalysisMethod& method,
                                                const nlohmann::json& parameters,
                                                const std::shared_ptr<const Run>& looked_at,
                                                const Laboratory& laboratory, const JobContext& job);

}  // namespace saccade
