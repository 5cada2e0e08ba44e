// Runs that other runs take values from: what to record of them, and captures made of several of them.
#pragma once

#include <memory>
#include <span>
#include <vector>

#include "analysis/method.h"
#include "analysis/prompts/prompt_set.h"

namespace saccade {

// What every method asks for that is measured on prompt pairs: prompts, count, seed.
[[nodiscard]] std::vector<ParameterInfo> prompt_parameters();
// The set that those name, read with the input's model.
[[nodiscard]] Result<PromptSet> prompts_of(const MethodInput& input);

// A run of these tokens that keeps z of every layer, the residuals and the next-token logits, and nothing
// else.
[[nodiscard]] RunRequest reference_request(const MethodInput& input, const TokenSequence& tokens);

// Error: which prompt has another number of tokens than the first.
[[nodiscard]] Result<void> same_length(const PromptSet& prompts);

// z of every position of every run, one after another: `mean ... from=` takes the mean over all of them.
[[nodiscard]] std::shared_ptr<const Capture> all_rows_of_z(
    std::span<const std::shared_ptr<const Capture>> captures);
// z averaged over runs of one length, position by position: for `replace ... from=`.
[[nodiscard]] std::shared_ptr<const Capture> mean_z_by_position(
    std::span<const std::shared_ptr<const Capture>> captures);

// z of a head at the last position, [d_head].
[[nodiscard]] std::span<const float> last_z(const Capture& capture, HeadId head);

}  // namespace saccade
