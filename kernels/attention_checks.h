// The boundary of every kernel set: what does not fit is refused here, with the numbers; the kernels trust
// what passes. Private to kernels/. Thread: any. Errors: ErrorCode::invalid_argument.
#pragma once

#include <span>

#include "kernels/attention.h"

namespace saccade {

[[nodiscard]] Result<void> check_forward(const AttentionInput& input, const AttentionOutput& output);
[[nodiscard]] Result<void> check_tile(const TileInput& input, const TileRequest& request);
[[nodiscard]] Result<void> check_positions(const TileInput& input, int64_t head,
                                           std::span<const int32_t> query, std::span<const int32_t> key);
// One head's plan; `head` is for the message.
[[nodiscard]] Result<void> check_plan(const HeadPlan& plan, int64_t head, int64_t d_head);

}  // namespace saccade
