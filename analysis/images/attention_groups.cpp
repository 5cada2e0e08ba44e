#include "analysis/images/attention_groups.h"

#include <algorithm>
#include <cmath>
#include <set>

#include "analysis/mechanisms/matrix.h"
#include "analysis/methods/head_scores/row_math.h"

namespace saccade {

AttentionGroups attention_groups(std::span<const double> first_cls, std::span<const double> first_received,
                                 std::span<const double> late_cls, double local_share, double spatial_share) {
  const auto n = static_cast<double>(first_cls.size());
  const auto top = [&](std::span<const double> values, double share) {
    return mechanisms::top_indices(values, static_cast<int64_t>(std::floor(share * n)));
  };
  AttentionGroups groups;
  groups.summary = upper_outliers(late_cls);
  std::set<int64_t> local;
  for (const int64_t token : top(first_cls, local_share)) local.insert(token);
  for (const int64_t token : top(first_received, spatial_share)) local.insert(token);
  for (const int64_t token : groups.summary) local.erase(token);
  groups.local.assign(local.begin(), local.end());
  return groups;
}

std::vector<int64_t> upper_outliers(std::span<const double> values) {
  std::vector<int64_t> outliers;
  if (values.empty()) return outliers;
  const std::vector<double> all(values.begin(), values.end());
  const double first = head_scores::quantile(all, 0.25), third = head_scores::quantile(all, 0.75);
  for (size_t j = 0; j < values.size(); ++j)
    if (values[j] > third + 1.5 * (third - first)) outliers.push_back(static_cast<int64_t>(j));
  return outliers;
}

std::vector<double> head_weights(std::span<const double> image_mass) {
  if (image_mass.empty()) return {};
  const auto [least, most] = std::minmax_element(image_mass.begin(), image_mass.end());
  std::vector<double> weights;
  for (const double mass : image_mass)
    weights.push_back(*most > *least ? (mass - *least) / (*most - *least) : 1.0);
  return weights;
}

}  // namespace saccade
