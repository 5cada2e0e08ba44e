#include "core/run/sweep_bench.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "core/run/model_weights.h"
#include "core/run/stopwatch.h"
#include "core/run/tensor_ops.h"

namespace saccade {
namespace {

Result<void> check_shape(const ModelSpec& spec) {
  const bool plain = spec.causal && spec.block == BlockKind::sequential && spec.n_head == spec.n_kv_head &&
                     !spec.gated_mlp && spec.qkv_layout == QkvLayout::concatenated &&
                     spec.rotary.dimensions == 0;
  if (plain) return {};
  return make_error(ErrorCode::unsupported,
                    fmt::format("the peer of this benchmark is written for GPT-2, not for {}", spec.family));
}

// GPT-2 in LibTorch's operators, nothing left out: the logits of every position. [rows, n_vocab]
ops::DeviceTensor eager_gpt2(const ModelWeights& w, const ModelSpec& spec, const std::vector<int32_t>& ids,
                             HeadId zeroed) {
  const auto rows = static_cast<int64_t>(ids.size());
  const int64_t d = spec.d_head, width = spec.n_head * d;
  const auto normed = [&](const ops::DeviceTensor& x, const Norm& norm) {
    return ops::normalise(x, spec.norm, spec.norm_epsilon, norm.weight, norm.bias, false).output;
  };
  ops::DeviceTensor x = ops::add(ops::gather_rows(w.embed, ids), ops::gather_range(w.pos_embed, 0, rows));
  for (int32_t l = 0; l < spec.n_layer; ++l) {
    const LayerWeights& layer = w.layers[static_cast<size_t>(l)];
    const ops::DeviceTensor qkv = ops::linear(normed(x, layer.norm1), layer.qkv);
    const ops::DeviceTensor z =
        ops::eager_attention(ops::columns_of(qkv, 0, width), ops::columns_of(qkv, width, 2 * width),
                             ops::columns_of(qkv, 2 * width, 3 * width), spec.n_head);
    if (zeroed.layer.value == l)
      for (int64_t i = 0; i < rows; ++i) std::fill_n(z.data() + i * width + zeroed.head.value * d, d, 0.0F);
    x = ops::add(x, ops::linear(z, layer.o));
    const ops::DeviceTensor hidden = ops::linear(normed(x, layer.norm2), layer.mlp_in);
    ops::activate_in_place(hidden, spec.activation);
    x = ops::add(x, ops::linear(hidden, layer.mlp_out));
  }
  return ops::linear(normed(x, w.final_norm), {w.unembed.weight, w.unembed.layout, w.unembed_bias});
}

double difference(const float* a, const float* b, int64_t n) {
  double most = 0.0;
  for (int64_t i = 0; i < n; ++i) most = std::max(most, std::abs(static_cast<double>(a[i]) - b[i]));
  return most;
}

}  // namespace

Result<SweepBench> measure_sweep(Runner& runner, const std::vector<int32_t>& ids, const JobContext& job) {
  const ModelSpec& spec = runner.model().spec();
  SACCADE_CHECK(check_shape(spec));
  SACCADE_TRY(TokenSequence tokens, runner.model().tokenizer().sequence(ids));
  RunRequest plain = runner.request(std::move(tokens));
  plain.capture.loss = false;
  std::vector<RunRequest> requests;
  std::vector<HeadId> heads;
  for (int32_t l = 0; l < spec.n_layer; ++l)
    for (int32_t h = 0; h < spec.n_head; ++h) {
      heads.push_back({LayerIndex{l}, HeadIndex{h}});
      requests.push_back(plain);
      Edit zero;
      zero.target = target_of(heads.back());
      requests.back().edits = {zero};
    }
  const Stopwatch timed(runner.threads());
  SweepBench bench{static_cast<int64_t>(ids.size()), static_cast<int64_t>(requests.size())};
  SACCADE_TRY(const auto base, runner.run(plain, nullptr, job));  // and reads the weights once

  Result<std::vector<HostTensor>> answers = std::vector<HostTensor>();
  bench.seconds = timed([&] { answers = runner.answers(requests, job); });
  if (!answers.ok()) return std::move(answers).error();
  Result<void> outcome;
  bench.one_by_one_seconds = timed([&] {
    for (const RunRequest& request : requests)
      if (const auto run = runner.run(request, base, job); !run.ok()) outcome = run.error();
  });
  SACCADE_CHECK(outcome);
  const ModelWeights weights = bind_weights(runner.model());
  for (size_t i = 0; i < heads.size(); ++i) {
    SACCADE_CHECK(job.check());
    job.progress(static_cast<double>(i) / static_cast<double>(heads.size()), "LibTorch's own passes");
    SACCADE_CHECK(ops::guarded([&]() -> Result<void> {
      ops::DeviceTensor logits;
      bench.eager_seconds += timed([&] { logits = eager_gpt2(weights, spec, ids, heads[i]); });
      const float* last = logits.data() + (logits.rows() - 1) * logits.columns();
      bench.largest_difference =
          std::max(bench.largest_difference, difference(last, (*answers)[i].data(), logits.columns()));
      return {};
    }));
  }
  return bench;
}

}  // namespace saccade
