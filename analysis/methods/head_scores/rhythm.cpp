#include "analysis/methods/head_scores/rhythm.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <numeric>
#include <random>

#include "analysis/methods/head_scores/row_math.h"

namespace saccade::head_scores {
namespace {

constexpr int64_t after_preplan = 2;  // tokens within which an anchor follows
constexpr int shuffles = 1000;

double share_following(std::span<const int64_t> anchors, const std::vector<bool>& preplan) {
  int64_t hits = 0;
  for (const int64_t anchor : anchors)
    for (int64_t t = std::max<int64_t>(0, anchor - after_preplan); t <= anchor; ++t)
      if (preplan[static_cast<size_t>(t)]) {
        ++hits;
        break;
      }
  return static_cast<double>(hits) / static_cast<double>(anchors.size());
}

}  // namespace

HeadGroups group_by_span(std::span<const double> spans, double share) {
  std::vector<size_t> order;
  for (size_t head = 0; head < spans.size(); ++head)
    if (!std::isnan(spans[head])) order.push_back(head);
  std::stable_sort(order.begin(), order.end(), [&](size_t a, size_t b) { return spans[a] < spans[b]; });
  const auto most = order.size() / 2;
  const auto count = std::clamp(static_cast<size_t>(std::lround(share * static_cast<double>(order.size()))),
                                std::min<size_t>(1, most), most);
  HeadGroups groups{std::vector<bool>(spans.size()), std::vector<bool>(spans.size())};
  for (size_t i = 0; i < count; ++i) {
    groups.local[order[i]] = true;
    groups.global[order[order.size() - 1 - i]] = true;
  }
  return groups;
}

std::vector<int64_t> peaks(std::span<const double> values, double share) {
  std::vector<int64_t> order;
  for (size_t i = 0; i < values.size(); ++i)
    if (!std::isnan(values[i])) order.push_back(static_cast<int64_t>(i));
  const auto count = static_cast<size_t>(std::lround(share * static_cast<double>(order.size())));
  std::stable_sort(order.begin(), order.end(), [&](int64_t a, int64_t b) {
    return values[static_cast<size_t>(a)] > values[static_cast<size_t>(b)];
  });
  order.resize(count);
  std::sort(order.begin(), order.end());
  return order;
}

std::vector<double> look_back_changes(std::span<const double> waad) {
  std::vector<double> changes(waad.size(), nan);
  for (size_t t = 0; t + 1 < waad.size(); ++t) changes[t] = std::abs(waad[t] - waad[t + 1]);
  return changes;
}

CoOccurrence co_occurrence(std::span<const int64_t> anchors, std::span<const int64_t> preplans, int64_t n,
                           uint64_t seed) {
  CoOccurrence result;
  if (anchors.empty() || preplans.empty()) return result;
  std::vector<bool> marks(static_cast<size_t>(n), false);
  for (const int64_t t : preplans) marks[static_cast<size_t>(t)] = true;
  result.observed = share_following(anchors, marks);
  std::mt19937_64 random(seed);
  double sum = 0.0;
  int reached = 1;
  for (int s = 0; s < shuffles; ++s) {
    for (size_t i = marks.size(); i > 1; --i) {  // std::shuffle differs between libraries
      const size_t j = random() % i;
      const bool swapped = marks[i - 1];
      marks[i - 1] = marks[j];
      marks[j] = swapped;
    }
    const double share = share_following(anchors, marks);
    sum += share;
    reached += share >= result.observed ? 1 : 0;
  }
  result.shuffled = sum / shuffles;
  result.p_value = static_cast<double>(reached) / (shuffles + 1);
  return result;
}

void add_rhythm(const GroupSums& sums, const Settings& settings, ScoreSheet& sheet) {
  const Capture& capture = sheet.capture();
  const int64_t n = capture.n_token();
  if (sums.local == 0 || sums.global == 0) {
    sheet.findings.emplace_back("Rhythm: one head is no two groups; there is nothing to compare.");
    return;
  }
  std::vector<double> waad(sums.waad), influence(sums.influence);
  for (double& value : waad) value /= static_cast<double>(sums.local);
  for (double& value : influence) value /= static_cast<double>(sums.global);
  for (int64_t t = 0; t < std::min(n, settings.response_from); ++t) waad[static_cast<size_t>(t)] = nan;
  const std::vector<int64_t> preplans = peaks(look_back_changes(waad), settings.peak_share),
                             anchors = peaks(influence, settings.peak_share);
  Table tokens{"tokens", {"position", "token", "waad", "fai", "preplan", "anchor"}, {}};
  const auto among = [](const std::vector<int64_t>& list, int64_t t) {
    return int64_t{std::binary_search(list.begin(), list.end(), t) ? 1 : 0};
  };
  for (int64_t t = 0; t < n; ++t)
    tokens.rows.push_back({t, display_text(capture.tokens[static_cast<size_t>(t)]),
                           waad[static_cast<size_t>(t)], influence[static_cast<size_t>(t)],
                           among(preplans, t), among(anchors, t)});
  sheet.tables.push_back(std::move(tokens));
  const CoOccurrence together = co_occurrence(anchors, preplans, n, settings.seed);
  if (std::isnan(together.observed)) {
    sheet.findings.push_back(
        fmt::format("Rhythm: {} tokens are too few for an anchor, which needs rows {} tokens later.", n,
                    settings.influence_from));
    return;
  }
  sheet.findings.push_back(fmt::format(
      "Rhythm: {:.1f} % of the {} anchors lie on a preplan token or within {} after one, {:.1f} % when the "
      "preplan tokens are shuffled (1,000 times, p = {:.3f}).",
      100.0 * together.observed, anchors.size(), after_preplan, 100.0 * together.shuffled, together.p_value));
}

}  // namespace saccade::head_scores
