#include "analysis/flow/reversed_tree.h"

#include <algorithm>
#include <cmath>

namespace saccade {
namespace {

// Follows parents from every token; a way that meets itself is a cycle, cut where it is weakest.
void break_cycles(const std::vector<double>& self, ReversedTree& tree) {
  enum class State { fresh, open, closed };
  std::vector<State> state(tree.parent.size(), State::fresh);
  for (size_t first = 0; first < tree.parent.size(); ++first) {
    std::vector<size_t> way;
    size_t at = first;
    while (state[at] == State::fresh) {
      state[at] = State::open;
      way.push_back(at);
      if (tree.parent[at] < 0) break;
      at = static_cast<size_t>(tree.parent[at]);
    }
    if (!way.empty() && tree.parent[way.back()] >= 0 && state[at] == State::open) {
      size_t weakest = at;
      for (auto i = static_cast<size_t>(tree.parent[at]); i != at; i = static_cast<size_t>(tree.parent[i]))
        if (tree.strength[i] < tree.strength[weakest]) weakest = i;
      tree.parent[weakest] = -1;
      tree.strength[weakest] = self[weakest];
      ++tree.broken;
    }
    for (const size_t i : way) state[i] = State::closed;
  }
}

}  // namespace

ReversedTree reversed_tree(std::span<const double> log_scores, std::span<const double> weights, int64_t n) {
  const auto size = static_cast<size_t>(n);
  ReversedTree tree;
  tree.parent.assign(size, -1);
  tree.strength.assign(size, 0.0);
  tree.mass.assign(size, 0.0);
  std::vector<double> self(size, 0.0);
  for (size_t j = 0; j < size; ++j) {
    double most = -INFINITY, sum = 0.0;
    for (size_t i = 0; i < size; ++i) most = std::max(most, log_scores[i * size + j]);
    for (size_t i = 0; i < size; ++i) tree.mass[j] += weights[i * size + j];
    if (std::isinf(most)) continue;  // nobody sees it: a root that sends nothing
    for (size_t i = 0; i < size; ++i) sum += std::exp(log_scores[i * size + j] - most);
    const auto share = [&](size_t i) { return std::exp(log_scores[i * size + j] - most) / sum; };
    self[j] = share(j);
    size_t best = j;
    for (size_t i = 0; i < size; ++i)
      if (i != j && (best == j || share(i) > share(best))) best = i;
    const bool sends = best != j && share(best) > self[j];
    tree.parent[j] = sends ? static_cast<int64_t>(best) : -1;
    tree.strength[j] = sends ? share(best) : self[j];
  }
  break_cycles(self, tree);
  tree.depth.assign(size, 0);
  for (size_t j = 0; j < size; ++j)
    for (int64_t at = tree.parent[j]; at >= 0; at = tree.parent[static_cast<size_t>(at)]) ++tree.depth[j];
  return tree;
}

}  // namespace saccade
