// A tree from one attention map: every token's parent is who takes most of it (own rule, after the reversed
// attention of Ding et al. 2023, DependencyViT, arXiv 2304.03282; a transform of an ordinary model's map, not
// their trained one). Thread: any.
//   P[i, j] = exp(s_ij) / sum over the queries i that see j: how strongly child j sends to parent i
//   parent(j) = argmax over i != j of P[i, j] where that is above P[j, j]; else j is a root
//   mass(j) = sum_i A[i, j]
// Cycles are broken at their weakest edge, whose child becomes a root.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

namespace saccade {

struct ReversedTree {
  std::vector<int64_t> parent;   // [token], -1 = a root
  std::vector<double> strength;  // P[parent, token]; of a root P[token, token]
  std::vector<double> mass;      // [token]
  std::vector<int64_t> depth;    // 0 = a root
  int64_t broken = 0;            // edges left out to break cycles
};

// log_scores: ln A[i, j] + lse_i = s_ij; -inf where masked. weights: A. Both [n, n], row-major.
[[nodiscard]] ReversedTree reversed_tree(std::span<const double> log_scores, std::span<const double> weights,
                                         int64_t n);

}  // namespace saccade
