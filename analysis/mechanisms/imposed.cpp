#include "analysis/mechanisms/imposed.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <limits>
#include <map>

#include "analysis/methods/head_scores/row_math.h"

namespace saccade::mechanisms {
namespace {

constexpr double nan = std::numeric_limits<double>::quiet_NaN();
constexpr int64_t recalled_keys = 10, baseline_sinks = 4;

// p on the keys kept, renormalised; a row that loses all of its weight looks evenly at what is left.
Matrix masked(const Matrix& weights, const KeyMask& mask) {
  Matrix map = weights;
  for (int64_t i = 0; i < map.rows; ++i) {
    double sum = 0.0;
    for (int64_t j = 0; j < map.columns; ++j)
      if (mask.sees(i, j))
        sum += map.at(i, j);
      else
        map.at(i, j) = 0.0;
    if (sum <= 0.0)
      for (int64_t j = 0; j < map.columns; ++j) map.at(i, j) = mask.sees(i, j) ? 1.0 : 0.0;
    normalise(map.row(i));
  }
  return map;
}

double overlap(const Matrix& a, const Matrix& b) {
  double sum = 0.0;
  for (size_t at = 0; at < a.values.size(); ++at) sum += std::min(a.values[at], b.values[at]);
  return sum / static_cast<double>(std::max<int64_t>(a.rows, 1));
}

double change_of_output(const HeadView& head, const Matrix& map) {
  if (head.v.rows == 0) return nan;
  Matrix difference = map;
  for (size_t at = 0; at < map.values.size(); ++at) difference.values[at] -= head.weights.values[at];
  const Matrix moved = weighted(difference, head.v), before = weighted(head.weights, head.v);
  const double length = std::sqrt(dot(before.values, before.values));
  return length > 0.0 ? std::sqrt(dot(moved.values, moved.values)) / length : nan;
}

double recall_of(const HeadView& head, const Imposed& imposed, const Matrix& map) {
  double sum = 0.0;
  for (int64_t i = 0; i < head.n(); ++i) {
    const int64_t count = std::min(recalled_keys, head.visible.count(i));
    if (count == 0) continue;
    std::vector<int64_t> strongest = top_indices(head.weights.row(i), count), chosen;
    if (!imposed.mask) chosen = top_indices(map.row(i), count);
    const auto found = std::count_if(strongest.begin(), strongest.end(), [&](int64_t j) {
      return imposed.mask ? imposed.mask->sees(i, j)
                          : std::find(chosen.begin(), chosen.end(), j) != chosen.end();
    });
    sum += static_cast<double>(found) / static_cast<double>(count);
  }
  return sum / static_cast<double>(std::max<int64_t>(head.n(), 1));
}

double divergence_of(const Matrix& p, const Matrix& w) {
  double sum = 0.0;
  for (size_t at = 0; at < p.values.size(); ++at) {
    if (p.values[at] <= 0.0) continue;
    if (w.values[at] <= 0.0) return std::numeric_limits<double>::infinity();
    sum += p.values[at] * std::log(p.values[at] / w.values[at]);
  }
  return sum / static_cast<double>(std::max<int64_t>(p.rows, 1));
}

// Means over rows of at least two visible keys.
void compare_order(const HeadView& head, const Matrix& map, ImposedScores& scores) {
  double spearman = 0.0, discordant = 0.0, ordered = 0.0, rows = 0.0;
  std::vector<float> p, w;
  for (int64_t i = 0; i < head.n(); ++i) {
    p.clear();
    w.clear();
    for (int64_t j = 0; j < map.columns; ++j)
      if (head.visible.sees(i, j)) {
        p.push_back(static_cast<float>(head.weights.at(i, j)));
        w.push_back(static_cast<float>(map.at(i, j)));
      }
    if (p.size() < 2) continue;
    const auto order = head_scores::monotonicity(p, w);
    rows += 1.0;
    discordant += order.discordant;
    if (std::isnan(order.spearman)) continue;
    ordered += 1.0;
    spearman += order.spearman;
  }
  scores.spearman = ordered > 0.0 ? spearman / ordered : nan;
  scores.discordant = rows > 0.0 ? discordant / rows : nan;
}

std::vector<KeyRange> ranges_of(const std::vector<int64_t>& ascending) {
  std::vector<KeyRange> ranges;
  for (const int64_t at : ascending)
    if (!ranges.empty() && ranges.back().end == at)
      ++ranges.back().end;
    else
      ranges.push_back({at, at + 1});
  return ranges;
}

// Rows by the keys they lose. open: keys that count as lost although the model hides them anyway.
std::map<std::string, std::vector<int64_t>> rows_by_loss(const KeyMask& mask, const KeyMask& visible,
                                                         bool open) {
  std::map<std::string, std::vector<int64_t>> rows;
  for (int64_t i = 0; i < mask.queries(); ++i) {
    std::vector<int64_t> lost;
    bool any = false;
    for (int64_t j = 0; j < mask.keys(); ++j)
      if (!mask.sees(i, j)) {
        any = any || visible.sees(i, j);
        if (open || visible.sees(i, j)) lost.push_back(j);
      }
    if (any) rows[range_text(ranges_of(lost))].push_back(i);
  }
  return rows;
}

}  // namespace

Matrix imposed_map(const HeadView& head, const Imposed& imposed, bool widens) {
  if (imposed.weights) return *imposed.weights;
  if (!widens) {
    KeyMask mask = *imposed.mask;
    mask &= head.visible;
    mask.keep_diagonal_of_empty_rows();
    return masked(head.weights, mask);
  }
  Matrix map = products(head.q, head.k, head.scale);
  for (int64_t i = 0; i < map.rows; ++i) {
    for (int64_t j = 0; j < map.columns; ++j)
      if (!imposed.mask->sees(i, j)) map.at(i, j) = -std::numeric_limits<double>::infinity();
    softmax(map.row(i));
  }
  return map;
}

KeyMask oracle_mask(const Matrix& weights, const KeyMask& kept) {
  KeyMask mask(kept.queries(), kept.keys());
  for (int64_t i = 0; i < kept.queries(); ++i)
    for (const int64_t j : top_indices(weights.row(i), kept.count(i))) mask.show(i, j);
  return mask;
}

KeyMask recent_mask(const KeyMask& visible, const KeyMask& kept, int64_t sinks) {
  KeyMask mask(kept.queries(), kept.keys());
  for (int64_t i = 0; i < kept.queries(); ++i) {
    int64_t left = kept.count(i);
    const auto show = [&](int64_t j) {
      if (left == 0 || j < 0 || j >= kept.keys() || !visible.sees(i, j) || mask.sees(i, j)) return;
      mask.show(i, j);
      --left;
    };
    show(i);
    for (int64_t j = 0; j < sinks; ++j) show(j);
    for (int64_t away = 1; left > 0 && away < kept.keys(); ++away) {
      show(i - away);
      show(i + away);
    }
  }
  return mask;
}

ImposedScores score(const HeadView& head, const Imposed& imposed, const Matrix& map, bool widens) {
  KeyMask kept(head.n(), head.visible.keys());
  for (int64_t i = 0; i < head.n(); ++i)
    for (int64_t j = 0; j < head.visible.keys(); ++j)
      if (head.visible.sees(i, j) && (imposed.mask ? imposed.mask->sees(i, j) : map.at(i, j) > 0.0))
        kept.show(i, j);
  if (!widens) kept.keep_diagonal_of_empty_rows();
  ImposedScores scores;
  scores.density = density(kept, head.visible);
  scores.kept = overlap(head.weights, map);
  scores.recall = recall_of(head, imposed, map);
  scores.change = change_of_output(head, map);
  scores.divergence = divergence_of(head.weights, map);
  scores.spearman = scores.discordant = nan;
  if (imposed.weights) compare_order(head, map, scores);
  const Matrix oracle = masked(head.weights, oracle_mask(head.weights, kept)),
               recent = masked(head.weights, recent_mask(head.visible, kept, baseline_sinks));
  scores.oracle_kept = overlap(head.weights, oracle);
  scores.recent_kept = overlap(head.weights, recent);
  scores.oracle_change = change_of_output(head, oracle);
  scores.recent_change = change_of_output(head, recent);
  return scores;
}

std::vector<std::string> knockouts(const KeyMask& mask, const KeyMask& visible, std::string_view heads) {
  const auto closed = rows_by_loss(mask, visible, false), open = rows_by_loss(mask, visible, true);
  std::vector<std::string> edits;
  for (const auto& [keys, rows] : open.size() < closed.size() ? open : closed)
    edits.push_back(fmt::format("knockout {} query={} key={}", heads, range_text(ranges_of(rows)), keys));
  return edits;
}

}  // namespace saccade::mechanisms
