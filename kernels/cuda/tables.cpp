#include "kernels/cuda/tables.h"

#include <algorithm>
#include <cstring>
#include <limits>

namespace saccade::cuda {
namespace {

// Key sets, edits and their numbers, in the order the kernels walk them.
struct Flattener {
  std::vector<RangeRecord> ranges;
  std::vector<EditRecord> edits;
  std::vector<float> numbers;

  Span add(const KeySet& keys) {
    Span span{static_cast<int32_t>(ranges.size()), 0};
    int64_t before = 0;
    for (const KeyRange& range : keys) {
      ranges.push_back({range.begin, range.end, before});
      before += range.end - range.begin;
    }
    span.end = static_cast<int32_t>(ranges.size());
    return span;
  }

  int64_t add(const std::vector<float>& values) {
    if (values.empty()) return -1;
    const auto at = static_cast<int64_t>(numbers.size());
    numbers.insert(numbers.end(), values.begin(), values.end());
    return at;
  }

  EditRecord record(const ScoreEdit& edit) {
    EditRecord r;
    r.kind = static_cast<int32_t>(edit.kind);
    r.value = edit.value;
    r.keys = add(edit.keys);
    r.sink = edit.sink;
    r.recent = edit.recent;
    return r;
  }
  EditRecord record(const WeightEdit& edit) {
    EditRecord r;
    r.kind = static_cast<int32_t>(edit.kind);
    r.value = edit.value;
    r.keys = add(edit.keys);
    r.to = add(edit.to);
    r.among = add(edit.among);
    r.values = add(edit.values);
    r.least_mass = edit.least_mass;
    r.least_share = edit.least_share;
    r.block = add(edit.block);
    r.block_first_key = edit.block_first_key;
    r.block_columns = edit.block_columns;
    r.rescale = edit.rescale;
    return r;
  }
  EditRecord record(const OutputEdit& edit) {
    EditRecord r;
    r.value = edit.factor;
    r.values = add(edit.scale);
    r.offset = add(edit.offset);
    return r;
  }

