#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "kernels/attention_checks.h"

namespace saccade {
namespace {

Error bad(const std::string& what) { return make_error(ErrorCode::invalid_argument, what); }

Result<void> check_keys(const KeySet& keys) {
  int64_t last = 0;
  for (const KeyRange& range : keys) {
    if (range.begin < last || range.end < range.begin)
      return bad(
          fmt::format("key set: {}:{} after position {}; expected sorted ranges from 0 that do not overlap",
                      range.begin, range.end, last));
    last = range.end;
  }
  return {};
}

Result<void> check_query(const QueryRange& query) {
  if (query.begin < 0 || query.end < query.begin)
    return bad(fmt::format("query range {}:{} is not a range from 0", query.begin, query.end));
  return {};
}

Result<void> check_finite(const char* name, const std::vector<float>& values) {
  const auto at = std::find_if(values.begin(), values.end(), [](float x) { return !std::isfinite(x); });
  if (at == values.end()) return {};
  return bad(fmt::format("{}[{}] is {}, not a finite number", name, at - values.begin(), *at));
}

Result<void> check_value(float value, bool positive) {
  if (std::isfinite(value) && (!positive || value > 0.0f)) return {};
  return bad(fmt::format("value {} is not a {} number", value, positive ? "positive" : "finite"));
}

Result<void> check_edit(const ScoreEdit& edit) {
  SACCADE_CHECK(check_query(edit.query));
  SACCADE_CHECK(check_keys(edit.keys));
  if (edit.kind == ScoreEditKind::stream && (edit.sink < 0 || edit.recent < 0))
    return bad(fmt::format("{} sink and {} recent keys must not be negative", edit.sink, edit.recent));
  return check_value(edit.value, edit.kind == ScoreEditKind::temperature);
}

bool overlap(const KeySet& a, const KeySet& b) {
  for (const KeyRange& x : a)
    for (const KeyRange& y : b)
      if (std::max(x.begin, y.begin) < std::min(x.end, y.end)) return true;
  return false;
}

// Whether all of `part` is in `whole`.
bool inside(const KeySet& part, const KeySet& whole) {
  return std::all_of(part.begin(), part.end(), [&](const KeyRange& range) {
    int64_t next = range.begin;
    for (const KeyRange& held : whole)
      if (held.begin <= next) next = std::max(next, held.end);
    return next >= range.end;
  });
}

Result<void> check_block(const WeightEdit& edit) {
  const int64_t rows = edit.query.end - edit.query.begin, columns = edit.block_columns;
  const auto cells = static_cast<int64_t>(edit.block.size());
  if (edit.block_first_key < 0 || columns < 0 || (columns > 0 && rows > cells / columns) ||
      rows * columns != cells)
    return bad(fmt::format("a block of {} weights for queries {}:{} and {} keys from {}", cells,
                           edit.query.begin, edit.query.end, columns, edit.block_first_key));
  SACCADE_CHECK(check_finite("block", edit.block));
  constexpr double tolerance = 1e-4;  // rows of a map sum to 1 within float32's rounding
  for (int64_t row = 0; edit.rescale && row < rows; ++row) {
    double sum = 0.0;
    for (int64_t j = 0; j < columns; ++j) sum += edit.block[static_cast<size_t>(row * columns + j)];
    if (sum > 1.0 + tolerance)
      return bad(
          fmt::format("row {} of the block sums to {}; nothing can make the whole row sum to 1", row, sum));
  }
  return {};
}

Result<void> check_edit(const WeightEdit& edit) {
  SACCADE_CHECK(check_query(edit.query));
  SACCADE_CHECK(check_keys(edit.keys));
  SACCADE_CHECK(check_keys(edit.to));
  SACCADE_CHECK(check_keys(edit.among));
  SACCADE_CHECK(
      check_value(edit.value, edit.kind == WeightEditKind::power || edit.kind == WeightEditKind::sharpen));
  switch (edit.kind) {
    case WeightEditKind::scale_columns:
      if (!edit.values.empty() && static_cast<int64_t>(edit.values.size()) != size_of(edit.keys))
        return bad(fmt::format("{} factors for {} keys", edit.values.size(), size_of(edit.keys)));
      return check_finite("values", edit.values);
    case WeightEditKind::redistribute:
      if (overlap(edit.keys, edit.to)) return bad("the sets that give and take weight overlap");
      if (!edit.among.empty() && !inside(edit.to, edit.among))
        return bad("a row test counts only some of the keys that take weight");
      if (!std::isfinite(edit.least_mass) || !std::isfinite(edit.least_share))
        return bad(fmt::format("least mass {} and least share {} are not finite numbers", edit.least_mass,
                               edit.least_share));
      return {};
    case WeightEditKind::replace:
      return check_block(edit);
    case WeightEditKind::renormalise:
    case WeightEditKind::identity:
    case WeightEditKind::uniform:
    case WeightEditKind::power:
    case WeightEditKind::sharpen:
      break;
  }
  return {};
}

Result<void> check_edit(const OutputEdit& edit, int64_t d_head) {
  SACCADE_CHECK(check_query(edit.query));
  SACCADE_CHECK(check_value(edit.factor, false));
  const auto fits = [d_head](const std::vector<float>& x) {
    return x.empty() || static_cast<int64_t>(x.size()) == d_head;
  };
  if (!fits(edit.scale) || !fits(edit.offset))
    return bad(fmt::format("{} scales and {} offsets for a head size of {}", edit.scale.size(),
                           edit.offset.size(), d_head));
  SACCADE_CHECK(check_finite("scale", edit.scale));
  return check_finite("offset", edit.offset);
}

}  // namespace

Result<void> check_plan(const HeadPlan& plan, int64_t head, int64_t d_head) {
  const auto named = [head](const char* what, size_t n, Result<void> outcome) -> Result<void> {
    if (outcome.ok()) return outcome;
    return bad(fmt::format("attention: {} edit {} of head {}: {}", what, n, head, outcome.error().message));
  };
  for (size_t n = 0; n < plan.scores.size(); ++n)
    SACCADE_CHECK(named("score", n, check_edit(plan.scores[n])));
  for (size_t n = 0; n < plan.weights.size(); ++n)
    SACCADE_CHECK(named("weight", n, check_edit(plan.weights[n])));
  for (size_t n = 0; n < plan.outputs.size(); ++n)
    SACCADE_CHECK(named("output", n, check_edit(plan.outputs[n], d_head)));
  return {};
}

}  // namespace saccade
