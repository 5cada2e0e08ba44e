#include "core/run/forward.h"

#include <algorithm>

#include "core/run/layer_attention.h"

namespace saccade {

ForwardPass::ForwardPass(const Model& model, const ModelWeights& weights, const KernelSet& kernels,
                         const Parallel& parallel, RotaryTables& rotary, SiteEdits& edits,
                         const CapturePlan& plan, const JobContext& job, ops::Precision precision)
    : model_(model),
      spec_(model.spec()),
      weights_(weights),
      kernels_(kernels),
      parallel_(parallel),
      rotary_(rotary),
      edits_(edits),
      plan_(plan),
      job_(job),
      precision_(precision) {}

bool ForwardPass::recording(SiteRef site) const {
  return std::find(plan_.sites.begin(), plan_.sites.end(), site) != plan_.sites.end();
}

void ForwardPass::record(SiteRef site, const float* values, int64_t rows) {
  if (!recording(site)) return;
  HostTensor kept(shape_of(site.site, spec_, rows), false);
  std::copy_n(values, kept.size(), kept.mutable_values().data());
  recorded_[site] = std::move(kept);
}

void ForwardPass::record_heads(SiteRef site, const HeadsView& heads, int64_t rows, int64_t n_head) {
  if (!recording(site)) return;
  HostTensor kept(shape_of(site.site, spec_, rows), false);
  float* out = kept.mutable_values().data();
  for (int64_t i = 0; i < rows; ++i)
    for (int64_t h = 0; h < n_head; ++h, out += spec_.d_head)
      std::copy_n(heads.data + i * heads.token_stride + h * heads.head_stride, spec_.d_head, out);
  recorded_[site] = std::move(kept);
}

std::vector<Segment> ForwardPass::segments_of(int64_t rows, int64_t first_position) const {
  if (!segments_.empty()) return segments_;
  return {Segment{rows, first_position, &edits_}};
}

Result<void> ForwardPass::edit(SiteRef site, std::span<float> values, int64_t rows, int64_t first_position) {
  const size_t width = rows > 0 ? values.size() / static_cast<size_t>(rows) : 0;
  for (const Segment& segment : segments_of(rows, first_position)) {
    const size_t size = static_cast<size_t>(segment.rows) * width;
    if (segment.edits != nullptr && segment.edits->acts_on(site))
      SACCADE_CHECK(segment.edits->apply(site, values.first(size), segment.rows, segment.first_position));
    values = values.subspan(size);
  }
  return {};
}

Result<void> ForwardPass::visit(SiteRef site, const ops::DeviceTensor& x, int64_t first_position) {
  SACCADE_CHECK(
      edit(site, {x.data(), static_cast<size_t>(x.rows() * x.columns())}, x.rows(), first_position));
  record(site, x.data(), x.rows());
  return {};
}

Result<void> ForwardPass::visit(SiteRef site, HostTensor& x, int64_t rows, int64_t first_position) {
  SACCADE_CHECK(edit(site, x.mutable_values(), rows, first_position));
  record(site, x.data(), rows);
  return {};
}

// A product that would run for long is cut into blocks of rows, so that a cancelled job ends within 100 ms.
Result<ops::DeviceTensor> ForwardPass::linear(const ops::DeviceTensor& x, const ops::Matrix& matrix) const {
  constexpr double block_operations = 6e9;  // some 30 ms on two cores
  const double operations = 2.0 * static_cast<double>(x.rows()) * static_cast<double>(ops::elements(matrix));
  SACCADE_CHECK(job_.check());
  if (operations <= block_operations) return ops::linear(x, matrix, precision_);
  const auto blocks = static_cast<int64_t>(operations / block_operations) + 1;
  const int64_t block_rows = std::max<int64_t>(32, (x.rows() + blocks - 1) / blocks);
  ops::DeviceTensor out;
  for (int64_t begin = 0; begin < x.rows(); begin += block_rows) {
    SACCADE_CHECK(job_.check());
    const int64_t end = std::min(begin + block_rows, x.rows());
    const ops::DeviceTensor part = ops::linear(ops::rows_of(x, begin, end), matrix, precision_);
    if (!out.defined()) out = ops::empty(x.rows(), part.columns());
    std::copy_n(part.data(), part.rows() * part.columns(), out.data() + begin * part.columns());
  }
  return out;
}

Result<HostTensor> ForwardPass::embed(const std::vector<int32_t>& ids, int64_t first_position) {
  const auto rows = static_cast<int64_t>(ids.size());
  ops::DeviceTensor embedded = ops::gather_rows(weights_.embed, ids);
  ops::scale_in_place(embedded, spec_.embed_scale);
  if (weights_.embed_in.defined()) {
    SACCADE_TRY(embedded, linear(embedded, weights_.embed_in));
  }
  SACCADE_CHECK(visit({HookSite::embed, -1}, embedded, first_position));
  HostTensor x({rows, spec_.d_model}, false);
  std::copy_n(embedded.data(), x.size(), x.mutable_values().data());
  const ops::DeviceTensor sum = ops::view_of(x, rows, spec_.d_model);
  if (weights_.type_embed.defined()) ops::add_row_in_place(sum, ops::gather_range(weights_.type_embed, 0, 1));
  if (weights_.pos_embed.defined()) {
    const ops::DeviceTensor position =
        ops::empty(rows, spec_.d_model);  // an edit must not write to the mapping
    float* to = position.data();
    for (const Segment& segment : segments_of(rows, first_position)) {
      const int64_t first_row = segment.first_position + spec_.position_offset;
      const ops::DeviceTensor shared =
          ops::gather_range(weights_.pos_embed, first_row, first_row + segment.rows);
      to = std::copy_n(shared.data(), segment.rows * spec_.d_model, to);
    }
    SACCADE_CHECK(visit({HookSite::pos_embed, -1}, position, first_position));
    ops::add_in_place(sum, position);
  }
  if (weights_.embed_norm.defined()) {
    const ops::DeviceTensor normed = plain_norm(weights_.embed_norm, sum);
    std::copy_n(normed.data(), x.size(), x.mutable_values().data());
  }
  return x;
}

ops::DeviceTensor ForwardPass::plain_norm(const Norm& norm, const ops::DeviceTensor& x) const {
  return ops::normalise(x, spec_.norm, spec_.norm_epsilon, norm.weight, norm.bias, false).output;
}

Result<ops::DeviceTensor> ForwardPass::norm(int32_t l, int which, const ops::DeviceTensor& x) {
  const LayerWeights& w = weights_.layers[static_cast<size_t>(l)];
  const Norm& norm = which == 1 ? w.norm1 : w.norm2;
  if (!norm.defined()) return x;
  const SiteRef scale{which == 1 ? HookSite::ln1_scale : HookSite::ln2_scale, l};
  const SiteRef normalized{which == 1 ? HookSite::ln1_normalized : HookSite::ln2_normalized, l};
  const bool parts = recording(scale) || recording(normalized);
  const ops::Normalised result =
      ops::normalise(x, spec_.norm, spec_.norm_epsilon, norm.weight, norm.bias, parts);
  if (parts) {
    record(scale, result.scale.data(), x.rows());
    record(normalized, result.normalized.data(), x.rows());
  }
  return result.output;
}

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

// q, k, v of the rows; q and k normalised and rotated. einsum "pd,dhe->phe" for each.
Result<ForwardPass::Attention> ForwardPass::project(int32_t l, const ops::DeviceTensor& x,
                                                    int64_t first_position) {
  const LayerWeights& w = weights_.layers[static_cast<size_t>(l)];
  const int64_t rows = x.rows(), d = spec_.d_head;
  const int64_t q_width = spec_.n_head * d, kv_width = spec_.n_kv_head * d, width = q_width + 2 * kv_width;
  Attention attention;
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
  normalise_and_rotate(l, attention, first_position);
  record({HookSite::q, l}, attention.q.data(), rows);
  record({HookSite::k, l}, attention.k.data(), rows);
  record_heads({HookSite::v, l}, attention.v, rows, spec_.n_kv_head);
  return attention;
}

void ForwardPass::normalise_and_rotate(int32_t l, Attention& attention, int64_t first_position) {
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
  RotaryTable* rotary = rotary_.of(spec_, l);
  if (!rotary) return;
  float* q = attention.q.mutable_values().data();
  float* k = attention.k.mutable_values().data();
  for (const Segment& segment : segments_of(rows, first_position)) {
    rotary->extend(segment.first_position + segment.rows);
    for (int64_t i = 0; i < segment.rows; ++i) {
      const int64_t position = segment.first_position + i;
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

float* make(HostTensor& tensor, std::vector<int64_t> shape) {
  tensor = HostTensor(std::move(shape), false);
  return tensor.mutable_values().data();
}

}  // namespace

Result<void> ForwardPass::attend(int32_t l, Attention& attention,
                                 const std::vector<std::vector<EdgeRect>>& knockouts,
                                 const LayerOptions& options) {
  const int64_t rows = attention.q.shape()[0], d = spec_.d_head;
  const int64_t heads = spec_.n_head, kv_heads = spec_.n_kv_head;
  AttentionInput input;
  input.shape = {rows, rows, heads, kv_heads, d, options.first_position};
  input.mask = mask_of(spec_, l);
  input.mask.knockouts = knockouts;
  input.scores = scores_of(spec_, l);
  input.q = {attention.q.data(), heads * d, d};
  input.k = {attention.k.data(), kv_heads * d, d};
  input.v = attention.v;
  if (options.cache) {
    extend(*options.cache, attention.k, attention.v, rows, kv_heads, d);
    input.shape.n_key = options.cache->length;
    input.k = {options.cache->keys.data(), kv_heads * d, d};
    input.v = {options.cache->values.data(), kv_heads * d, d};
  }
  AttentionOutput output;
  attention.z = HostTensor({rows, heads, d}, false);
  output.z = {attention.z.mutable_values().data(), heads * d, d};
  if (!segments_.empty()) return attend_segments(input, output, l);
  output.sink_keys = plan_.sink_keys;
  output.local_width = plan_.local_width;
  if (LayerCapture* capture = options.capture) {
    if (plan_.attention) output.lse = make(capture->lse, {heads, rows});
    if (plan_.statistics) {
      HeadStatistics& s = capture->statistics;
      output.entropy = make(s.entropy, {heads, rows});
      output.max_weight = make(s.max_weight, {heads, rows});
      output.sink_mass = make(s.sink_mass, {heads, rows});
      output.local_mass = make(s.local_mass, {heads, rows});
      output.mean_distance = make(s.mean_distance, {heads, rows});
      s.max_key.resize(static_cast<size_t>(heads * rows));
      output.max_key = s.max_key.data();
      output.received = make(s.received, {heads, rows});
      output.received_max = make(s.received_max, {heads, rows});
    }
  }
  // Tasks that have not begun when the job is cancelled are left out; the result is then thrown away.
  const Parallel cancellable{parallel_.workers,
                             [this](int64_t n, const std::function<void(int64_t, int)>& body) {
                               parallel_.for_each(n, [&](int64_t task, int worker) {
                                 if (!job_.cancelled()) body(task, worker);
                               });
                             }};
  SACCADE_CHECK(kernels_.forward(input, output, cancellable));
  return job_.check();
}

// Every sequence sees itself alone. Many short ones are spread over the threads, few long ones follow each
// other.
Result<void> ForwardPass::attend_segments(const AttentionInput& input, const AttentionOutput& output,
                                          int32_t l) {
  const auto count = static_cast<int64_t>(segments_.size());
  std::vector<int64_t> begins;
  std::vector<std::vector<std::vector<EdgeRect>>> knockouts;
  int64_t begin = 0;
  for (const Segment& segment : segments_) {
    begins.push_back(begin);
    knockouts.push_back(segment.edits != nullptr ? segment.edits->knockouts(l)
                                                 : std::vector<std::vector<EdgeRect>>());
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
    part.mask.knockouts = knockouts[index];
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

namespace {

HostTensor rows_taken(const HostTensor& from, const std::vector<int32_t>& rows) {
  std::vector<int64_t> shape = from.shape();
  const int64_t width = from.size() / shape[0];
  shape[0] = static_cast<int64_t>(rows.size());
  HostTensor taken(std::move(shape), false);
  float* to = taken.mutable_values().data();
  for (const int32_t row : rows) to = std::copy_n(from.data() + row * width, width, to);
  return taken;
}

}  // namespace

void ForwardPass::take(const Regroup& wanted, HostTensor& x) {
  if (wanted.rows.empty()) return;
  x = rows_taken(x, wanted.rows);
  segments_ = wanted.segments;
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
  SACCADE_CHECK(visit({HookSite::attn_out, l}, out, first_position));
  return out;
}

Result<HostTensor> ForwardPass::layer(int32_t l, HostTensor x, const LayerOptions& options) {
  const int64_t first = options.first_position;
  int64_t rows = x.shape()[0];
  if (!options.skip_resid_pre) SACCADE_CHECK(visit({HookSite::resid_pre, l}, x, rows, first));
  const bool post_norm = spec_.block == BlockKind::post_norm;
  ops::DeviceTensor residual = ops::view_of(x, rows, spec_.d_model);
  ops::DeviceTensor h = residual;
  if (!post_norm) {
    SACCADE_TRY(h, norm(l, 1, residual));
  }
  SACCADE_TRY(Attention attention, project(l, h, first));
  const std::vector<std::vector<EdgeRect>> knockouts = edits_.knockouts(l);
  SACCADE_CHECK(attend(l, attention, knockouts, options));
  const auto regroup = [&](const Regroup& wanted) {
    if (wanted.rows.empty()) return;
    if (spec_.block == BlockKind::parallel) h = ops::gather_rows(h, wanted.rows);  // others make it anew
    attention.z = rows_taken(attention.z, wanted.rows);
    take(wanted, x);
    rows = x.shape()[0];
    residual = ops::view_of(x, rows, spec_.d_model);
  };
  regroup(options.before_z);
  SACCADE_CHECK(visit({HookSite::z, l}, attention.z, rows, first));
  regroup(options.after_z);
  SACCADE_TRY(const ops::DeviceTensor attn_out, attention_out(l, attention, first));
  ops::DeviceTensor mid = ops::add(residual, attn_out);
  SACCADE_CHECK(visit({HookSite::resid_mid, l}, mid, first));
  if (post_norm) {
    SACCADE_TRY(mid, norm(l, 1, mid));
    h = mid;
  } else if (spec_.block == BlockKind::sequential) {
    SACCADE_TRY(h, norm(l, 2, mid));
  } else if (weights_.layers[static_cast<size_t>(l)].norm2.defined()) {
    SACCADE_TRY(h, norm(l, 2, residual));
  }
  HostTensor next({rows, spec_.d_model}, false);
  const ops::DeviceTensor sum = ops::view_of(next, rows, spec_.d_model);
  if (spec_.d_mlp > 0) {
    SACCADE_TRY(const ops::DeviceTensor mlp_out, mlp(l, h, first));
    ops::add_into(sum, mid, mlp_out);
  } else {
    std::copy_n(mid.data(), next.size(), next.mutable_values().data());
  }
  SACCADE_CHECK(visit({HookSite::resid_post, l}, next, rows, first));
  if (post_norm) {
    SACCADE_TRY(const ops::DeviceTensor normed, norm(l, 2, sum));
    std::copy_n(normed.data(), next.size(), next.mutable_values().data());
  }
  if (LayerCapture* capture = options.capture) {
    capture->knockouts = knockouts;
    if (plan_.residuals) capture->resid_pre = std::move(x);
    if (plan_.attention) {
      capture->q = std::move(attention.q);
      capture->k = std::move(attention.k);
    }
  }
  return next;
}

Result<HostTensor> ForwardPass::plain_z(int32_t l, const HostTensor& resid_pre,
                                        const std::vector<std::vector<EdgeRect>>& knockouts) {
  const int64_t rows = resid_pre.shape()[0];
  ops::DeviceTensor h = ops::view_of(resid_pre, rows, spec_.d_model);
  if (spec_.block != BlockKind::post_norm) {
    SACCADE_TRY(h, norm(l, 1, h));
  }
  SACCADE_TRY(Attention attention, project(l, h, 0));
  SACCADE_CHECK(attend(l, attention, knockouts, {}));
  return attention.z;
}

Result<ops::DeviceTensor> ForwardPass::final_norm(const HostTensor& x) {
  const int64_t rows = x.shape()[0];
  const ops::DeviceTensor in = ops::view_of(x, rows, spec_.d_model);
  if (!weights_.final_norm.defined()) return in;
  const SiteRef scale{HookSite::ln_final_scale, -1}, normalized{HookSite::ln_final_normalized, -1};
  const bool parts = recording(scale) || recording(normalized);
  const ops::Normalised result = ops::normalise(in, spec_.norm, spec_.norm_epsilon,
                                                weights_.final_norm.weight, weights_.final_norm.bias, parts);
  if (parts) {
    record(scale, result.scale.data(), rows);
    record(normalized, result.normalized.data(), rows);
  }
  return result.output;
}

Result<ops::DeviceTensor> ForwardPass::head(const HostTensor& x) {
  SACCADE_TRY(ops::DeviceTensor h, final_norm(x));
  if (weights_.head.defined()) {
    SACCADE_TRY(h, linear(h, weights_.head));
    ops::activate_in_place(h, spec_.activation);
    h = plain_norm(weights_.head_norm, h);
  }
  if (weights_.embed_out.defined()) {
    SACCADE_TRY(h, linear(h, weights_.embed_out));
  }
  return h;
}

}  // namespace saccade
