#include "analysis/flow/max_flow.h"

#include <algorithm>

namespace saccade {
namespace {

constexpr double nothing = 1e-11;  // residual capacities of no more count as used up

}  // namespace

LayeredFlow::LayeredFlow(const LayeredCapacities& capacities)
    : capacities_(capacities), layers_(capacities.layers), n_(capacities.n) {}

bool LayeredFlow::find_levels(int64_t sink) {
  std::fill(distance_.begin(), distance_.end(), -1);
  std::vector<int64_t> unreached(static_cast<size_t>(layers_) + 1, n_);
  queue_.clear();
  const auto reach = [&](int64_t level, int64_t token, int32_t distance) {
    distance_[node(level, token)] = distance;
    --unreached[static_cast<size_t>(level)];
    queue_.emplace_back(static_cast<int32_t>(level), static_cast<int32_t>(token));
  };
  for (int64_t i = 0; i < n_; ++i)
    if (source_left_[static_cast<size_t>(i)] > nothing) reach(layers_, i, 1);
  for (size_t head = 0; head < queue_.size(); ++head) {
    const auto [level, token] = queue_[head];
    const int32_t next = distance_[node(level, token)] + 1;
    if (level == 1 && left_[at(0, token, sink)] > nothing && distance_[node(0, sink)] < 0) {
      distance_[node(0, sink)] = next;
      return true;  // the rest is at least as far
    }
    if (level > 1 && unreached[static_cast<size_t>(level) - 1] > 0) {
      const double* const left = left_.data() + at(level - 1, token, 0);
      for (int64_t j = 0; j < n_; ++j)
        if (left[j] > nothing && distance_[node(level - 1, j)] < 0) reach(level - 1, j, next);
    }
    if (level < layers_ && level > 0 && unreached[static_cast<size_t>(level) + 1] > 0 &&
        inflow_[node(level, token)] > nothing)
      for (int64_t i = 0; i < n_; ++i)
        if (distance_[node(level + 1, i)] < 0 && flow_on(at(level, i, token)) > nothing)
          reach(level + 1, i, next);
  }
  return false;
}

// What of `limit` gets from a node to the sink in the level graph. A child that takes less than it was
// offered has nothing left, so arcs only ever advance.
double LayeredFlow::push(int64_t level, int64_t token, int64_t sink, double limit) {
  if (level == 0) return limit;
  const int32_t next = distance_[node(level, token)] + 1;
  if (next > distance_[node(0, sink)]) return 0.0;
  int64_t& arc = arc_[node(level, token)];
  double sent = 0.0;
  for (; arc < n_; ++arc) {
    if (level == 1) arc = std::max(arc, sink);
    if (level == 1 && arc > sink) {
      arc = n_;
      break;
    }
    double& left = left_[at(level - 1, token, arc)];
    if (left <= nothing || distance_[node(level - 1, arc)] != next) continue;
    const double through = push(level - 1, arc, sink, std::min(limit - sent, left));
    left -= through;
    inflow_[node(level - 1, arc)] += through;
    sent += through;
    if (limit - sent <= nothing) return sent;
  }
  double& inflow = inflow_[node(level, token)];
  if (level == layers_) arc = 2 * n_;
  for (; arc < 2 * n_ && inflow > nothing; ++arc) {
    const size_t edge = at(level, arc - n_, token);
    if (distance_[node(level + 1, arc - n_)] != next || flow_on(edge) <= nothing) continue;
    const double back = push(level + 1, arc - n_, sink, std::min(limit - sent, flow_on(edge)));
    left_[edge] += back;
    inflow -= back;
    sent += back;
    if (limit - sent <= nothing) return sent;
  }
  return sent;
}

Result<double> LayeredFlow::into(int64_t sink, const JobContext& job) {
  const auto nodes = static_cast<size_t>((layers_ + 1) * n_);
  left_.assign(capacities_.edges.begin(), capacities_.edges.end());
  source_left_ = capacities_.source;
  inflow_.assign(nodes, 0.0);
  distance_.resize(nodes);
  arc_.resize(nodes);
  // No flow is more than what may leave the source, or what may reach the sink.
  double out = 0.0, in = 0.0, flow = 0.0;
  for (const double capacity : source_left_) out += capacity;
  for (int64_t i = 0; i < n_; ++i) in += capacities_.edge(0, i, sink);
  const double most = std::min(out, in);
  for (phases_ = 0; flow < most - nothing && find_levels(sink); ++phases_) {
    SACCADE_CHECK(job.check());
    std::fill(arc_.begin(), arc_.end(), 0);
    for (int64_t i = 0; i < n_; ++i) {
      double& left = source_left_[static_cast<size_t>(i)];
      if (left <= nothing || distance_[node(layers_, i)] != 1) continue;
      const double through = push(layers_, i, sink, left);
      left -= through;
      flow += through;
    }
  }
  return flow;
}

}  // namespace saccade
