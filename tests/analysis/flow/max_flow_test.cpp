#include "analysis/flow/max_flow.h"

#include <gtest/gtest.h>

#include <cmath>
#include <deque>
#include <random>

namespace saccade {
namespace {

// Edmonds and Karp on a plain matrix of capacities: the shortest augmenting path, again and again.
double reference(const LayeredCapacities& c, int64_t sink) {
  const auto n = static_cast<size_t>(c.n), nodes = static_cast<size_t>(c.layers + 1) * n + 1,
             source = nodes - 1;
  std::vector<std::vector<double>> left(nodes, std::vector<double>(nodes, 0.0));
  for (size_t i = 0; i < n; ++i) left[source][static_cast<size_t>(c.layers) * n + i] = c.source[i];
  for (int64_t l = 0; l < c.layers; ++l)
    for (int64_t i = 0; i < c.n; ++i)
      for (int64_t j = 0; j < c.n; ++j)
        left[static_cast<size_t>((l + 1) * c.n + i)][static_cast<size_t>(l * c.n + j)] = c.edge(l, i, j);
  double flow = 0.0;
  while (true) {
    std::vector<int64_t> from(nodes, -1);
    from[source] = static_cast<int64_t>(source);
    std::deque<size_t> queue{source};
    while (!queue.empty() && from[static_cast<size_t>(sink)] < 0) {
      const size_t u = queue.front();
      queue.pop_front();
      for (size_t v = 0; v < nodes; ++v)
        if (from[v] < 0 && left[u][v] > 1e-12) {
          from[v] = static_cast<int64_t>(u);
          queue.push_back(v);
        }
    }
    if (from[static_cast<size_t>(sink)] < 0) return flow;
    double most = 1e9;
    for (auto v = static_cast<size_t>(sink); v != source; v = static_cast<size_t>(from[v]))
      most = std::min(most, left[static_cast<size_t>(from[v])][v]);
    for (auto v = static_cast<size_t>(sink); v != source; v = static_cast<size_t>(from[v])) {
      left[static_cast<size_t>(from[v])][v] -= most;
      left[v][static_cast<size_t>(from[v])] += most;
    }
    flow += most;
  }
}

LayeredCapacities random_capacities(int64_t layers, int64_t n, uint32_t seed, double density) {
  LayeredCapacities c{layers, n, std::vector<double>(static_cast<size_t>(n), 0.0), {}};
  std::mt19937 random(seed);
  std::uniform_real_distribution<double> uniform(0.0, 1.0);
  c.source[static_cast<size_t>(seed % static_cast<uint32_t>(n))] = 1.0;
  for (int64_t i = 0; i < layers * n * n; ++i)
    c.edges.push_back(uniform(random) < density ? static_cast<float>(std::pow(uniform(random), 3.0)) : 0.0F);
  return c;
}

TEST(MaxFlow, is_that_of_a_small_graph_worked_by_hand) {
  // Two tokens, two layers. From token 1: .3 to 0 and .7 to 1; then 0 -> 0 all, 1 -> 0 .4 and 1 -> 1 .6.
  const LayeredCapacities c{2, 2, {0.0, 1.0}, {1.0F, 0.0F, 0.4F, 0.6F, 1.0F, 0.0F, 0.3F, 0.7F}};
  LayeredFlow flow(c);
  EXPECT_NEAR(*flow.into(0, {}), 0.7, 1e-6);  // .3 through 0 and .4 through 1
  EXPECT_NEAR(*flow.into(1, {}), 0.6, 1e-6);
}

TEST(MaxFlow, sends_flow_back_where_an_early_choice_was_wrong) {
  // Level 2: token 0 can go to 0 or 1, token 1 only to 0. Sent first come first served, 0 would block 1.
  LayeredCapacities c{3, 2, {1.0, 0.0}, std::vector<float>(12, 0.0F)};
  const auto edge = [&](int64_t l, int64_t i, int64_t j) -> float& {
    return c.edges[static_cast<size_t>((l * 2 + i) * 2 + j)];
  };
  edge(2, 0, 0) = 0.5F;
  edge(2, 0, 1) = 0.5F;
  edge(1, 0, 0) = 0.5F;
  edge(1, 0, 1) = 0.5F;
  edge(1, 1, 0) = 0.5F;
  edge(0, 0, 0) = 0.5F;
  edge(0, 1, 0) = 0.5F;
  EXPECT_NEAR(*LayeredFlow(c).into(0, {}), 1.0, 1e-6);
  EXPECT_EQ(*LayeredFlow(c).into(1, {}), 0.0);
}

TEST(MaxFlow, is_that_of_edmonds_and_karp_on_random_graphs) {
  for (uint32_t seed = 1; seed <= 40; ++seed) {
    const LayeredCapacities c = random_capacities(1 + seed % 5, 3 + seed % 4, seed,
                                                  seed % 3 == 0   ? 0.35
                                                  : seed % 3 == 1 ? 0.7
                                                                  : 1.0);
    LayeredFlow flow(c);
    for (int64_t j = 0; j < c.n; ++j)
      EXPECT_NEAR(*flow.into(j, {}), reference(c, j), 1e-6) << seed << " " << j;
  }
}

TEST(MaxFlow, is_at_most_every_cut) {
  const LayeredCapacities c = random_capacities(4, 12, 77, 0.5);
  LayeredFlow flow(c);
  std::mt19937 random(5);
  for (int64_t sink = 0; sink < c.n; ++sink) {
    const double value = *flow.into(sink, {});
    for (int cut = 0; cut < 50; ++cut) {
      // A side for every node; source here, sink there.
      std::vector<bool> here(static_cast<size_t>((c.layers + 1) * c.n));
      for (size_t i = 0; i < here.size(); ++i) here[i] = random() % 3 != 0;
      here[static_cast<size_t>(sink)] = false;
      double across = 0.0;
      for (int64_t i = 0; i < c.n; ++i)
        if (!here[static_cast<size_t>(c.layers * c.n + i)]) across += c.source[static_cast<size_t>(i)];
      for (int64_t l = 0; l < c.layers; ++l)
        for (int64_t i = 0; i < c.n; ++i)
          for (int64_t j = 0; j < c.n; ++j)
            if (here[static_cast<size_t>((l + 1) * c.n + i)] && !here[static_cast<size_t>(l * c.n + j)])
              across += c.edge(l, i, j);
      EXPECT_LE(value, across + 1e-6);
    }
  }
}

TEST(MaxFlow, stops_when_cancelled) {
  const LayeredCapacities c = random_capacities(2, 5, 3, 1.0);
  JobContext job;
  job.cancel.cancel();
  EXPECT_EQ(LayeredFlow(c).into(0, job).error().code, ErrorCode::cancelled);
}

}  // namespace
}  // namespace saccade
