#include "analysis/methods/token_attribution.h"

#include <algorithm>
#include <cmath>

#include "core/capture/attention_map.h"

namespace saccade {

std::vector<double> row_products(const HostTensor& x, const HostTensor& g) {
  const int64_t rows = x.shape()[0], width = x.size() / std::max<int64_t>(rows, 1);
  std::vector<double> sums(static_cast<size_t>(rows), 0.0);
  for (int64_t i = 0; i < x.size(); ++i)
    sums[static_cast<size_t>(i / width)] += static_cast<double>(x.data()[i]) * g.data()[i];
  return sums;
}

std::vector<double> row_lengths(const HostTensor& g) {
  std::vector<double> lengths = row_products(g, g);
  for (double& length : lengths) length = std::sqrt(length);
  return lengths;
}

std::vector<double> integrated_gradients(const HostTensor& from, const HostTensor& to,
                                         std::span<const GradientCapture* const> path) {
  HostTensor difference(to.shape());
  for (int64_t i = 0; i < to.size(); ++i)
    difference.mutable_values()[static_cast<size_t>(i)] = to.data()[i] - from.data()[i];
  std::vector<double> sums(static_cast<size_t>(to.shape()[0]), 0.0);
  for (const GradientCapture* point : path) {
    const std::vector<double> part = row_products(difference, point->gradients.at({HookSite::embed, -1}));
    for (size_t i = 0; i < sums.size(); ++i) sums[i] += part[i] / static_cast<double>(path.size());
  }
  return sums;
}

Result<std::vector<double>> direct_sources(const std::shared_ptr<const Capture>& capture,
                                           const std::shared_ptr<const Model>& model,
                                           const VocabularyDirection& direction, const KernelSet& kernels) {
  const ModelSpec& spec = capture->spec;
  const int64_t n = capture->n_token();
  const WeightReader weights(model);
  SACCADE_TRY(const LogitMap map,
              LogitMap::make(weights, spec, capture->final_resid.slice(n - 1), direction));
  std::vector<double> sums(static_cast<size_t>(n), 0.0);
  for (int32_t l = 0; l < spec.n_layer; ++l) {
    const HostTensor& v = capture->sites.at({HookSite::v, l});
    for (int32_t h = 0; h < spec.n_head; ++h) {
      const HeadId head{LayerIndex{l}, HeadIndex{h}};
      SACCADE_TRY(const AttentionMap pattern, AttentionMap::of(capture, head, kernels));
      SACCADE_TRY(const Tile row, pattern.tile(n - 1, n, 0, n, 1));
      const HostTensor output = weights.output(head);
      for (int64_t j = 0; j < n; ++j) {
        const std::span<const float> value =
            v.values().subspan(static_cast<size_t>((j * spec.n_kv_head + spec.kv_head_of(h)) * spec.d_head),
                               static_cast<size_t>(spec.d_head));
        sums[static_cast<size_t>(j)] += row.block_max.data()[j] * map.contribution(value, output);
      }
    }
  }
  return sums;
}

HostTensor mean_rows(const HostTensor& x) {
  const int64_t rows = x.shape()[0], width = x.size() / rows;
  HostTensor made(x.shape());
  for (int64_t c = 0; c < width; ++c) {
    double sum = 0.0;
    for (int64_t i = 0; i < rows; ++i) sum += x.data()[i * width + c];
    for (int64_t i = 0; i < rows; ++i)
      made.mutable_values()[static_cast<size_t>(i * width + c)] =
          static_cast<float>(sum / static_cast<double>(rows));
  }
  return made;
}

}  // namespace saccade
