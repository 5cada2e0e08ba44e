// Which elastic span each head gets (MoA): the pairs (alpha, beta) that lose least at a given mean density.
//
// Predicted loss of a mask = the influence of the blocks it leaves out; influence is anything that adds up,
// the gradient-based one of methods/influence.h or the attention mass of blocks. The paper solves a
// mixed-integer program; here a Lagrangian greedy (own): every head starts with the rule that sees most, and
// the change that loses least per block saved is made until the density is at most the bound at every length;
// then single heads change whatever loses less within the bound. Rules that are one for all heads and fit are
// further starting points, so that the choice never loses more than the best of them.
// Source: Fu et al. 2024 (arXiv 2406.14909), masks, influence, bound; the greedy solver is ours.
#pragma once

#include <span>
#include <vector>

#include "analysis/mechanisms/head_masks.h"
#include "analysis/mechanisms/matrix.h"
#include "kernels/base/result.h"

namespace saccade::mechanisms {

// One head at one length: [query block, key block], zero above the diagonal.
struct BlockInfluence {
  int64_t tokens = 0;
  Matrix blocks;
};

struct ElasticChoice {
  std::vector<ElasticRule> rules;         // [head]
  std::vector<double> losses, densities;  // [length]: sums over heads; means over heads
};

// sum of the influence outside the mask of this rule.
[[nodiscard]] double predicted_loss(const BlockInfluence& influence, int64_t block, const ElasticRule& rule);

// influence: [length][head]. bound: mean share of the causal blocks kept, at each length. Errors: nothing to
// choose from, heads missing at a length, no candidates that are small enough.
[[nodiscard]] Result<ElasticChoice> choose_elastic_rules(
    std::span<const std::vector<BlockInfluence>> influence, int64_t block,
    std::span<const ElasticRule> candidates, double bound);

// alphas 0, step, 2 step, ... up to n, times betas 0, 1/8, ..., 1: 9 of them as in the paper.
[[nodiscard]] std::vector<ElasticRule> elastic_candidates(int64_t n, int64_t step);

}  // namespace saccade::mechanisms
