// Scores that want a text of their own.
//
// Repeats: `probe_length` distinct random tokens, `probe_repeats` times after BOS, `probe_sequences` texts.
//   prefix matching = mean over positions i of the later repeats of sum_{j <= i, tok_{j-1} = tok_i} A[i,j]
//   copying by activation = share of positions whose most attended token j is the one that the write v_j W_O
//   raises most, among the tokens of the text, through the final norm's gain and the unembedding (the norm's
//   division and A[i,j] > 0 change no order). Chance: 1 / probe_length.
// Echo: BOS and `echo_period` random tokens four times; BOS taken out of rows and columns (not shared out).
//   For i >= period, J = {i - period m >= 0, m >= 1}: echo = mean_i sum_J A[i,j], induction = mean_i sum_J
//   A[i,j+1]; the larger of a KV group's heads counts; the top 1 % (echo) and 14 % (induction) are kept.
// Sources: Olsson et al. 2022 (arXiv 2209.11895); Tang et al. 2024 (RazorAttention, arXiv 2407.15891, period
// 2,500 there).
#pragma once

#include <span>
#include <vector>

#include "analysis/methods/head_scores/sheet.h"
#include "core/capture/attention_map.h"

namespace saccade::head_scores {

struct EchoScores {
  double echo = nan, induction = nan;
};
// Rows and columns count from `first`, the tokens before which are left out.
[[nodiscard]] Result<EchoScores> echo_scores(const AttentionMap& map, int64_t first, int64_t period);
// first: where the repeats begin.
[[nodiscard]] Result<double> prefix_matching(const AttentionMap& map, int64_t first, int64_t period);

// Scores per KV head, [layer * kv_heads + kv]; the names of the chosen, "echo" before "induction" before "".
[[nodiscard]] std::vector<std::string> razor_choice(std::span<const double> echo,
                                                    std::span<const double> induction);

// The runs that add_probes() needs, in its order. Errors: a model whose context or vocabulary is too small.
[[nodiscard]] Result<std::vector<Wanted>> plan_probes(const MethodInput& input, const Settings& settings);
// outcomes: of plan_probes(). Those that a cancel left out are not counted; without any, NaN.
Result<void> add_probes(const MethodInput& input, std::span<const Outcome> outcomes, const Settings& settings,
                        const JobContext& job, ScoreSheet& sheet);

}  // namespace saccade::head_scores
