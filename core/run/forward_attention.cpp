// ForwardPass's attention: q, k, v of the rows, the kernels' pass under the layer's plan, z, and z W_O.
#include <algorithm>
#include <cmath>

#include "core/run/forward.h"
#include "core/run/layer_attention.h"
#include "core/run/order_free.h"

namespace saccade {
namespace {

// Where a head's numbers begin in a row of a projection.
struct HeadPlace {
  const float* data = nullptr;
  int64_t row_stride = 0;
  int64_t group = 1, group_stride = 0, head_stride = 0;  // heads in groups that lie group_stride apart

  [[nodiscard]] const float* at(int64_t row, int64_t head) const {
    return data + row * row_stride + head / group * group_stride + head % group * head_stride;
  }
};

void copy_heads(const HeadPlace& from, int64_t rows, int64_t heads, int64_t d, HostTensor& to) {
  to = HostTensor({rows, heads, d}, false);
  float* out = to.mutable_values().data();
  for (int64_t i = 0; i < rows; ++i)
    for (int64_t h = 0; h < heads; ++h, out += d) std::copy_n(from.at(i, h), d, out);
}

}  // namespace

// q, k, v of the rows, edited and recorded.
Result<ForwardPass::Attention> ForwardPass::project(int32_t l, const ops::DeviceTensor& x,
                                                    int64_t first_position, const LayerPlan& plan) {
  SACCADE_TRY(Attention attention, project_rows(l, x, first_position, plan));
  const int64_t rows = x.rows();
  SACCADE_CHECK(replace_inputs(l, attention, first_position));
  SACCADE_CHECK(edit({HookSite::q, l}, attention.q.mutable_values(), rows, first_position));
  SACCADE_CHECK(edit({HookSite::k, l}, attention.k.mutable_values(), rows, first_position));
  SACCADE_CHECK(edit_v(l, attention, first_position));
  if (precision_ == ops::Precision::bf16) round_to_bfloat16(attention);
  record({HookSite::q, l}, attention.q.data(), rows);
  record({HookSite::k, l}, attention.k.data(), rows);
  record_heads({HookSite::v, l}, attention.v, rows, spec_.n_kv_head);
  return attention;
}

namespace {

// Row `row` of KV head `head`. The rows are this pass's own: products of x, never the mapping.
float* own_value(const HeadsView& v, int64_t row, int64_t head) {
  return const_cast<float*>(v.data) + row * v.token_stride + head * v.head_stride;
}

}  // namespace

Result<void> ForwardPass::edit_v(int32_t l, Attention& attention, int64_t first_position) {
  const SiteRef site{HookSite::v, l};
  const int64_t rows = attention.q.shape()[0], d = spec_.d_head, heads = spec_.n_kv_head;
  const std::vector<Segment> segments = segments_of(rows, first_position);
  if (std::none_of(segments.begin(), segments.end(),
                   [&](const Segment& segment) { return segment.edits && segment.edits->acts_on(site); }))
    return {};
  HostTensor values({rows, heads, d}, false);
  float* at = values.mutable_values().data();
  for (int64_t i = 0; i < rows; ++i)
    for (int64_t h = 0; h < heads; ++h) at = std::copy_n(own_value(attention.v, i, h), d, at);
  SACCADE_CHECK(edit(site, values.mutable_values(), rows, first_position));
  const float* from = values.data();
  for (int64_t i = 0; i < rows; ++i)
    for (int64_t h = 0; h < heads; ++h, from += d) std::copy_n(from, d, own_value(attention.v, i, h));
  return {};
}

// Heads with an input of their own: their q, k or v is projected from the residual of another run. The rows
// of all such edits go through the projections together.
Result<void> ForwardPass::replace_inputs(int32_t l, Attention& attention, int64_t first_position) {
  struct Replaced {
    int64_t row;
    const Edit* edit;
  };
  std::vector<Replaced> replaced;
  std::vector<Segment> positions;  // one per replaced row: where it stands
  std::vector<float> inputs;
  int64_t begin = 0;
  for (const Segment& segment : segments_of(attention.q.shape()[0], first_position)) {
    const std::vector<const Edit*> edits =
        segment.edits != nullptr ? segment.edits->input_edits(l) : std::vector<const Edit*>();
    for (const Edit* edit : edits) {
      if (segment.edits == nullptr) break;  // there are none then
      SACCADE_TRY(const HostTensor residual, segment.edits->input_of(*edit, l));
      for (int64_t i = 0; i < segment.rows; ++i) {
        const int64_t position = segment.first_position + i;
        if ((edit->query && !edit->query->contains(position)) || position >= residual.shape()[0]) continue;
        replaced.push_back({begin + i, edit});
        positions.push_back({1, position, nullptr, segment.axes});
        inputs.insert(inputs.end(), residual.slice(position).begin(), residual.slice(position).end());
      }
    }
    begin += segment.rows;
  }
  if (replaced.empty()) return {};
  const auto count = static_cast<int64_t>(replaced.size());
  HostTensor residuals({count, spec_.d_model}, false);
  std::copy(inputs.begin(), inputs.end(), residuals.mutable_values().begin());
  ops::DeviceTensor h = ops::view_of(residuals, count, spec_.d_model);
  if (const Norm& norm = weights_.layers[static_cast<size_t>(l)].norm1;
      spec_.block != BlockKind::post_norm && norm.defined())
    h = plain_norm(norm, h);
  std::swap(segments_, positions);
  Result<Attention> projected = project_rows(l, h, 0, LayerPlan());
  std::swap(segments_, positions);
  if (!projected.ok()) return projected.error();
  for (int64_t i = 0; i < count; ++i)
    copy_part(*replaced[static_cast<size_t>(i)].edit, *projected, i, attention,
              replaced[static_cast<size_t>(i)].row);
  return {};
}

// The part that the edit names, of the heads that it names, from one row to another.
void ForwardPass::copy_part(const Edit& edit, const Attention& from, int64_t from_row, Attention& to,
                            int64_t to_row) const {
  const int64_t d = spec_.d_head;
  for (int32_t head = 0; head < spec_.n_head; ++head) {
    if (!std::get<HeadTarget>(edit.target).heads.contains(head)) continue;
    const int64_t kv = spec_.kv_head_of(head);
    if (edit.at == HeadPart::q_input)
      std::copy_n(from.q.data() + (from_row * spec_.n_head + head) * d, d,
                  to.q.mutable_values().data() + (to_row * spec_.n_head + head) * d);
    else if (edit.at == HeadPart::k_input)
      std::copy_n(from.k.data() + (from_row * spec_.n_kv_head + kv) * d, d,
                  to.k.mutable_values().data() + (to_row * spec_.n_kv_head + kv) * d);
    else
      std::copy_n(own_value(from.v, from_row, kv), d, own_value(to.v, to_row, kv));
  }
}

// Each third of a fused q, k, v where it is needed. False where they must be made together.
Result<bool> ForwardPass::project_parts(const ops::DeviceTensor& x, const ops::Matrix& qkv,
                                        const std::array<float*, 3>& parts, int64_t q_width,
                                        int64_t kv_width) const {
  int64_t begin = 0;
  for (size_t part = 0; part < parts.size(); ++part) {
    const int64_t end = begin + (part == 0 ? q_width : kv_width);
    SACCADE_TRY(const bool done, products_.slice_into(parts[part], x, qkv, begin, end));
    if (!done) return false;
    begin = end;
  }
  return true;
}

// q, k, v of the rows; q and k normalised and rotated. einsum "pd,dhe->phe" for each.
Result<ForwardPass::Attention> ForwardPass::project_rows(int32_t l, const ops::DeviceTensor& x,
                                                         int64_t first_position, const LayerPlan& plan) {
  const LayerWeights& w = weights_.layers[static_cast<size_t>(l)];
  const int64_t rows = x.rows(), d = spec_.d_head;
  const int64_t q_width = spec_.n_head * d, kv_width = spec_.n_kv_head * d, width = q_width + 2 * kv_width;
  Attention attention;
  if (w.qkv.defined() && spec_.qkv_layout == QkvLayout::concatenated && spec_.qkv_clip <= 0.0) {
    attention.q = HostTensor({rows, spec_.n_head, d}, false);
    attention.k = HostTensor({rows, spec_.n_kv_head, d}, false);
    attention.v_rows = ops::empty(rows, kv_width);
    attention.v = {attention.v_rows.data(), kv_width, d};
    const std::array<float*, 3> parts{attention.q.mutable_values().data(),
                                      attention.k.mutable_values().data(), attention.v_rows.data()};
    SACCADE_TRY(const bool apart, project_parts(x, w.qkv, parts, q_width, kv_width));
    if (apart) {
      normalise_and_rotate(l, attention, first_position, plan);
      return attention;
    }
  }
  HeadPlace q{nullptr, q_width, 1, d, d}, k{nullptr, kv_width, 1, d, d};
  ops::DeviceTensor q_rows, k_rows;
  if (w.qkv.defined()) {
    SACCADE_TRY(attention.qkv, linear(x, w.qkv));
    if (spec_.qkv_clip > 0.0) ops::clamp_in_place(attention.qkv, spec_.qkv_clip);
    const float* data = attention.qkv.data();
    const int64_t group = spec_.n_head / spec_.n_kv_head, group_stride = (group + 2) * d;
    if (spec_.qkv_layout == QkvLayout::per_kv_head) {
      q = {data, width, group, group_stride, d};
      k = {data + group * d, width, 1, group_stride, d};
      attention.v = {data + (group + 1) * d, width, group_stride};
    } else {
      q = {data, width, 1, d, d};
      k = {data + q_width, width, 1, d, d};
      attention.v = {data + q_width + kv_width, width, d};
    }
  } else {
    SACCADE_TRY(q_rows, linear(x, w.q));
    SACCADE_TRY(k_rows, linear(x, w.k));
    SACCADE_TRY(attention.v_rows, linear(x, w.v));
    q.data = q_rows.data();
    k.data = k_rows.data();
    attention.v = {attention.v_rows.data(), kv_width, d};
  }
  copy_heads(q, rows, spec_.n_head, d, attention.q);
  copy_heads(k, rows, spec_.n_kv_head, d, attention.k);
  normalise_and_rotate(l, attention, first_position, plan);
  return attention;
}

// In place, so that what is recorded, cached and captured is what the kernels multiply.
void ForwardPass::round_to_bfloat16(Attention& attention) const {
  const int64_t rows = attention.q.shape()[0], d = spec_.d_head;
  attention.q_bf16 = Bfloat16Tensor(attention.q);
  attention.k_bf16 = Bfloat16Tensor(attention.k);
  attention.v_bf16 = Bfloat16Tensor(attention.k.shape(), attention.k.size());
  const auto widen = [](const Bfloat16Tensor& from, HostTensor& to) {
    std::transform(from.data(), from.data() + to.size(), to.mutable_values().begin(), widen_bfloat16);
  };
  widen(attention.q_bf16, attention.q);
  widen(attention.k_bf16, attention.k);
  auto narrow = attention.v_bf16.mutable_values().begin();
  for (int64_t i = 0; i < rows; ++i)
    for (int64_t h = 0; h < spec_.n_kv_head; ++h, narrow += d) {
      float* v = own_value(attention.v, i, h);
      std::transform(v, v + d, narrow, narrow_to_bfloat16);
      std::transform(narrow, narrow + d, v, widen_bfloat16);
    }
}

namespace {

HostTensor copy_of(const HostTensor& x) {  // with numbers of its own
  HostTensor copy(x.shape(), false);
  std::copy_n(x.data(), x.size(), copy.mutable_values().data());
  return copy;
}

}  // namespace

void ForwardPass::normalise_and_rotate(int32_t l, Attention& attention, int64_t first_position,
                                       const LayerPlan& plan) {
  const LayerWeights& w = weights_.layers[static_cast<size_t>(l)];
  const int64_t rows = attention.q.shape()[0], d = spec_.d_head;
  const auto normalise = [&](HostTensor& x, int64_t heads, const Norm& norm) {
    if (!norm.defined()) return;
    const int64_t width = spec_.qk_norm == QkNorm::whole_width ? heads * d : d;
    ops::normalise_groups(ops::view_of(x, rows, heads * d), width, spec_.norm, spec_.norm_epsilon,
                          norm.weight, norm.bias);
  };
  if (spec_.qk_norm != QkNorm::none) {
    normalise(attention.q, spec_.n_head, w.q_norm);
    normalise(attention.k, spec_.n_kv_head, w.k_norm);
  }
  if (!plan.segments.empty()) {
    attention.q_unrotated = copy_of(attention.q);
    attention.k_unrotated = copy_of(attention.k);
  }
  RotaryTable* rotary = rotary_.of(spec_, l);
  if (!rotary) return;
  float* q = attention.q.mutable_values().data();
  float* k = attention.k.mutable_values().data();
  for (const Segment& segment : segments_of(rows, first_position)) {
    const bool moved = plan.positions.moved();
    const bool by_axes = segment.axes != nullptr && plan.segments.empty() && !moved;
    const auto place_of = [&](int64_t row) {
      if (moved) return plan.positions.at(row);
      return plan.segments.empty() ? row : order_free::initial_position(plan.segments, row);
    };
    const int64_t end = segment.first_position + segment.rows;
    int64_t needed = by_axes ? segment.axes->places_needed(segment.first_position, end) : end;
    for (int64_t row = segment.first_position; moved && row < end; ++row)
      needed = std::max(needed, place_of(row) + 1);
    rotary->extend(needed);
    for (int64_t row = segment.first_position; row < end; ++row) {
      const int64_t place = place_of(row);
      const AxisPosition position = by_axes ? segment.axes->at(row) : AxisPosition{place, place, place};
      for (int64_t h = 0; h < spec_.n_head; ++h, q += d) rotary->rotate(q, q, d, position);
      for (int64_t h = 0; h < spec_.n_kv_head; ++h, k += d) rotary->rotate(k, k, d, position);
    }
  }
}

namespace {

// Appends the rows' keys and values; the cache then holds first_position + rows positions.
void extend(KvCache& cache, const HostTensor& k, const HeadsView& v, int64_t rows, int64_t heads, int64_t d) {
  cache.keys.insert(cache.keys.end(), k.values().begin(), k.values().end());
  for (int64_t i = 0; i < rows; ++i)
    for (int64_t h = 0; h < heads; ++h) {
      const float* row = v.data + i * v.token_stride + h * v.head_stride;
      cache.values.insert(cache.values.end(), row, row + d);
    }
  cache.length += rows;
}

// The first d numbers of every head.
HostTensor first_columns(const HostTensor& wide, int64_t d) {
  const int64_t rows = wide.shape()[0], heads = wide.shape()[1];
  HostTensor narrow({rows, heads, d}, false);
  float* to = narrow.mutable_values().data();
  for (int64_t at = 0; at < rows * heads; ++at) to = std::copy_n(wide.data() + at * wide.shape()[2], d, to);
  return narrow;
}

float* make(HostTensor& tensor, std::vector<int64_t> shape) {
  tensor = HostTensor(std::move(shape), false);
  return tensor.mutable_values().data();
}

}  // namespace

// Where the pass puts what the plan of captures asks for besides z.
void ForwardPass::keep_statistics(LayerCapture& capture, const LayerPlan& plan, int64_t rows,
                                  AttentionOutput& output, std::vector<KeyMass>& key_masses,
                                  std::vector<float*>& row_factors) const {
  const int64_t heads = spec_.n_head;
  if (plan_.attention) {
    output.lse = make(capture.lse, {heads, rows});
    capture.row_factors.resize(plan.heads.size());
    row_factors.resize(plan.heads.size(), nullptr);
    for (size_t h = 0; h < plan.heads.size(); ++h)
      if (const int64_t count = row_factor_count(plan.heads[h]); count > 0)
        row_factors[h] = make(capture.row_factors[h], {count, rows});
    output.row_factors = row_factors;
  }
  if (!plan_.statistics) return;
  HeadStatistics& s = capture.statistics;
  output.entropy = make(s.entropy, {heads, rows});
  output.max_weight = make(s.max_weight, {heads, rows});
  output.sink_mass = make(s.sink_mass, {heads, rows});
  output.local_mass = make(s.local_mass, {heads, rows});
  output.mean_distance = make(s.mean_distance, {heads, rows});
  s.max_key.resize(static_cast<size_t>(heads * rows));
  output.max_key = s.max_key.data();
  output.received = make(s.received, {heads, rows});
  output.received_max = make(s.received_max, {heads, rows});
  if (plan_.value_mass) output.value_mass = make(s.value_mass, {heads, rows});
  for (const NamedKeys& named : plan_.key_masses)
    key_masses.push_back({key_set(named.keys), make(s.key_mass[named.name], {heads, rows})});
  output.key_masses = key_masses;
  if (plan_.block_size > 0) {
    const int64_t blocks = (rows + plan_.block_size - 1) / plan_.block_size;
    output.block_size = plan_.block_size;
    output.block_max = make(s.block_max, {heads, blocks, blocks});
    output.block_mass = make(s.block_mass, {heads, blocks, blocks});
  }
}

Result<void> ForwardPass::attend(int32_t l, Attention& attention, const LayerPlan& plan,
                                 const LayerOptions& options) {
  const int64_t rows = attention.q.shape()[0], d = spec_.d_head;
  const int64_t heads = spec_.n_head, kv_heads = spec_.n_kv_head;
  AttentionInput input;
  input.shape = {rows, rows, heads, kv_heads, d, options.first_position};
  input.mask = mask_of(spec_, l);
  input.mask.prefix = prefix_;
  input.mask.knockouts = plan.knockouts;
  input.edits = plan.heads;
  input.scores = scores_of(spec_, l);
  input.q = {attention.q.data(), heads * d, d};
  input.k = {attention.k.data(), kv_heads * d, d};
  input.v = attention.v;
  if (options.cache) {
    const std::span<const float> unrotated = attention.k_unrotated.values();
    options.cache->unrotated.insert(options.cache->unrotated.end(), unrotated.begin(), unrotated.end());
    extend(*options.cache, attention.k, attention.v, rows, kv_heads, d);
    input.shape.n_key = options.cache->length;
    input.k = {options.cache->keys.data(), kv_heads * d, d};
    input.v = {options.cache->values.data(), kv_heads * d, d};
  } else if (precision_ == ops::Precision::bf16 && segments_.empty()) {
    input.q = {nullptr, heads * d, d, attention.q_bf16.data()};
    input.k = {nullptr, kv_heads * d, d, attention.k_bf16.data()};
    input.v = {nullptr, kv_heads * d, d, attention.v_bf16.data()};
  }
  AttentionOutput output;
  Slots slots;
  if (!plan.segments.empty()) take_order_free(l, attention, plan, options, input, slots);
  attention.z = HostTensor({rows, heads, input.shape.d_head}, false);
  output.z = {attention.z.mutable_values().data(), heads * input.shape.d_head, input.shape.d_head};
  if (!segments_.empty()) return attend_segments(input, output, l);
  output.sink_keys = plan_.sink_keys;
  output.local_width = plan_.local_width;
  std::vector<KeyMass> key_masses;
  std::vector<float*> row_factors;
  if (options.capture) keep_statistics(*options.capture, plan, rows, output, key_masses, row_factors);
  if (options.step) {
    const auto at = static_cast<size_t>(l) * static_cast<size_t>(heads);
    output.max_key = options.step->max_key.data() + at;
    output.max_weight = options.step->max_weight.data() + at;
    if (!options.watched.empty()) {
      key_masses = {{{options.watched.begin(), options.watched.end()}, options.step->key_mass.data() + at}};
      output.key_masses = key_masses;
    }
  }
  // Tasks that have not begun when the job is cancelled are left out; the result is then thrown away.
  const Parallel cancellable{parallel_.workers,
                             [this](int64_t n, const std::function<void(int64_t, int)>& body) {
                               parallel_.for_each(n, [&](int64_t task, int worker) {
                                 if (!job_.cancelled()) body(task, worker);
                               });
                             }};
  const KernelSet& kernels = device_kernels_ != nullptr && rows > 1 ? *device_kernels_ : kernels_;
  SACCADE_CHECK(kernels.forward(input, output, cancellable));
  if (!plan.segments.empty()) attention.z = first_columns(attention.z, d);
  return job_.check();
}

// Every sequence sees itself alone. Many short ones are spread over the threads, few long ones follow each
// other.
Result<void> ForwardPass::attend_segments(const AttentionInput& input, const AttentionOutput& output,
                                          int32_t l) {
  const auto count = static_cast<int64_t>(segments_.size());
  std::vector<int64_t> begins;
  std::vector<const LayerPlan*> plans;
  const LayerPlan nothing;
  int64_t begin = 0;
  for (const Segment& segment : segments_) {
    begins.push_back(begin);
    plans.push_back(&nothing);
    if (segment.edits != nullptr) {
      SACCADE_TRY(plans.back(), segment.edits->plan(l));
    }
    begin += segment.rows;
  }
  const auto attend_one = [&](int64_t s, const Parallel& parallel) -> Result<void> {
    const auto index = static_cast<size_t>(s);
    const Segment& segment = segments_[index];
    const auto moved = [&](HeadsView heads) {
      heads.data += begins[index] * heads.token_stride;
      return heads;
    };
    AttentionInput part = input;
    part.shape.n_query = part.shape.n_key = segment.rows;
    part.shape.first_query = segment.first_position;
    part.mask.knockouts = plans[index]->knockouts;
    part.mask.prefix = segment.prefix;
    part.edits = plans[index]->heads;
    part.q = moved(input.q);
    part.k = moved(input.k);
    part.v = moved(input.v);
    AttentionOutput out = output;
    out.z.data += begins[index] * out.z.token_stride;
    return job_.cancelled() ? Result<void>() : kernels_.forward(part, out, parallel);
  };
  std::vector<Result<void>> outcomes(static_cast<size_t>(count));
  if (count >= 2 * parallel_.workers) {
    parallel_.for_each(count,
                       [&](int64_t s, int) { outcomes[static_cast<size_t>(s)] = attend_one(s, serial()); });
  } else {
    for (int64_t s = 0; s < count; ++s) outcomes[static_cast<size_t>(s)] = attend_one(s, parallel_);
  }
  for (const Result<void>& outcome : outcomes) SACCADE_CHECK(outcome);
  return job_.check();
}

Result<void> ForwardPass::visit_z(int32_t l, Attention& attention, int64_t first_position) {
  const SiteRef site{HookSite::z, l};
  const int64_t rows = attention.z.shape()[0];
  SACCADE_CHECK(
      edit(site, attention.z.mutable_values(), rows, first_position, attention.query_norms.values()));
  record(site, attention.z.data(), rows);
  return {};
}

void ForwardPass::measure_queries(int32_t l, Attention& attention, int64_t first_position) const {
  const int64_t rows = attention.q.shape()[0], d = spec_.d_head;
  const std::vector<Segment> segments = segments_of(rows, first_position);
  if (std::none_of(segments.begin(), segments.end(),
                   [l](const Segment& segment) { return segment.edits && segment.edits->gates(l); }))
    return;
  attention.query_norms = HostTensor({rows, spec_.n_head}, false);
  const float* q = attention.q.data();
  for (float& norm : attention.query_norms.mutable_values()) {
    double squares = 0.0;
    for (int64_t c = 0; c < d; ++c) squares += static_cast<double>(q[c]) * q[c];
    norm = static_cast<float>(std::sqrt(squares));
    q += d;
  }
}

Result<ops::DeviceTensor> ForwardPass::add_attention(int32_t l, Attention& attention,
                                                     const ops::DeviceTensor& residual,
                                                     int64_t first_position) {
  const LayerWeights& w = weights_.layers[static_cast<size_t>(l)];
  const bool plain = !w.attn_out_norm.defined() && !w.attn_scale.defined() && spec_.residual_scale == 1.0;
  if (plain && !visited({HookSite::attn_out, l}) && !visited({HookSite::result, l})) {
    const ops::DeviceTensor z =
        ops::view_of(attention.z, attention.z.shape()[0], int64_t{spec_.n_head} * spec_.d_head);
    return products_.linear(z, w.o, {std::nullopt, residual});
  }
  SACCADE_TRY(const ops::DeviceTensor attn_out, attention_out(l, attention, first_position));
  return ops::add(residual, attn_out);
}

// attn_out = z W_O + b_O, normalised and scaled where the model does that. einsum "phe,hed->pd"
Result<ops::DeviceTensor> ForwardPass::attention_out(int32_t l, Attention& attention,
                                                     int64_t first_position) {
  const int64_t rows = attention.z.shape()[0], width = spec_.n_head * spec_.d_head;
  const ops::Matrix& o = weights_.layers[static_cast<size_t>(l)].o;
  const ops::DeviceTensor z = ops::view_of(attention.z, rows, width);
  if (recording({HookSite::result, l})) {
    HostTensor result({rows, spec_.n_head, spec_.d_model}, false);
    for (int64_t h = 0; h < spec_.n_head; ++h)
      ops::head_product(z, o, h * spec_.d_head, spec_.d_head,
                        result.mutable_values().data() + h * spec_.d_model, spec_.n_head * spec_.d_model);
    recorded_[{HookSite::result, l}] = std::move(result);
  }
  SACCADE_TRY(ops::DeviceTensor out, linear(z, o));
  if (const Norm& norm = weights_.layers[static_cast<size_t>(l)].attn_out_norm; norm.defined())
    out = plain_norm(norm, out);
  ops::scale_in_place(out, spec_.residual_scale);
  if (const auto& scale = weights_.layers[static_cast<size_t>(l)].attn_scale; scale.defined())
    ops::multiply_in_place(out, scale);
  SACCADE_CHECK(visit({HookSite::attn_out, l}, out, first_position));
  return out;
}

Result<HostTensor> ForwardPass::z_again(int32_t l, const LayerCapture& captured) {
  const int64_t rows = captured.resid_pre.shape()[0];
  ops::DeviceTensor h = ops::view_of(captured.resid_pre, rows, spec_.d_model);
  if (spec_.block != BlockKind::post_norm) {
    SACCADE_TRY(h, norm(l, 1, h));
  }
  const LayerPlan plan{captured.knockouts, captured.plans, captured.segments, {captured.positions}};
  SACCADE_TRY(Attention attention, project(l, h, 0, plan));
  measure_queries(l, attention, 0);
  SACCADE_CHECK(attend(l, attention, plan, {}));
  SACCADE_CHECK(visit_z(l, attention, 0));
  return attention.z;
}

}  // namespace saccade
