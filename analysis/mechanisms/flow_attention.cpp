#include "analysis/mechanisms/flow_attention.h"

#include <algorithm>
#include <cmath>

namespace saccade::mechanisms {
namespace {

constexpr double eps = 1e-6;

double sigmoid(double x) { return 1.0 / (1.0 + std::exp(-x)); }

Matrix sigmoids(const Matrix& rows) {
  Matrix result = rows;
  for (double& value : result.values) value = sigmoid(value);
  return result;
}

// For every row of `of`: (row + eps) . (sum of the rows of `over` it has seen, each divided by `by`, + eps).
// Causal: divided by how many those are.
std::vector<double> flows(const Matrix& of, const Matrix& over, const std::vector<double>* by, bool causal) {
  std::vector<double> sum(static_cast<size_t>(over.columns), 0.0), result;
  int64_t counted = 0;
  for (int64_t i = 0; i < of.rows; ++i) {
    for (const int64_t end = causal ? i + 1 : over.rows; counted < end; ++counted)
      for (size_t x = 0; x < sum.size(); ++x)
        sum[x] += over.row(counted)[x] / (by ? (*by)[static_cast<size_t>(counted)] : 1.0);
    double flow = 0.0;
    for (size_t x = 0; x < sum.size(); ++x) flow += (of.row(i)[x] + eps) * (sum[x] + eps);
    result.push_back(causal ? flow / static_cast<double>(counted) : flow);
  }
  return result;
}

std::vector<double> competition_of(std::vector<double> conserved, bool causal) {
  const double limit = causal ? 10.0 : 1.0;
  for (double& value : conserved) value = std::exp(std::clamp(value, -limit, limit));
  double sum = 0.0;
  if (!causal)
    for (const double value : conserved) sum += value;
  for (size_t j = 0; j < conserved.size(); ++j) {
    if (causal) sum += conserved[j];
    conserved[j] *= static_cast<double>(causal ? j + 1 : conserved.size()) / sum;
  }
  return conserved;
}

}  // namespace

Flow flow_attention(const Matrix& q, const Matrix& k, bool causal) {
  const Matrix sinks = sigmoids(q), sources = sigmoids(k);
  const std::vector<double> incoming = flows(sinks, sources, nullptr, causal),
                            outgoing = flows(sources, sinks, nullptr, causal);
  Flow flow;
  flow.competition = competition_of(flows(sources, sinks, &incoming, causal), causal);
  flow.allocation = flows(sinks, sources, &outgoing, causal);
  const double ratio = causal ? 1.0 : static_cast<double>(q.rows) / static_cast<double>(k.rows);
  for (double& value : flow.allocation) value = sigmoid(value * ratio);
  flow.weights = Matrix(q.rows, k.rows);
  for (int64_t i = 0; i < q.rows; ++i) {
    const auto at = static_cast<size_t>(i);
    const int64_t seen = causal ? i + 1 : k.rows;
    // Of a causal row, I is a mean: the sum has one term for every key seen.
    const double whole = incoming[at] * (causal ? static_cast<double>(seen) : 1.0);
    for (int64_t j = 0; j < seen; ++j)
      flow.weights.at(i, j) = flow.allocation[at] * dot(sinks.row(i), sources.row(j)) / whole *
                              flow.competition[static_cast<size_t>(j)];
  }
  return flow;
}

}  // namespace saccade::mechanisms
