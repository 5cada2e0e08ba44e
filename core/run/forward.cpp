#include "core/run/forward.h"

#include <algorithm>
#include <cstring>

namespace saccade {

ForwardPass::ForwardPass(const Model& model, const ModelWeights& weights, const KernelSet& kernels,
                         const Parallel& parallel, RotaryTable& rotary, SiteEdits& edits,
                         const CapturePlan& plan, const JobContext& job)
    : model_(model),
      spec_(model.spec()),
      weights_(weights),
      kernels_(kernels),
      parallel_(parallel),
      rotary_(rotary),
      edits_(edits),
      plan_(plan),
      job_(job) {}

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

Result<void> ForwardPass::visit(SiteRef site, const ops::DeviceTensor& x, int64_t first_position) {
  if (edits_.acts_on(site))
    SACCADE_CHECK(edits_.apply(site, {x.data(), static_cast<size_t>(x.rows() * x.columns())}, x.rows(),
                               first_position));
  record(site, x.data(), x.rows());
  return {};
}

Result<void> ForwardPass::visit(SiteRef site, HostTensor& x, int64_t rows, int64_t first_position) {
  if (edits_.acts_on(site)) SACCADE_CHECK(edits_.apply(site, x.mutable_values(), rows, first_position));
  record(site, x.data(), rows);
  return {};
}

// A product that would run for long is cut into blocks of rows, so that a cancelled job ends within 100 ms.
Result<ops::DeviceTensor> ForwardPass::linear(const ops::DeviceTensor& x, const ops::Matrix& matrix) const {
  constexpr double block_operations = 6e9;  // some 30 ms on two cores
  const double operations = 2.0 * static_cast<double>(x.rows()) * static_cast<double>(ops::elements(matrix));
  SACCADE_CHECK(job_.check());
  if (operations <= block_operations) return ops::linear(x, matrix);
  const auto blocks = static_cast<int64_t>(operations / block_operations) + 1;
  const int64_t block_rows = std::max<int64_t>(32, (x.rows() + blocks - 1) / blocks);
  ops::DeviceTensor out;
  for (int64_t begin = 0; begin < x.rows(); begin += block_rows) {
    SACCADE_CHECK(job_.check());
    const int64_t end = std::min(begin + block_rows, x.rows());
    const ops::DeviceTensor part = ops::linear(ops::rows_of(x, begin, end), matrix);
    if (!out.defined()) out = ops::empty(x.rows(), part.columns());
    std::copy_n(part.data(), part.rows() * part.columns(), out.data() + begin * part.columns());
  }
  return out;
}

Result<HostTensor> ForwardPass::embed(const std::vector<int32_t>& ids, int64_t first_position) {
  const auto rows = static_cast<int64_t>(ids.size());
  const ops::DeviceTensor embedded = ops::gather_rows(weights_.embed, ids);
  SACCADE_CHECK(visit({HookSite::embed, -1}, embedded, first_position));
  HostTensor x({rows, spec_.d_model}, false);
  std::copy_n(embedded.data(), x.size(), x.mutable_values().data());
  if (weights_.pos_embed.defined()) {
    const ops::DeviceTensor shared =
        ops::gather_range(weights_.pos_embed, first_position, first_position + rows);
    const ops::DeviceTensor position =
        ops::empty(rows, spec_.d_model);  // an edit must not write to the mapping
    std::copy_n(shared.data(), x.size(), position.data());
    SACCADE_CHECK(visit({HookSite::pos_embed, -1}, position, first_position));
    ops::add_in_place(ops::view_of(x, rows, spec_.d_model), position);
  }
  return x;
}

Result<ops::DeviceTensor> ForwardPass::norm(int32_t l, int which, const ops::DeviceTensor& x) {
  const LayerWeights& w = weights_.layers[static_cast<size_t>(l)];
  const SiteRef scale{which == 1 ? HookSite::ln1_scale : HookSite::ln2_scale, l};
  const SiteRef normalized{which == 1 ? HookSite::ln1_normalized : HookSite::ln2_normalized, l};
  const bool parts = recording(scale) || recording(normalized);
  const ops::Normalised result =
      ops::normalise(x, spec_.norm, spec_.norm_epsilon, which == 1 ? w.norm1_weight : w.norm2_weight,
                     which == 1 ? w.norm1_bias : w.norm2_bias, parts);
  if (parts) {
    record(scale, result.scale.data(), x.rows());
    record(normalized, result.normalized.data(), x.rows());
  }
  return result.output;
}

// q, k, v of the rows; q and k rotated. einsum "pd,dhe->phe" for each.
Result<ForwardPass::Attention> ForwardPass::project(int32_t l, const ops::DeviceTensor& x,
                                                    int64_t first_position) {
  const LayerWeights& w = weights_.layers[static_cast<size_t>(l)];
  const int64_t rows = x.rows(), d = spec_.d_head;
  const int64_t q_width = spec_.n_head * d, kv_width = spec_.n_kv_head * d;
  Attention attention;
  const float* q = nullptr;
  const float* k = nullptr;
  int64_t q_stride = q_width, k_stride = kv_width;
  ops::DeviceTensor q_rows, k_rows;
  if (w.qkv.defined()) {
    SACCADE_TRY(attention.qkv, linear(x, w.qkv));
    q_stride = k_stride = q_width + 2 * kv_width;
    q = attention.qkv.data();
    k = q + q_width;
    attention.v = {k + kv_width, k_stride, d};
  } else {
    SACCADE_TRY(q_rows, linear(x, w.q));
    SACCADE_TRY(k_rows, linear(x, w.k));
    SACCADE_TRY(attention.v_rows, linear(x, w.v));
    q = q_rows.data();
    k = k_rows.data();
    attention.v = {attention.v_rows.data(), kv_width, d};
  }
  attention.q = HostTensor({rows, spec_.n_head, d}, false);
  attention.k = HostTensor({rows, spec_.n_kv_head, d}, false);
  rotary_.extend(first_position + rows);
  const bool rotates = spec_.position == PositionKind::rotary;
  const auto split = [&](const float* from, int64_t stride, int64_t heads, HostTensor& to) {
    float* out = to.mutable_values().data();
    for (int64_t i = 0; i < rows; ++i)
      for (int64_t h = 0; h < heads; ++h, out += d) {
        const float* in = from + i * stride + h * d;
        if (rotates)
          rotary_.rotate(in, out, d, first_position + i);
        else
          std::memcpy(out, in, static_cast<size_t>(d) * sizeof(float));
      }
  };
  split(q, q_stride, spec_.n_head, attention.q);
  split(k, k_stride, spec_.n_kv_head, attention.k);
  record({HookSite::q, l}, attention.q.data(), rows);
  record({HookSite::k, l}, attention.k.data(), rows);
  record_heads({HookSite::v, l}, attention.v, rows, spec_.n_kv_head);
  return attention;
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

Result<void> ForwardPass::attend(Attention& attention, const std::vector<std::vector<EdgeRect>>& knockouts,
                                 const LayerOptions& options) {
  const int64_t rows = attention.q.shape()[0], d = spec_.d_head;
  const int64_t heads = spec_.n_head, kv_heads = spec_.n_kv_head;
  AttentionInput input;
  input.shape = {rows, rows, heads, kv_heads, d, options.first_position};
  input.mask.knockouts = knockouts;
  input.scale = static_cast<float>(spec_.attention_scale);
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

// attn_out = z W_O + b_O. einsum "phe,hed->pd"
Result<ops::DeviceTensor> ForwardPass::attention_out(int32_t l, Attention& attention,
                                                     int64_t first_position) {
  const int64_t rows = attention.z.shape()[0], width = spec_.n_head * spec_.d_head;
  const ops::Matrix& o = weights_.layers[static_cast<size_t>(l)].o;
  SACCADE_CHECK(visit({HookSite::z, l}, attention.z, rows, first_position));
  const ops::DeviceTensor z = ops::view_of(attention.z, rows, width);
  if (recording({HookSite::result, l})) {
    HostTensor result({rows, spec_.n_head, spec_.d_model}, false);
    for (int64_t h = 0; h < spec_.n_head; ++h)
      ops::head_product(z, o, h * spec_.d_head, spec_.d_head,
                        result.mutable_values().data() + h * spec_.d_model, spec_.n_head * spec_.d_model);
    recorded_[{HookSite::result, l}] = std::move(result);
  }
  SACCADE_TRY(ops::DeviceTensor out, linear(z, o));
  SACCADE_CHECK(visit({HookSite::attn_out, l}, out, first_position));
  return out;
}

Result<ops::DeviceTensor> ForwardPass::mlp(int32_t l, const ops::DeviceTensor& x, int64_t first_position) {
  const LayerWeights& w = weights_.layers[static_cast<size_t>(l)];
  SACCADE_TRY(const ops::DeviceTensor h, norm(l, 2, x));
  SACCADE_TRY(ops::DeviceTensor hidden, linear(h, spec_.gated_mlp ? w.mlp_gate : w.mlp_in));
  SACCADE_CHECK(visit({HookSite::mlp_pre, l}, hidden, first_position));
  ops::activate_in_place(hidden, spec_.activation);
  if (spec_.gated_mlp) {
    SACCADE_TRY(const ops::DeviceTensor up, linear(h, w.mlp_in));
    ops::multiply_in_place(hidden, up);
  }
  SACCADE_CHECK(visit({HookSite::mlp_post, l}, hidden, first_position));
  SACCADE_TRY(ops::DeviceTensor out, linear(hidden, w.mlp_out));
  SACCADE_CHECK(visit({HookSite::mlp_out, l}, out, first_position));
  return out;
}

Result<HostTensor> ForwardPass::layer(int32_t l, HostTensor x, const LayerOptions& options) {
  const int64_t rows = x.shape()[0], first = options.first_position;
  if (!options.skip_resid_pre) SACCADE_CHECK(visit({HookSite::resid_pre, l}, x, rows, first));
  const ops::DeviceTensor residual = ops::view_of(x, rows, spec_.d_model);
  SACCADE_TRY(const ops::DeviceTensor h, norm(l, 1, residual));
  SACCADE_TRY(Attention attention, project(l, h, first));
  const std::vector<std::vector<EdgeRect>> knockouts = edits_.knockouts(l);
  SACCADE_CHECK(attend(attention, knockouts, options));
  SACCADE_TRY(const ops::DeviceTensor attn_out, attention_out(l, attention, first));
  const ops::DeviceTensor mid = ops::add(residual, attn_out);
  SACCADE_CHECK(visit({HookSite::resid_mid, l}, mid, first));
  SACCADE_TRY(const ops::DeviceTensor mlp_out, mlp(l, mid, first));
  HostTensor next({rows, spec_.d_model}, false);
  ops::add_into(ops::view_of(next, rows, spec_.d_model), mid, mlp_out);
  SACCADE_CHECK(visit({HookSite::resid_post, l}, next, rows, first));
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
  SACCADE_TRY(const ops::DeviceTensor h, norm(l, 1, ops::view_of(resid_pre, rows, spec_.d_model)));
  SACCADE_TRY(Attention attention, project(l, h, 0));
  SACCADE_CHECK(attend(attention, knockouts, {}));
  return attention.z;
}

Result<ops::DeviceTensor> ForwardPass::final_norm(const HostTensor& x) {
  const int64_t rows = x.shape()[0];
  const SiteRef scale{HookSite::ln_final_scale, -1}, normalized{HookSite::ln_final_normalized, -1};
  const bool parts = recording(scale) || recording(normalized);
  const ops::Normalised result =
      ops::normalise(ops::view_of(x, rows, spec_.d_model), spec_.norm, spec_.norm_epsilon,
                     weights_.final_norm_weight, weights_.final_norm_bias, parts);
  if (parts) {
    record(scale, result.scale.data(), rows);
    record(normalized, result.normalized.data(), rows);
  }
  return result.output;
}

}  // namespace saccade
