#include "distance_measure.h"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <limits>

namespace attention_distance {

double Layout::steps(int64_t query, int64_t key) const {
  if (width == 0) return static_cast<double>(std::abs(query - key));
  const int64_t a = query - first, b = key - first;
  const int64_t rows = a / width - b / width, columns = a % width - b % width;
  return std::hypot(static_cast<double>(rows), static_cast<double>(columns));
}

double Layout::largest_steps() const {
  const int64_t last = n_token - 1 - first;
  if (width == 0) return static_cast<double>(last);
  const int64_t rows = last / width, columns = std::min(last, width - 1);
  return std::hypot(static_cast<double>(rows), static_cast<double>(columns));
}

Bins Bins::doubling(int64_t count) {
  Bins bins;
  bins.open_ = true;
  bins.starts_.push_back(0.0);
  for (double start = 1.0; bins.size() < count; start *= 2.0) bins.starts_.push_back(start);
  return bins;
}

Bins Bins::equal(int64_t count, double largest) {
  Bins bins;
  bins.end_ = std::max(largest, 1.0);
  for (int64_t i = 0; i < count; ++i)
    bins.starts_.push_back(bins.end_ * static_cast<double>(i) / static_cast<double>(count));
  return bins;
}

int64_t Bins::of(double steps) const {
  return std::upper_bound(starts_.begin() + 1, starts_.end(), steps) - starts_.begin() - 1;
}

std::vector<std::string> Bins::labels(double pitch) const {
  std::vector<std::string> labels;
  char text[64];
  for (size_t i = 0; i < starts_.size(); ++i) {
    const bool last = i + 1 == starts_.size();
    if (last && open_)
      std::snprintf(text, sizeof text, "%g and more", starts_[i] * pitch);
    else
      std::snprintf(text, sizeof text, "%g to %g", starts_[i] * pitch,
                    (last ? end_ : starts_[i + 1]) * pitch);
    labels.emplace_back(text);
  }
  return labels;
}

Distances::Distances(const Layout& layout, Bins bins) : layout_(layout), bins_(std::move(bins)) {
  const int64_t count = layout.n_token - layout.first, width = layout.width;
  const int64_t rows = width == 0 ? 1 : (count + width - 1) / width, columns = width == 0 ? count : width;
  table_.reserve(static_cast<size_t>(rows * columns));
  for (int64_t y = 0; y < rows; ++y)
    for (int64_t x = 0; x < columns; ++x) {
      const double steps = std::hypot(static_cast<double>(y), static_cast<double>(x));
      table_.push_back({steps, bins_.of(steps)});
    }
}

Distances::Entry Distances::between(int64_t query, int64_t key) const {
  if (layout_.width == 0) return table_[static_cast<size_t>(std::abs(query - key))];
  const int64_t a = query - layout_.first, b = key - layout_.first, w = layout_.width;
  return table_[static_cast<size_t>(std::abs(a / w - b / w) * w + std::abs(a % w - b % w))];
}

HeadDistance::HeadDistance(const Layout& layout, const Distances& distances)
    : layout_(layout),
      distances_(distances),
      queries_(static_cast<size_t>(layout.n_token), std::numeric_limits<float>::quiet_NaN()),
      mass_(static_cast<size_t>(distances.bins().size()), 0.0) {}

void HeadDistance::add_row(int64_t query, const float* weights, int64_t columns) {
  if (query < layout_.first) return;
  double total = 0.0, far = 0.0;
  std::vector<double> row(mass_.size(), 0.0);
  for (int64_t key = layout_.first; key < columns; ++key) {
    const double weight = weights[key];
    if (weight == 0.0) continue;
    const Distances::Entry entry = distances_.between(query, key);
    total += weight;
    far += weight * entry.steps;
    row[static_cast<size_t>(entry.bin)] += weight;
  }
  if (!(total > 1e-6)) return;  // all on tokens that do not count: a mean over rounding errors
  queries_[static_cast<size_t>(query)] = static_cast<float>(layout_.pitch * far / total);
  for (size_t i = 0; i < row.size(); ++i) mass_[i] += row[i] / total;
  ++counted_;
}

HeadDistance::Summary HeadDistance::summary() const {
  double sum = 0.0, squares = 0.0;
  for (const float distance : queries_)
    if (!std::isnan(distance)) sum += distance;
  const auto count = static_cast<double>(counted_);
  const double mean = sum / count, none = std::numeric_limits<double>::quiet_NaN();
  for (const float distance : queries_)
    if (!std::isnan(distance)) squares += (distance - mean) * (distance - mean);
  return {counted_ > 0 ? mean : none, counted_ > 1 ? std::sqrt(squares / (count - 1.0) / count) : none};
}

std::vector<float> HeadDistance::histogram() const {
  std::vector<float> shares;
  for (const double mass : mass_) shares.push_back(static_cast<float>(mass / static_cast<double>(counted_)));
  return shares;
}

}  // namespace attention_distance
