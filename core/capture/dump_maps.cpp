#include "core/capture/dump_maps.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>
#include <optional>
#include <span>

#include "core/capture/encoding.h"
#include "core/run/layer_attention.h"
#include "core/run/order_free.h"

namespace saccade {
namespace {

constexpr int64_t chunk_rows = 64, chunk_columns = 1024;
constexpr float masked = -std::numeric_limits<float>::infinity();
constexpr float least_exact = 1e-30F;  // below, p is too close to float32's end for its logarithm

// What the score edits of a head make of a score.
float edited(const std::vector<ScoreEdit>& edits, int64_t query, int64_t key, float s) {
  for (const ScoreEdit& edit : edits) {
    if (query < edit.query.begin || query >= edit.query.end) continue;
    if (edit.kind == ScoreEditKind::stream) {
      if (key >= edit.sink && query - key >= edit.recent) return masked;
      continue;
    }
    if (!contains(edit.keys, key)) continue;
    switch (edit.kind) {
      case ScoreEditKind::temperature:
        s /= edit.value;
        break;
      case ScoreEditKind::bias:
        s += edit.value;
        break;
      case ScoreEditKind::boost:
        s += edit.value * std::fabs(s);
        break;
      case ScoreEditKind::flat:
        s = 0.0F;
        break;
      case ScoreEditKind::cut:
      case ScoreEditKind::stream:
        return masked;
    }
  }
  return s;
}

// ln p + lse is the score that enters the softmax, where p is not tiny; there it is computed again.
class Scores {
 public:
  Scores(const Capture& capture, HeadId head)
      : spec_(capture.spec),
        layer_(*capture.layers[static_cast<size_t>(head.layer.value)]),
        q_(layer_.q_values()),
        k_(layer_.k_values()),
        mask_(mask_of(capture.spec, head.layer.value)),
        scores_(scores_of(capture.spec, head.layer.value)),
        head_(head.head.value) {
    const auto at = static_cast<size_t>(head_);
    if (!layer_.plans.empty()) edits_ = layer_.plans[at].scores;
    if (!layer_.knockouts.empty()) knockouts_ = layer_.knockouts[at];
    if (!layer_.segments.empty()) take_order_free(head.layer.value);
  }

  // Turns the probabilities of queries [begin, end) and keys [0, columns) into scores, in place.
  void from_pattern(int64_t begin, int64_t end, int64_t columns, std::vector<float>& p) const {
    const int64_t n = layer_.lse.shape()[1];
    float* out = p.data();
    for (int64_t i = begin; i < end; ++i) {
      const double lse = layer_.lse.data()[head_ * n + i];
      for (int64_t j = 0; j < columns; ++j, ++out)
        *out = *out > least_exact ? static_cast<float>(std::log(static_cast<double>(*out)) + lse)
               : visible(i, j)    ? edited(edits_, i, j, product(i, j))
                                  : masked;
    }
  }

 private:
  // This head alone, in slots.
  void take_order_free(int32_t l) {
    const int64_t n = layer_.lse.shape()[1];
    std::optional<RotaryTable> table;
    if (const RotarySpec* rotary = spec_.rotary_of(l))
      table = order_free::shift_table(*rotary, layer_.segments);
    q_ = order_free::slot_queries(q_, layer_.segment_shifts, table ? &*table : nullptr, head_, 1);
    k_ = order_free::slot_keys(layer_.segments, k_, spec_.kv_head_of(head_), 1);
    mask_.causal = false;
    const std::vector<EdgeRect> hidden = order_free::hidden(layer_.segments, 0, n, n);
    knockouts_.insert(knockouts_.end(), hidden.begin(), hidden.end());
  }
  [[nodiscard]] bool visible(int64_t query, int64_t key) const {
    const bool prefix = query < mask_.prefix && key < mask_.prefix;
    if (!prefix && ((mask_.causal && key > query) || (mask_.window > 0 && query - key >= mask_.window)))
      return false;
    return std::none_of(knockouts_.begin(), knockouts_.end(), [&](const EdgeRect& rect) {
      return query >= rect.query_begin && query < rect.query_end && key >= rect.key_begin &&
             key < rect.key_end;
    });
  }
  [[nodiscard]] float product(int64_t query, int64_t key) const {
    const int64_t d = q_.shape()[2];
    const bool alone = !layer_.segments.empty();
    const float* q = q_.data() + (query * q_.shape()[1] + (alone ? 0 : head_)) * d;
    const float* k = k_.data() + (key * k_.shape()[1] + (alone ? 0 : spec_.kv_head_of(head_))) * d;
    double sum = 0.0;
    for (int64_t c = 0; c < d; ++c) sum += static_cast<double>(q[c]) * k[c];
    double s = sum * static_cast<double>(scores_.scale);
    if (const double cap = scores_.softcap; cap > 0.0) s = cap * std::tanh(s / cap);
    if (!scores_.slopes.empty())
      s -= static_cast<double>(scores_.slopes[static_cast<size_t>(head_)]) *
           static_cast<double>(std::abs(query - key));
    return static_cast<float>(s);
  }