  template <class Edit>
  Span add(const std::vector<Edit>& list) {
    Span span{static_cast<int32_t>(edits.size()), 0};
    for (const Edit& edit : list) {
      edits.push_back(record(edit));
      edits.back().query_begin = edit.query.begin;
      edits.back().query_end = edit.query.end;
    }
    span.end = static_cast<int32_t>(edits.size());
    return span;
  }
};

template <class T>
const T* pointer(const void* base, int64_t offset) {
  return offset < 0 ? nullptr : reinterpret_cast<const T*>(static_cast<const std::byte*>(base) + offset);
}

template <class T>
T* scratch_pointer(std::byte* base, int64_t offset) {
  return offset < 0 ? nullptr : reinterpret_cast<T*>(base + offset);
}

HeadsRecord heads_of(const HeadsView& view, int64_t d_head) {
  const int64_t piece = view.bf16 ? 8 : 4;
  const void* data = view.bf16 ? static_cast<const void*>(view.bf16) : view.data;
  const bool aligned = d_head % piece == 0 && view.token_stride % piece == 0 &&
                       view.head_stride % piece == 0 && reinterpret_cast<uintptr_t>(data) % 16 == 0;
  return {data, view.token_stride, view.head_stride, aligned};
}

template <class Input>
Parameters common_parameters(const Input& in, const TableBlock& tables, const void* table_base) {
  const AttentionShape& s = in.shape;
  Parameters p;
  p.n_query = static_cast<int32_t>(s.n_query);
  p.n_key = static_cast<int32_t>(s.n_key);
  p.n_head = static_cast<int32_t>(s.n_head);
  p.n_kv_head = static_cast<int32_t>(s.n_kv_head);
  p.d_head = static_cast<int32_t>(s.d_head);
  p.first_query = static_cast<int32_t>(s.first_query);
  p.group = p.n_head / p.n_kv_head;
  p.causal = in.mask.causal;
  p.window = static_cast<int32_t>(std::min<int64_t>(in.mask.window, std::numeric_limits<int32_t>::max()));
  p.prefix = static_cast<int32_t>(std::min(in.mask.prefix, in.shape.n_key));
  p.scale = in.scores.scale;
  p.softcap = in.scores.softcap;
  p.q = heads_of(in.q, s.d_head);
  p.k = heads_of(in.k, s.d_head);
  p.tables = tables.bind(table_base);
  p.n_plain = tables.n_plain();
  p.n_edited = tables.n_edited();
  return p;
}

int32_t count_masses(const AttentionOutput& out) {
  return static_cast<int32_t>(
      std::count_if(out.key_masses.begin(), out.key_masses.end(), [](const KeyMass& m) { return m.mass; }));
}

bool regenerates_maps(const AttentionOutput& out) {
  return out.received || out.received_max || out.received_blocks || out.block_max || out.block_mass ||
         count_masses(out) > 0 || (out.top_k > 0 && (out.top_weight || out.top_key));
}

// Rows that are worked on whole, one per thread block at a time: as many as keep a large device busy where
// heads are edited, a few where only values that are not finite lead there; 64 MiB of them at most.
int64_t row_slots(const AttentionInput& in) {
  const bool usual = in.shape.d_head > largest_tiled_head ||
                     std::any_of(in.edits.begin(), in.edits.end(), [](const auto& p) { return !p.empty(); });
  constexpr int64_t most_numbers = int64_t{16} << 20;
  const int64_t most = std::max<int64_t>(1, most_numbers / std::max<int64_t>(in.shape.n_key, 1));
  return std::clamp<int64_t>(in.shape.n_head * in.shape.n_query, 1,
                             std::min<int64_t>(usual ? 528 : 66, most));
}

int64_t factors_of(const AttentionInput& in, size_t head) {
  return in.edits.empty() ? 0 : row_factor_count(in.edits[head]) * in.shape.n_query;
}

}  // namespace

template <class T>
int64_t TableBlock::add(std::span<const T> items) {
  if (items.empty()) return -1;
  const size_t at = (bytes_.size() + 15) / 16 * 16;
  bytes_.resize(at + items.size_bytes());
  std::memcpy(bytes_.data() + at, items.data(), items.size_bytes());
  return static_cast<int64_t>(at);
}

void TableBlock::add_mask(const AttentionMask& mask, const AttentionScores& scores) {
  at_.slopes = add(scores.slopes);
  std::vector<EdgeRect> cuts;
  std::vector<Span> cuts_of;
  for (const std::vector<EdgeRect>& list : mask.knockouts) {
    const auto begin = static_cast<int32_t>(cuts.size());
    cuts.insert(cuts.end(), list.begin(), list.end());
    cuts_of.push_back({begin, static_cast<int32_t>(cuts.size())});
  }
  if (cuts.empty()) return;
  at_.cuts_of = add<Span>(cuts_of);
  at_.cuts = add<EdgeRect>(cuts);
}

void TableBlock::add_edits(std::span<const HeadPlan> plans, int64_t n_head, std::span<const KeyMass> masses) {
  Flattener flat;
  std::vector<PlanRecord> records;
  std::vector<int32_t> plain, edited;
  for (int64_t head = 0; head < n_head; ++head) {
    const bool touched = !plans.empty() && !plans[static_cast<size_t>(head)].empty();
    (touched ? edited : plain).push_back(static_cast<int32_t>(head));
    if (plans.empty()) continue;
    const HeadPlan& plan = plans[static_cast<size_t>(head)];
    PlanRecord record;
    record.scores = flat.add(plan.scores);
    record.weights = flat.add(plan.weights);
    record.outputs = flat.add(plan.outputs);
    records.push_back(record);
  }
  std::vector<Span> sets;
  std::vector<float*> mass_pointers;
  for (const KeyMass& mass : masses) {
    if (!mass.mass) continue;
    sets.push_back(flat.add(mass.keys));
    mass_pointers.push_back(mass.mass);
  }
  n_plain_ = static_cast<int32_t>(plain.size());
  n_edited_ = static_cast<int32_t>(edited.size());
  if (n_edited_ > 0) at_.plans = add<PlanRecord>(records);
  at_.edits = add<EditRecord>(flat.edits);
  at_.ranges = add<RangeRecord>(flat.ranges);
  at_.numbers = add<float>(flat.numbers);
  at_.mass_sets = add<Span>(sets);
  at_.masses = add<float*>(mass_pointers);
  at_.plain_heads = add<int32_t>(plain);
  at_.edited_heads = add<int32_t>(edited);
}

TableBlock TableBlock::of(const AttentionInput& in, const AttentionOutput& out,
                          const std::vector<float*>& row_factors) {
  TableBlock block;
  block.add_mask(in.mask, in.scores);
  block.add_edits(in.edits, in.shape.n_head, out.key_masses);
  block.at_.row_factors = block.add<float*>(row_factors);
  return block;
}

TableBlock TableBlock::of(const TileInput& in) {
  TableBlock block;
  block.add_mask(in.mask, in.scores);
  block.add_edits(in.edits, in.shape.n_head, {});
  block.at_.row_factors = block.add<const float*>(in.row_factors);
  return block;
}

Tables TableBlock::bind(const void* base) const {
  Tables t;
  t.slopes = pointer<float>(base, at_.slopes);
  t.cuts_of = pointer<Span>(base, at_.cuts_of);
  t.cuts = pointer<EdgeRect>(base, at_.cuts);
  t.plans = pointer<PlanRecord>(base, at_.plans);
  t.edits = pointer<EditRecord>(base, at_.edits);
  t.ranges = pointer<RangeRecord>(base, at_.ranges);
  t.numbers = pointer<float>(base, at_.numbers);
  t.row_factors = pointer<float*>(base, at_.row_factors);
  t.mass_sets = pointer<Span>(base, at_.mass_sets);
  t.masses = pointer<float*>(base, at_.masses);
  t.plain_heads = pointer<int32_t>(base, at_.plain_heads);
  t.edited_heads = pointer<int32_t>(base, at_.edited_heads);
  return t;
}

ScratchPlan plan_scratch(const AttentionInput& in, const AttentionOutput& out, Layout& layout) {
  const AttentionShape& s = in.shape;
  constexpr auto number = static_cast<int64_t>(sizeof(float));
  ScratchPlan plan;
  const bool maps = regenerates_maps(out);
  if (maps) {
    plan.highest = layout.reserve(s.n_head * s.n_query * number);
    plan.inverse = layout.reserve(s.n_head * s.n_query * number);
  }
  plan.value_norms = layout.reserve(s.n_kv_head * s.n_key * number);
  plan.broken = layout.reserve(s.n_kv_head * number);
  plan.row_slots = static_cast<int32_t>(row_slots(in));
  plan.rows = layout.reserve(plan.row_slots * s.n_key * number);
  plan.splits = static_cast<int32_t>(std::max<int64_t>(1, (s.n_key + decode_keys - 1) / decode_keys));
  if (s.n_query <= decode_rows)
    plan.partials = layout.reserve(s.n_query * s.n_head * plan.splits * (partial_header + s.d_head) * number);
  int64_t factors = 0;
  for (size_t head = 0; maps && head < in.edits.size(); ++head)
    if (out.row_factors.empty() || !out.row_factors[head]) factors += factors_of(in, head);
  if (factors > 0) plan.row_factors = layout.reserve(factors * number);
  return plan;
}

std::vector<float*> row_factors_of(const AttentionInput& in, const AttentionOutput& out,
                                   const ScratchPlan& plan, std::byte* base) {
  std::vector<float*> pointers(in.edits.size(), nullptr);
  auto* room = scratch_pointer<float>(base, plan.row_factors);
  for (size_t head = 0; head < pointers.size(); ++head) {
    const int64_t count = factors_of(in, head);
    if (count == 0) continue;
    if (!out.row_factors.empty() && out.row_factors[head]) {
      pointers[head] = out.row_factors[head];
    } else if (room) {
      pointers[head] = room;
      room += count;
    }
  }
  return pointers;
}

Parameters parameters_of(const AttentionInput& in, const AttentionOutput& out, const TableBlock& tables,
                         const void* table_base, const ScratchPlan& scratch, std::byte* scratch_base) {
  Parameters p = common_parameters(in, tables, table_base);
  p.v = heads_of(in.v, in.shape.d_head);
  p.n_mass = count_masses(out);
  p.work.value_norms = scratch_pointer<float>(scratch_base, scratch.value_norms);
  p.work.broken = scratch_pointer<int32_t>(scratch_base, scratch.broken);
  p.work.highest = scratch_pointer<float>(scratch_base, scratch.highest);
  p.work.inverse = scratch_pointer<float>(scratch_base, scratch.inverse);
  p.work.rows = scratch_pointer<float>(scratch_base, scratch.rows);
  p.work.row_slots = scratch.row_slots;
  p.work.partials = scratch_pointer<float>(scratch_base, scratch.partials);
  p.work.splits = scratch.splits;
  p.z = out.z.data;
  p.z_token_stride = out.z.token_stride;
  p.z_head_stride = out.z.head_stride;
  p.lse = out.lse;
  p.entropy = out.entropy;
  p.max_weight = out.max_weight;
  p.max_key = out.max_key;
  p.sink_mass = out.sink_mass;
  p.local_mass = out.local_mass;
  p.mean_distance = out.mean_distance;
  p.value_mass = out.value_mass;
  p.received = out.received;
  p.received_max = out.received_max;
  constexpr int64_t most = std::numeric_limits<int32_t>::max();
  p.sink_keys = static_cast<int32_t>(std::min(out.sink_keys, most));
  p.local_width = static_cast<int32_t>(std::min(out.local_width, most));
  p.block_size = static_cast<int32_t>(std::min(out.block_size, most));
  if (p.block_size > 0) {
    p.received_blocks = out.received_blocks;
    p.block_max = out.block_max;
    p.block_mass = out.block_mass;
  }
  p.top_k = out.top_k;
  p.top_weight = out.top_weight;
  p.top_key = out.top_key;
  return p;
}

Parameters parameters_of(const TileInput& in, const TableBlock& tables, const void* table_base) {
  Parameters p = common_parameters(in, tables, table_base);
  p.lse = const_cast<float*>(in.lse);
  return p;
}

TileParameters tile_parameters_of(const AttentionShape& shape, const TileRequest& request,
                                  const TileOutput& out) {
  TileParameters t;
  const int64_t first = shape.first_query;
  t.head = static_cast<int32_t>(request.head);
  t.row_begin = static_cast<int32_t>(request.rows_begin - first);
  t.row_end = static_cast<int32_t>(request.rows_end - first);
  t.key_begin = static_cast<int32_t>(request.columns_begin);
  t.key_end = static_cast<int32_t>(request.columns_end);
  // A block larger than the rectangle is the rectangle.
  const int64_t whole = std::max<int64_t>(
      {request.rows_end - request.rows_begin, request.columns_end - request.columns_begin, 1});
  t.lod = static_cast<int32_t>(std::min(request.lod, whole));
  t.block_max = out.block_max;
  t.block_mass = out.block_mass;
  return t;
}

bool fits_32_bits(const AttentionShape& shape) {
  // Half the range, so that sums of two positions fit too.
  constexpr int64_t most = std::numeric_limits<int32_t>::max() / 2;
  return shape.n_query <= most && shape.n_key <= most && shape.first_query <= most &&
         shape.first_query + shape.n_query <= most && shape.n_head <= 65535 && shape.d_head <= most;
}

}  // namespace saccade::cuda
