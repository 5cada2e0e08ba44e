#include "analysis/methods/head_scores/task_kv.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <numeric>

namespace saccade::head_scores {

int64_t heterogeneous_heads(int64_t layer, int64_t layers, int64_t heads, double beta, int64_t least) {
  const double most = static_cast<double>(heads) * beta;
  const double slope =
      layers > 1 ? (most - static_cast<double>(least)) / static_cast<double>(layers - 1) : 0.0;
  return std::clamp<int64_t>(std::lround(most - slope * static_cast<double>(layer)), 0, heads);
}

std::vector<double> semantic_vector(std::span<const double> columns, const float* values, int64_t stride,
                                    int64_t d_head, int64_t keys) {
  std::vector<int64_t> order(columns.size());
  std::iota(order.begin(), order.end(), int64_t{0});
  const auto kept = order.begin() + std::min<int64_t>(keys, static_cast<int64_t>(order.size()));
  std::partial_sort(order.begin(), kept, order.end(), [&](int64_t a, int64_t b) {
    const double x = columns[static_cast<size_t>(a)], y = columns[static_cast<size_t>(b)];
    return x != y ? x > y : a < b;
  });
  std::vector<double> vector(static_cast<size_t>(d_head), 0.0);
  for (auto key = order.begin(); key != kept; ++key)
    for (int64_t e = 0; e < d_head; ++e)
      vector[static_cast<size_t>(e)] += columns[static_cast<size_t>(*key)] * values[*key * stride + e];
  return vector;
}

std::vector<double> distances_to_centre(std::span<const std::vector<double>> vectors) {
  std::vector<double> centre(vectors[0].size(), 0.0), distances;
  for (const auto& vector : vectors)
    for (size_t e = 0; e < centre.size(); ++e) centre[e] += vector[e] / static_cast<double>(vectors.size());
  for (const auto& vector : vectors) {
    double squares = 0.0;
    for (size_t e = 0; e < centre.size(); ++e) squares += (vector[e] - centre[e]) * (vector[e] - centre[e]);
    distances.push_back(std::sqrt(squares));
  }
  return distances;
}

void add_task_kv(std::span<const std::vector<double>> vectors, const Settings& settings, ScoreSheet& sheet) {
  const size_t column = sheet.add("semantic_distance", "Distance to the layer's semantic centre", "",
                                  ValueKind::magnitude),
               flag = sheet.add("heterogeneous", "Heterogeneous (Task-KV)", "", ValueKind::magnitude);
  std::vector<std::string>& roles = sheet.add_text("task_kv");
  const int64_t heads = sheet.heads(), layers = sheet.layers();
  int64_t flagged = 0;
  for (int64_t layer = 0; layer < layers; ++layer) {
    const auto some = vectors.subspan(static_cast<size_t>(layer * heads), static_cast<size_t>(heads));
    if (std::any_of(some.begin(), some.end(), [](const auto& vector) { return vector.empty(); })) continue;
    const std::vector<double> distances = distances_to_centre(some);
    std::vector<int64_t> order(static_cast<size_t>(heads));
    std::iota(order.begin(), order.end(), int64_t{0});
    std::stable_sort(order.begin(), order.end(), [&](int64_t a, int64_t b) {
      return distances[static_cast<size_t>(a)] > distances[static_cast<size_t>(b)];
    });
    const int64_t far = heterogeneous_heads(layer, layers, heads, settings.task_beta, settings.task_least);
    for (int64_t place = 0; place < heads; ++place) {
      const int64_t head = layer * heads + order[static_cast<size_t>(place)];
      sheet.set(column, head, distances[static_cast<size_t>(order[static_cast<size_t>(place)])]);
      sheet.set(flag, head, place < far ? 1.0 : 0.0);
      if (place < far) roles[static_cast<size_t>(head)] = "heterogeneous";
    }
    flagged += far;
    if (far < heads) roles[static_cast<size_t>(layer * heads + order.back())] = "representative";
  }
  sheet.findings.push_back(fmt::format(
      "Task-KV: {} of {} heads are heterogeneous on this prompt (the farthest of each layer from its "
      "semantic centre; the number falls with depth from {:.3g} to {} per layer).",
      flagged, sheet.count(), static_cast<double>(heads) * settings.task_beta, settings.task_least));
}

}  // namespace saccade::head_scores
