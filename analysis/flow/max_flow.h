// Maximum flow through the layers of a model (attention flow: Abnar and Zuidema 2020, arXiv 2005.00928,
// section 3). Nodes are (level, token); an edge from (l + 1, i) to (l, j) has capacity B_l[i, j]. The source
// reaches the top level by given capacities; the sink is one token at level 0. Dinic's algorithm on dense
// levels (Dinitz 1970): the level graph by breadth first, blocking flows by depth first with current arcs.
// Thread: one per LayeredFlow; many may share one LayeredCapacities.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "core/base/job.h"

namespace saccade {

struct LayeredCapacities {
  int64_t layers = 0, n = 0;
  std::vector<double> source;  // [token] of the top level
  std::vector<float> edges;    // [layer, from, to]; layer 0 leads into the input tokens. >= 0

  [[nodiscard]] float edge(int64_t layer, int64_t from, int64_t to) const {
    return edges[static_cast<size_t>((layer * n + from) * n + to)];
  }
};

class LayeredFlow {
 public:
  explicit LayeredFlow(const LayeredCapacities& capacities);
  // The maximum flow into input token `sink`, to about 1e-9 times the number of edges in the smallest cut.
  // Error: cancelled.
  Result<double> into(int64_t sink, const JobContext& job);
  [[nodiscard]] int64_t phases() const { return phases_; }  // of the last call

 private:
  [[nodiscard]] size_t at(int64_t layer, int64_t from, int64_t to) const {
    return static_cast<size_t>((layer * n_ + from) * n_ + to);
  }
  [[nodiscard]] size_t node(int64_t level, int64_t token) const {
    return static_cast<size_t>(level * n_ + token);
  }
  [[nodiscard]] double flow_on(size_t edge) const { return capacities_.edges[edge] - left_[edge]; }
  bool find_levels(int64_t sink);
  double push(int64_t level, int64_t token, int64_t sink, double limit);

  const LayeredCapacities& capacities_;
  int64_t layers_, n_;
  std::vector<double> source_left_;
  std::vector<double> left_;       // [layer, from, to] residual capacity
  std::vector<double> inflow_;     // [level, token]: nothing flows back out of a node that has none
  std::vector<int32_t> distance_;  // [level, token], -1 = not reached
  std::vector<int64_t> arc_;       // [level, token], the edge to go on with: first n down, then n up
  std::vector<std::pair<int32_t, int32_t>> queue_;
  int64_t phases_ = 0;
};

}  // namespace saccade
