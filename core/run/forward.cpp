#include "core/run/forward.h"

#include <algorithm>

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
      precision_(precision),
      products_(job, precision) {}

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
  return {Segment{rows, first_position, &edits_, axes_ ? &*axes_ : nullptr}};
}

Result<void> ForwardPass::edit(SiteRef site, std::span<float> values, int64_t rows, int64_t first_position,
                               std::span<const float> query_norms) {
  const size_t width = rows > 0 ? values.size() / static_cast<size_t>(rows) : 0;
  for (const Segment& segment : segments_of(rows, first_position)) {
    const size_t size = static_cast<size_t>(segment.rows) * width;
    const size_t norms = query_norms.empty() ? 0 : static_cast<size_t>(segment.rows * spec_.n_head);
    if (segment.edits != nullptr && segment.edits->acts_on(site))
      SACCADE_CHECK(segment.edits->apply(site, values.first(size), segment.rows, segment.first_position,
                                         query_norms.first(norms)));
    values = values.subspan(size);
    query_norms = query_norms.subspan(norms);
  }
  return {};
}

Result<void> ForwardPass::visit(SiteRef site, const ops::DeviceTensor& x, int64_t first_position) {
  if (!visited(site)) return {};  // the numbers may stay where they are
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

bool ForwardPass::visited(SiteRef site) const {
  if (recording(site)) return true;
  if (segments_.empty()) return edits_.acts_on(site);
  return std::any_of(segments_.begin(), segments_.end(), [&](const Segment& segment) {
    return segment.edits != nullptr && segment.edits->acts_on(site);
  });
}

ops::DeviceTensor ForwardPass::look_up(const std::vector<int32_t>& ids,
                                       std::span<const GivenRows> given) const {
  const auto rows = static_cast<int64_t>(ids.size());
  ops::DeviceTensor embedded =
      weights_.embed.defined() ? ops::gather_rows(weights_.embed, ids) : ops::empty(rows, spec_.d_model);
  ops::scale_in_place(embedded, spec_.embed_scale);
  for (const GivenRows& block : given)
    std::copy_n(block.embedded.data(), block.embedded.size(),
                embedded.data() + block.first_row * embedded.columns());
  return embedded;
}

// Copied, for an edit must not write to the mapping.
ops::DeviceTensor ForwardPass::positions_of(int64_t rows, int64_t first_position,
                                            std::span<const GivenRows> given) const {
  ops::DeviceTensor positions = ops::empty(rows, spec_.d_model);
  if (!spec_.is_picture_model()) {
    float* to = positions.data();
    for (const Segment& segment : segments_of(rows, first_position)) {
      const int64_t first_row = segment.first_position + spec_.position_offset;
      const ops::DeviceTensor shared =
          ops::gather_range(weights_.pos_embed, first_row, first_row + segment.rows);
      to = std::copy_n(shared.data(), segment.rows * spec_.d_model, to);
    }
  }
  for (const GivenRows& block : given)
    std::copy_n(block.positions.data(), block.positions.size(),
                positions.data() + block.first_row * spec_.d_model);
  return positions;
}

Result<HostTensor> ForwardPass::embed(const std::vector<int32_t>& ids, int64_t first_position,
                                      std::span<const GivenRows> given) {
  const auto rows = static_cast<int64_t>(ids.size());
  ops::DeviceTensor embedded = look_up(ids, given);
  if (weights_.embed_in.defined()) {
    SACCADE_TRY(embedded, linear(embedded, weights_.embed_in));
  }
  SACCADE_CHECK(visit({HookSite::embed, -1}, embedded, first_position));
  HostTensor x({rows, spec_.d_model}, false);
  std::copy_n(embedded.data(), x.size(), x.mutable_values().data());
  const ops::DeviceTensor sum = ops::view_of(x, rows, spec_.d_model);
  if (weights_.type_embed.defined()) ops::add_row_in_place(sum, ops::gather_range(weights_.type_embed, 0, 1));
  if (weights_.pos_embed.defined()) {
    const ops::DeviceTensor positions = positions_of(rows, first_position, given);
    SACCADE_CHECK(visit({HookSite::pos_embed, -1}, positions, first_position));
    ops::add_in_place(sum, positions);
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

// Copied side by side: with many sequences these are tens of megabytes.
HostTensor rows_taken(const HostTensor& from, const std::vector<int32_t>& rows, const Parallel& parallel) {
  std::vector<int64_t> shape = from.shape();
  const int64_t width = from.size() / shape[0], count = shape[0] = static_cast<int64_t>(rows.size());
  HostTensor taken(std::move(shape), false);
  float* const to = taken.mutable_values().data();
  constexpr int64_t block = 256;
  parallel.for_each((count + block - 1) / block, [&](int64_t task, int) {
    for (int64_t i = task * block; i < std::min(count, (task + 1) * block); ++i)
      std::copy_n(from.data() + rows[static_cast<size_t>(i)] * width, width, to + i * width);
  });
  return taken;
}

}  // namespace

void ForwardPass::take(const Regroup& wanted, HostTensor& x) {
  if (wanted.rows.empty()) return;
  x = rows_taken(x, wanted.rows, parallel_);
  segments_ = wanted.segments;
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
  SACCADE_TRY(const LayerPlan* plan, edits_.plan(l));
  SACCADE_TRY(Attention attention, project(l, h, first, *plan));
  measure_queries(l, attention, first);
  SACCADE_CHECK(attend(l, attention, *plan, options));
  const auto regroup = [&](const Regroup& wanted) {
    if (wanted.rows.empty()) return;
    if (spec_.block == BlockKind::parallel) h = ops::gather_rows(h, wanted.rows);  // others make it anew
    attention.z = rows_taken(attention.z, wanted.rows, parallel_);
    if (!attention.query_norms.empty())
      attention.query_norms = rows_taken(attention.query_norms, wanted.rows, parallel_);
    take(wanted, x);
    rows = x.shape()[0];
    residual = ops::view_of(x, rows, spec_.d_model);
  };
  regroup(options.before_z);
  SACCADE_CHECK(visit_z(l, attention, first));
  regroup(options.after_z);
  SACCADE_TRY(ops::DeviceTensor mid, add_attention(l, attention, residual, first));
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
    SACCADE_CHECK(add_mlp(l, sum, mid, h, first));
  } else {
    std::copy_n(mid.data(), next.size(), next.mutable_values().data());
  }
  SACCADE_CHECK(visit({HookSite::resid_post, l}, next, rows, first));
  if (post_norm) {
    SACCADE_TRY(const ops::DeviceTensor normed, norm(l, 2, sum));
    std::copy_n(normed.data(), next.size(), next.mutable_values().data());
  }
  if (LayerCapture* capture = options.capture) {
    capture->knockouts = plan->knockouts;
    capture->plans = plan->heads;
    capture->segments = plan->segments;
    capture->positions = plan->positions.of_token;
    capture->segment_shifts = std::move(attention.shifts);
    if (plan_.residuals) capture->resid_pre = std::move(x);
    if (plan_.attention) {
      if (attention.q_bf16.empty()) {
        capture->q = std::move(attention.q);
        capture->k = std::move(attention.k);
      } else {
        capture->q_bf16 = std::move(attention.q_bf16);
        capture->k_bf16 = std::move(attention.k_bf16);
      }
    }
  }
  return next;
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
    products_.activate(h, spec_.activation);
    h = plain_norm(weights_.head_norm, h);
  }
  if (weights_.embed_out.defined()) {
    SACCADE_TRY(h, linear(h, weights_.embed_out));
  }
  return h;
}

}  // namespace saccade
