#include "core/run/edit_plan.h"

#include <algorithm>
#include <limits>

#include "core/run/edit_verbs.h"

namespace saccade {
namespace {

constexpr int64_t every_key = std::numeric_limits<int32_t>::max();  // positions never reach it

// Edits are local to rows: several ranges of queries are as many edits after each other.
std::vector<PositionRange> query_ranges(const Edit& edit) {
  return edit.query ? edit.query->ranges() : std::vector<PositionRange>{{0, PositionRange::open_end}};
}

KeySet others(const KeySet& keys) {
  KeySet rest;
  int64_t begin = 0;
  for (const KeyRange& range : keys) {
    if (range.begin > begin) rest.push_back({begin, range.begin});
    begin = range.end;
  }
  if (begin < every_key) rest.push_back({begin, every_key});
  return rest;
}

void cut(const Edit& edit, const PositionRange& query, std::vector<EdgeRect>& rects) {
  for (const KeyRange& range : key_set(edit.key))
    rects.push_back({query.begin, std::min(query.end, every_key), range.begin, range.end});
}

ScoreEditKind score_kind(EditVerb verb) {
  if (verb == EditVerb::temperature) return ScoreEditKind::temperature;
  if (verb == EditVerb::boost) return ScoreEditKind::boost;
  if (verb == EditVerb::stream) return ScoreEditKind::stream;
  return ScoreEditKind::bias;
}

ScoreEdit score_edit(const Edit& edit, const PositionRange& query) {
  ScoreEdit score;
  score.kind = score_kind(edit.verb);
  score.query = {query.begin, query.end};
  score.value = static_cast<float>(edit.by);
  if (edit.verb == EditVerb::stream) {
    score.sink = edit.sink;
    score.recent = edit.recent;
  } else {
    score.keys = key_set(edit.key);
  }
  return score;
}

WeightEditKind weight_kind(EditVerb verb) {
  if (verb == EditVerb::identity) return WeightEditKind::identity;
  if (verb == EditVerb::column_scale) return WeightEditKind::scale_columns;
  if (verb == EditVerb::redistribute) return WeightEditKind::redistribute;
  if (verb == EditVerb::power) return WeightEditKind::power;
  if (verb == EditVerb::sharpen) return WeightEditKind::sharpen;
  return WeightEditKind::uniform;  // uniform, force
}

void add_weight_edits(const Edit& edit, const PositionRange& query, std::vector<WeightEdit>& weights) {
  WeightEdit weight;
  weight.kind = weight_kind(edit.verb);
  weight.query = {query.begin, query.end};
  weight.value = static_cast<float>(edit.by);
  const bool on_keys = weight.kind == WeightEditKind::scale_columns ||
                       weight.kind == WeightEditKind::redistribute || weight.kind == WeightEditKind::uniform;
  if (on_keys) weight.keys = key_set(edit.key);
  if (weight.kind == WeightEditKind::redistribute) {
    weight.to = edit.to ? key_set(edit.to) : others(weight.keys);
    if (edit.within) weight.among = key_set(edit.within);
    weight.least_mass = static_cast<float>(edit.least_mass);
    weight.least_share = static_cast<float>(edit.least_share);
  }
  weights.push_back(std::move(weight));
  if (edit.verb == EditVerb::column_scale && edit.renormalise.value_or(false)) {
    WeightEdit sum_to_one;
    sum_to_one.query = {query.begin, query.end};
    weights.push_back(std::move(sum_to_one));
  }
}

WeightEdit replacement(const Edit& edit, PatternBlock block) {
  WeightEdit weight;
  weight.kind = WeightEditKind::replace;
  weight.query = {block.query.begin, block.query.end};
  weight.keys = {{block.key.begin, block.key.end}};
  weight.block = std::move(block.values);
  weight.block_first_key = block.key.begin;
  weight.block_columns = block.key.end - block.key.begin;
  weight.rescale = edit.renormalise.value_or(true);
  return weight;
}

Result<void> add_to(HeadPlan& plan, const Edit& edit, HeadId head, const FindPattern& find_pattern) {
  if (edit.verb == EditVerb::pattern && !edit.query) {
    SACCADE_TRY(PatternBlock block, find_pattern(edit, head, std::nullopt));
    plan.weights.push_back(replacement(edit, std::move(block)));
    return {};
  }
  for (const PositionRange& query : query_ranges(edit)) {
    if (edit.verb == EditVerb::pattern) {
      SACCADE_TRY(PatternBlock block, find_pattern(edit, head, query));
      plan.weights.push_back(replacement(edit, std::move(block)));
    } else if (info_of(edit.verb).stage == EditStage::scores) {
      plan.scores.push_back(score_edit(edit, query));
    } else {
      add_weight_edits(edit, query, plan.weights);
    }
  }
  return {};
}

}  // namespace

KeySet key_set(const std::optional<PositionSet>& keys) {
  if (!keys) return {{0, every_key}};
  KeySet set;
  for (const PositionRange& range : keys->ranges())
    set.push_back({range.begin, std::min(range.end, every_key)});
  return set;
}

Result<LayerPlan> plan_of(std::span<const Edit> edits, int32_t layer, const ModelSpec& spec,
                          const FindPattern& find_pattern) {
  LayerPlan plan;
  for (const Edit& edit : edits) {
    const EditStage stage = info_of(edit.verb).stage;
    const auto* target = std::get_if<HeadTarget>(&edit.target);
    if (stage == EditStage::values || !target || !target->layers.contains(layer) || !has_effect(edit))
      continue;
    if (edit.verb == EditVerb::order_free) {
      plan.segments = edit.segments;
      continue;
    }
    if (moves_positions(edit.verb)) continue;
    if (stage == EditStage::mask)
      plan.knockouts.resize(static_cast<size_t>(spec.n_head));
    else
      plan.heads.resize(static_cast<size_t>(spec.n_head));
    for (int32_t head = 0; head < spec.n_head; ++head) {
      if (!target->heads.contains(head)) continue;
      const auto h = static_cast<size_t>(head);
      if (stage == EditStage::mask)
        for (const PositionRange& query : query_ranges(edit)) cut(edit, query, plan.knockouts[h]);
      else
        SACCADE_CHECK(add_to(plan.heads[h], edit, {LayerIndex{layer}, HeadIndex{head}}, find_pattern));
    }
  }
  return plan;
}

}  // namespace saccade
