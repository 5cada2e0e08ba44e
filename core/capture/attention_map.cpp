#include "core/capture/attention_map.h"

#include <fmt/format.h>

#include <algorithm>
#include <bit>
#include <optional>

#include "core/run/layer_attention.h"
#include "core/run/order_free.h"

namespace saccade {
namespace {

Error no_head(const Capture& capture, HeadId head) {
  return make_error(ErrorCode::invalid_argument,
                    fmt::format("head {}: the run has layers 0-{} and heads 0-{}", to_string(head),
                                static_cast<int64_t>(capture.layers.size()) - 1, capture.spec.n_head - 1));
}

int64_t ceil_div(int64_t a, int64_t b) { return (a + b - 1) / b; }

// Lists of edits have an entry per head or none, and every weight edit left its factors.
Result<void> check_edits_of(const LayerCapture& layer, HeadId head, int32_t n_head, int64_t n_token) {
  const auto fits = [n_head](size_t entries) {
    return entries == 0 || entries == static_cast<size_t>(n_head);
  };
  if (!fits(layer.knockouts.size()) || !fits(layer.plans.size()))
    return make_error(ErrorCode::bad_format,
                      fmt::format("head {}: {} lists of knocked-out edges and {} plans for {} heads",
                                  to_string(head), layer.knockouts.size(), layer.plans.size(), n_head));
  if (layer.plans.empty()) return {};
  const auto h = static_cast<size_t>(head.head.value);
  const int64_t count = row_factor_count(layer.plans[h]);
  if (count == 0) return {};
  const std::vector<int64_t> expected{count, n_token};
  if (h < layer.row_factors.size() && layer.row_factors[h].shape() == expected) return {};
  return make_error(
      ErrorCode::bad_format,
      fmt::format("head {}: its map was edited, but the run kept no row factors [{}, {}], which "
                  "the edited map is made of",
                  to_string(head), count, n_token));
}

Result<void> check_segments_of(const LayerCapture& layer, HeadId head, int32_t n_head, int64_t n_token) {
  if (layer.segments.empty()) return {};
  const std::vector<int64_t> expected{n_head, n_token, static_cast<int64_t>(layer.segments.size()) - 1};
  if (layer.segment_shifts.shape() == expected && layer.segments.front() >= 0 &&
      layer.segments.back() <= n_token && std::is_sorted(layer.segments.begin(), layer.segments.end()))
    return {};
  return make_error(ErrorCode::bad_format,
                    fmt::format("head {}: segments {} with shifts [{}] do not fit {} heads and {} tokens",
                                to_string(head), fmt::join(layer.segments, ", "),
                                fmt::join(layer.segment_shifts.shape(), ", "), n_head, n_token));
}

// Whether a part of another map may stand in cells that the mask hides.
bool replaces_cells(const TileInput& input, int64_t head) {
  if (input.edits.empty()) return false;
  const std::vector<WeightEdit>& edits = input.edits[static_cast<size_t>(head)].weights;
  return std::any_of(edits.begin(), edits.end(),
                     [](const WeightEdit& edit) { return edit.kind == WeightEditKind::replace; });
}

}  // namespace

Result<AttentionMap> AttentionMap::of(std::shared_ptr<const Capture> capture, HeadId head,
                                      const KernelSet& kernels) {
  if (!capture) return make_error(ErrorCode::invalid_argument, "there is no run to take the map from");
  const ModelSpec& spec = capture->spec;
  const int32_t l = head.layer.value, h = head.head.value;
  if (l < 0 || l >= static_cast<int64_t>(capture->layers.size()) || h < 0 || h >= spec.n_head)
    return no_head(*capture, head);
  const LayerCapture* layer = capture->layers[static_cast<size_t>(l)].get();
  if (!layer || !layer->keeps_attention())
    return make_error(
        ErrorCode::not_found,
        fmt::format("head {}: the run kept no q, k and lse, which its map is made of; run again "
                    "with attention captured",
                    to_string(head)));
  const int64_t n = capture->n_token(), d = spec.d_head;
  const std::vector<int64_t> q_shape{n, spec.n_head, d}, k_shape{n, spec.n_kv_head, d};
  const std::vector<int64_t> lse_shape{spec.n_head, n};
  const std::vector<int64_t>&q_found = layer->q.empty() ? layer->q_bf16.shape() : layer->q.shape(),
        &k_found = layer->k.empty() ? layer->k_bf16.shape() : layer->k.shape();
  if (q_found != q_shape || k_found != k_shape || layer->lse.shape() != lse_shape)
    return make_error(ErrorCode::bad_format,
                      fmt::format("head {}: q [{}], k [{}] and lse [{}] do not fit {} tokens and {} heads of "
                                  "{} ({} KV heads)",
                                  to_string(head), fmt::join(q_found, ", "), fmt::join(k_found, ", "),
                                  fmt::join(layer->lse.shape(), ", "), n, spec.n_head, d, spec.n_kv_head));
  SACCADE_CHECK(check_edits_of(*layer, head, spec.n_head, n));
  SACCADE_CHECK(check_segments_of(*layer, head, spec.n_head, n));
  AttentionMap map;
  map.head_ = head;
  map.kernels_ = &kernels;
  map.input_.shape = {n, n, spec.n_head, spec.n_kv_head, d, 0};
  map.input_.mask = mask_of(spec, l);
  map.input_.mask.knockouts = layer->knockouts;
  map.input_.scores = scores_of(spec, l);
  map.input_.q = layer->q_view(spec);
  map.input_.k = layer->k_view(spec);
  map.input_.lse = layer->lse.data();
  map.input_.edits = layer->plans;
  auto parts = std::make_shared<Parts>();
  for (const HostTensor& factors : layer->row_factors)
    parts->row_factors.push_back(factors.empty() ? nullptr : factors.data());
  map.input_.row_factors = parts->row_factors;
  map.kernel_head_ = h;
  map.capture_ = std::move(capture);
  if (!layer->segments.empty()) map.take_order_free(*layer, *parts);
  map.parts_ = std::move(parts);
  return map;
}

void AttentionMap::take_order_free(const LayerCapture& layer, Parts& parts) {
  const int32_t l = head_.layer.value, h = head_.head.value;
  const auto at = static_cast<size_t>(h);
  const ModelSpec& spec = capture_->spec;
  const int64_t n = capture_->n_token();
  const RotarySpec* rotary = spec.rotary_of(l);
  std::optional<RotaryTable> table;
  if (rotary != nullptr) table = order_free::shift_table(*rotary, layer.segments);
  parts.q = order_free::slot_queries(layer.q_values(), layer.segment_shifts, table ? &*table : nullptr, h, 1);
  parts.k = order_free::slot_keys(layer.segments, layer.k_values(), spec.kv_head_of(h), 1);
  const int64_t d = parts.q.shape()[2];
  kernel_head_ = 0;
  input_.shape = {n, n, 1, 1, d, 0};
  input_.q = {parts.q.data(), d, d};
  input_.k = {parts.k.data(), d, d};
  input_.lse += h * n;
  input_.mask.causal = false;
  parts.knockouts.push_back(order_free::hidden(layer.segments, 0, n, n));
  if (!layer.knockouts.empty())
    parts.knockouts[0].insert(parts.knockouts[0].end(), layer.knockouts[at].begin(),
                              layer.knockouts[at].end());
  input_.mask.knockouts = parts.knockouts;
  if (!input_.edits.empty()) input_.edits = input_.edits.subspan(at, 1);
  if (!input_.row_factors.empty()) input_.row_factors = input_.row_factors.subspan(at, 1);
}

Result<AttentionMap> AttentionMap::before_weight_edits(std::shared_ptr<const Capture> capture, HeadId head,
                                                       const KernelSet& kernels) {
  SACCADE_TRY(AttentionMap map, of(std::move(capture), head, kernels));
  auto parts = std::make_shared<Parts>(*map.parts_);
  if (!parts->q.empty()) {
    map.input_.q.data = parts->q.data();
    map.input_.k.data = parts->k.data();
    map.input_.mask.knockouts = parts->knockouts;
  }
  parts->score_plans.assign(map.input_.edits.begin(), map.input_.edits.end());
  for (HeadPlan& plan : parts->score_plans) plan.weights.clear();
  map.input_.edits = parts->score_plans;
  map.input_.row_factors = {};
  map.parts_ = std::move(parts);
  return map;
}

bool AttentionMap::masked(int64_t rows_begin, int64_t rows_end, int64_t columns_begin,
                          int64_t columns_end) const {
  if (rows_begin >= rows_end || columns_begin >= columns_end) return true;
  if (replaces_cells(input_, kernel_head_)) return false;
  const AttentionMask& mask = input_.mask;
  if (rows_begin < mask.prefix && columns_begin < mask.prefix) return false;
  const bool later = mask.causal && columns_begin > rows_end - 1;
  const bool left_behind = mask.window > 0 && rows_begin - (columns_end - 1) >= mask.window;
  return later || left_behind;
}

Result<Tile> AttentionMap::tile(int64_t rows_begin, int64_t rows_end, int64_t columns_begin,
                                int64_t columns_end, int64_t lod) const {
  const auto inside = [n = size()](int64_t begin, int64_t end) {
    return begin >= 0 && begin <= end && end <= n;
  };
  if (!inside(rows_begin, rows_end) || !inside(columns_begin, columns_end) || lod < 1 ||
      !std::has_single_bit(static_cast<uint64_t>(lod)))
    return make_error(
        ErrorCode::invalid_argument,
        fmt::format("map of {}: queries {}:{}, keys {}:{} in blocks of {}: expected ranges "
                    "within 0:{} and a power of two",
                    to_string(head_), rows_begin, rows_end, columns_begin, columns_end, lod, size()));
  Tile tile;
  tile.request = {kernel_head_, rows_begin, rows_end, columns_begin, columns_end, lod};
  tile.rows = ceil_div(rows_end - rows_begin, lod);
  tile.columns = ceil_div(columns_end - columns_begin, lod);
  tile.block_max = HostTensor({tile.rows, tile.columns});
  if (lod == 1) {  // both are the probability itself
    tile.block_mass = tile.block_max;
    if (tile.block_max.empty()) return tile;
    SACCADE_CHECK(kernels_->tile(input_, tile.request, {tile.block_max.mutable_values().data(), nullptr}));
    return tile;
  }
  tile.block_mass = HostTensor({tile.rows, tile.columns});
  if (tile.block_max.empty()) return tile;
  SACCADE_CHECK(
      kernels_->tile(input_, tile.request,
                     {tile.block_max.mutable_values().data(), tile.block_mass.mutable_values().data()}));
  return tile;
}

Result<void> AttentionMap::rows(int64_t begin, int64_t end, int64_t columns, std::span<float> out) const {
  if (begin < 0 || begin > end || end > size() || columns < 0 || columns > size() ||
      static_cast<int64_t>(out.size()) != (end - begin) * columns)
    return make_error(ErrorCode::invalid_argument,
                      fmt::format("map of {}: queries {}:{} of {} keys do not fit {} numbers",
                                  to_string(head_), begin, end, columns, out.size()));
  if (out.empty()) return {};
  return kernels_->tile(input_, {kernel_head_, begin, end, 0, columns, 1}, {out.data(), nullptr});
}

Result<float> AttentionMap::weight(int64_t query, int64_t key) const {
  if (query < 0 || query >= size() || key < 0 || key >= size())
    return make_error(ErrorCode::invalid_argument,
                      fmt::format("map of {}: expected a query and a key below {}, found {} and {}",
                                  to_string(head_), size(), query, key));
  const auto q = static_cast<int32_t>(query), k = static_cast<int32_t>(key);
  SACCADE_TRY(const std::vector<float> weights, weights_at({&q, 1}, {&k, 1}));
  return weights.front();
}

Result<std::vector<float>> AttentionMap::weights_at(std::span<const int32_t> query,
                                                    std::span<const int32_t> key) const {
  if (query.size() != key.size())
    return make_error(ErrorCode::invalid_argument,
                      fmt::format("map of {}: expected as many keys as queries, found {} and {}",
                                  to_string(head_), key.size(), query.size()));
  std::vector<float> weights(query.size());
  if (!weights.empty()) SACCADE_CHECK(kernels_->weights_at(input_, kernel_head_, query, key, weights.data()));
  return weights;
}

Result<Tile> AttentionMap::thumbnail(int64_t side) const {
  if (side < 1)
    return make_error(ErrorCode::invalid_argument,
                      fmt::format("a thumbnail is at least 1 pixel wide, found {}", side));
  int64_t lod = 1;
  while (ceil_div(size(), lod) > side) lod *= 2;
  return tile(0, size(), 0, size(), lod);
}

}  // namespace saccade
