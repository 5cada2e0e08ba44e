#include "core/run/frozen_paths.h"

#include <fmt/format.h>

#include <algorithm>

#include "core/run/runner_state.h"

namespace saccade {
namespace {

bool has(const std::vector<int32_t>& layers, int32_t layer) {
  return std::find(layers.begin(), layers.end(), layer) != layers.end();
}

const HostTensor& entering(const Capture& run, int32_t layer) {
  return layer < run.spec.n_layer ? run.layers[static_cast<size_t>(layer)]->resid_pre : run.final_resid;
}

// The changes that travel, all of one width.
class Travellers {
 public:
  Travellers(const Capture& run, const PathQuestion& question)
      : run_(run),
        question_(question),
        width_(run.spec.d_model),
        change_({static_cast<int64_t>(question.writes.size()), width_}) {}

  void write(int32_t layer, bool by_mlp) {
    for (size_t i = 0; i < question_.writes.size(); ++i) {
      const PathWrite& write = question_.writes[i];
      if (write.layer != layer || write.by_mlp != by_mlp) continue;
      float* row = row_of(i);
      for (size_t x = 0; x < write.change.size(); ++x) row[x] += write.change[x];
    }
  }
  // Writes that have set out by this layer: only they differ from the run.
  [[nodiscard]] std::vector<size_t> under_way(int32_t layer) const {
    std::vector<size_t> rows;
    for (size_t i = 0; i < question_.writes.size(); ++i)
      if (question_.writes[i].layer < layer ||
          (question_.writes[i].layer == layer && !question_.writes[i].by_mlp))
        rows.push_back(i);
    return rows;
  }
  // run's rows (of `base` tensors, summed) plus the changes. [rows, d_model]
  [[nodiscard]] HostTensor residual(const std::vector<size_t>& rows,
                                    std::initializer_list<const HostTensor*> base) const {
    HostTensor made({static_cast<int64_t>(rows.size()), width_});
    float* to = made.mutable_values().data();
    for (const size_t i : rows) {
      for (const HostTensor* tensor : base) {
        const std::span<const float> from = tensor->slice(question_.writes[i].position);
        for (size_t x = 0; x < from.size(); ++x) to[x] += from[x];
      }
      const std::span<const float> change = change_.slice(static_cast<int64_t>(i));
      for (size_t x = 0; x < change.size(); ++x) to[x] += change[x];
      to += width_;
    }
    return made;
  }
  void add(const std::vector<size_t>& rows, const HostTensor& now, const HostTensor& before) {
    for (size_t r = 0; r < rows.size(); ++r) {
      float* row = row_of(rows[r]);
      const std::span<const float> a = now.slice(static_cast<int64_t>(r)),
                                   b = before.slice(static_cast<int64_t>(r));
      for (size_t x = 0; x < a.size(); ++x) row[x] += a[x] - b[x];
    }
  }
  // The run's own rows, for what an MLP wrote there. [rows, d_model]
  [[nodiscard]] HostTensor own(const std::vector<size_t>& rows,
                               std::initializer_list<const HostTensor*> base) const {
    Travellers still(run_, question_);
    return still.residual(rows, base);
  }
  [[nodiscard]] float* row_of(size_t i) {
    return change_.mutable_values().data() + static_cast<int64_t>(i) * width_;
  }

 private:
  const Capture& run_;
  const PathQuestion& question_;
  int64_t width_;
  HostTensor change_;
};

}  // namespace

Result<void> check_paths(const Capture& run, const PathQuestion& question) {
  const int32_t layers = run.spec.n_layer;
  if (run.spec.block == BlockKind::post_norm)
    return make_error(ErrorCode::unsupported,
                      fmt::format("{} normalises the sum of residual and write: a write does not travel "
                                  "unaltered, and paths through it are not defined",
                                  run.spec.family));
  for (int32_t l = 0; l < layers; ++l)
    if (l >= static_cast<int32_t>(run.layers.size()) || entering(run, l).empty() || run.final_resid.empty() ||
        (has(question.free_mlps, l) && !run.sites.contains({HookSite::attn_out, l})))
      return make_error(ErrorCode::invalid_argument,
                        fmt::format("paths need a run that kept its residuals and attn_out, and layer {} is "
                                    "missing",
                                    l));
  for (const PathWrite& write : question.writes)
    if (write.layer < 0 || write.layer >= layers || write.position < 0 || write.position >= run.n_token() ||
        static_cast<int32_t>(write.change.size()) != run.spec.d_model)
      return make_error(ErrorCode::invalid_argument,
                        fmt::format("a path begins at layer {}, position {} with {} numbers; the run has {} "
                                    "layers, {} tokens and a width of {}",
                                    write.layer, write.position, write.change.size(), layers, run.n_token(),
                                    run.spec.d_model));
  return {};
}

Result<HostTensor> Runner::residuals_on_paths(const Capture& run, const PathQuestion& question,
                                              const JobContext& job) {
  SACCADE_CHECK(check_paths(run, question));
  const ModelSpec& spec = state_->model->spec();
  const auto count = static_cast<int64_t>(question.writes.size()),
             asked = static_cast<int64_t>(question.layers.size());
  HostTensor residuals({count, asked, spec.d_model});
  std::vector<size_t> all;
  for (size_t i = 0; i < question.writes.size(); ++i) all.push_back(i);
  SACCADE_CHECK(ops::guarded([&]() -> Result<void> {
    const CapturePlan nothing{false, false, false, false, 1, 8, {}};
    const RunRequest unedited;
    SiteEdits none(unedited, spec, {});
    ForwardPass pass = state_->pass(none, nothing, job, ops::Precision::f32);
    Travellers travellers(run, question);
    for (int32_t l = 0; l <= spec.n_layer; ++l) {
      SACCADE_CHECK(job.check());
      for (int64_t a = 0; a < asked; ++a) {
        if (question.layers[static_cast<size_t>(a)] != l) continue;
        const HostTensor now = travellers.residual(all, {&entering(run, l)});
        for (int64_t i = 0; i < count; ++i)
          std::copy_n(now.slice(i).data(), spec.d_model,
                      residuals.mutable_values().data() + (i * asked + a) * spec.d_model);
      }
      if (l == spec.n_layer) break;
      const std::vector<size_t> rows = travellers.under_way(l);
      const bool free = has(question.free_mlps, l) && !rows.empty() && spec.d_mlp > 0;
      const HostTensor before = free ? travellers.residual(rows, {&entering(run, l)}) : HostTensor();
      travellers.write(l, false);
      if (free) {
        const HostTensor& attention = run.sites.at({HookSite::attn_out, l});
        SACCADE_TRY(const HostTensor now,
                    pass.mlp_alone(l, before, travellers.residual(rows, {&entering(run, l), &attention})));
        SACCADE_TRY(const HostTensor own,
                    pass.mlp_alone(l, travellers.own(rows, {&entering(run, l)}),
                                   travellers.own(rows, {&entering(run, l), &attention})));
        travellers.add(rows, now, own);
      }
      travellers.write(l, true);
    }
    return {};
  }));
  return residuals;
}

}  // namespace saccade