  const ModelSpec& spec_;
  const LayerCapture& layer_;
  HostTensor q_, k_;
  AttentionMask mask_;
  AttentionScores scores_;
  std::vector<ScoreEdit> edits_;
  std::vector<EdgeRect> knockouts_;
  int32_t head_;
};

// Divides every row by its sum. p = exp(s - lse) carries the rounding of lse (1e-6 of p where lse is 16 and
// more), the same for the whole row; whole rows are at hand here, so it can be taken out.
void normalise_rows(int64_t rows, int64_t columns, std::vector<float>& p) {
  for (int64_t i = 0; i < rows; ++i) {
    const std::span<float> row(p.data() + i * columns, static_cast<size_t>(columns));
    const double sum = std::accumulate(row.begin(), row.end(), 0.0);
    if (!(sum > 0.0)) continue;  // a row without keys, or NaN
    for (float& value : row) value = static_cast<float>(value / sum);
  }
}

}  // namespace

Result<void> write_maps(h5::Writer& file, const std::shared_ptr<const Capture>& capture, SiteRef site,
                        const DumpOptions& options, const KernelSet& kernels, const MapProgress& progress) {
  const int64_t n = capture->n_token(), n_head = capture->spec.n_head;
  const bool scores = site.site == HookSite::attn_scores;
  h5::DatasetSpec spec;
  spec.name = full_name(site);
  spec.axes = info_of(site.site).axes;
  spec.shape = {n_head, n, n};
  spec.number = options.float16_maps ? h5::Number::float16 : h5::Number::float32;
  spec.chunk = {1, std::min(n, chunk_rows), std::min(n, chunk_columns)};
  spec.fill = scores ? masked : 0.0F;  // chunks above the diagonal are never written
  SACCADE_TRY(h5::Handle dataset, file.dataset(spec));
  std::vector<float> block;
  std::vector<uint16_t> halves;
  for (int32_t h = 0; h < n_head; ++h) {
    const HeadId head{LayerIndex{site.layer}, HeadIndex{h}};
    SACCADE_TRY(const AttentionMap map, scores ? AttentionMap::before_weight_edits(capture, head, kernels)
                                               : AttentionMap::of(capture, head, kernels));
    const std::vector<HeadPlan>& plans = capture->layers[static_cast<size_t>(site.layer)]->plans;
    const bool sums_to_one = plans.empty() || plans[static_cast<size_t>(h)].weights.empty();
    for (int64_t begin = 0; begin < n; begin += spec.chunk[1]) {
      const int64_t end = std::min(begin + spec.chunk[1], n);
      const int64_t seen = capture->causal_at(site.layer) ? end : n;
      const int64_t columns = std::min((seen + chunk_columns - 1) / chunk_columns * chunk_columns, n);
      block.resize(static_cast<size_t>((end - begin) * columns));
      SACCADE_CHECK(map.rows(begin, end, columns, block));
      if (scores)
        Scores(*capture, head).from_pattern(begin, end, columns, block);
      else if (sums_to_one)
        normalise_rows(end - begin, columns, block);
      const void* values = block.data();
      if (options.float16_maps) {
        halves.resize(block.size());
        std::transform(block.begin(), block.end(), halves.begin(), to_float16);
        values = halves.data();
      }
      const int64_t offset[] = {h, begin, 0}, count[] = {1, end - begin, columns};
      SACCADE_CHECK(file.block(dataset, spec, offset, count, values));
      SACCADE_CHECK(progress((end - begin) * n * h5::bytes_of(spec.number)));
    }
  }
  return file.finish(std::move(dataset), spec.name);
}

}  // namespace saccade
