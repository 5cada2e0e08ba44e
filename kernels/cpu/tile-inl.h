// Any part of a map again from q, k and lse. Included once per instruction set.
#if defined(SACCADE_KERNELS_CPU_TILE_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef SACCADE_KERNELS_CPU_TILE_INL_H_
#undef SACCADE_KERNELS_CPU_TILE_INL_H_
#else
#define SACCADE_KERNELS_CPU_TILE_INL_H_
#endif

#include <hwy/highway.h>

#include <algorithm>
#include <vector>

#include "kernels/attention.h"
#include "kernels/cpu/edits.h"
#include "kernels/cpu/pack-inl.h"
#include "kernels/cpu/scores-inl.h"
#include "kernels/cpu/statistics-inl.h"

HWY_BEFORE_NAMESPACE();
namespace saccade::cpu::HWY_NAMESPACE {

// Raw products of one row with some keys to weights, 0 where unseen.
inline void weights_of_row(const TileInput& in, int64_t head, const RowPart& row,
                           std::vector<uint8_t>& seen) {
  const int64_t n_query = in.shape.n_query, at = row.query - in.shape.first_query;
  const float lse = in.lse[head * n_query + at];
  if (lse == minus_infinity) return std::fill(row.cells, row.cells + row.count, 0.0f), void();
  const HeadPlan* plan = plan_of(in.edits, head);
  const Scored scored = make_scores({in.shape, in.mask, in.scores, head, plan}, row);
  const bool edited = plan && !plan->weights.empty();
  if (edited) {
    seen.assign(static_cast<size_t>(row.count), 0);
    for (int64_t j = scored.begin; j < scored.end; ++j)
      seen[static_cast<size_t>(j)] = row.cells[j] != minus_infinity;
  }
  std::fill(row.cells, row.cells + scored.begin, 0.0f);
  std::fill(row.cells + scored.end, row.cells + row.count, 0.0f);
  weights_from_scores(row.cells + scored.begin, scored.end - scored.begin, scored.scale, lse);
  if (!edited) return;
  const float* factors = in.row_factors.empty() ? nullptr : in.row_factors[static_cast<size_t>(head)];
  repeat_weight_edits(plan->weights, row, seen.data(), factors ? factors + at : nullptr, n_query);
}

// Adds one row of weights to the blocks of one output row.
inline void add_to_blocks(const float* row, int64_t count, int64_t lod, float* block_max, double* mass) {
  for (int64_t block = 0; block * lod < count; ++block) {
    const float* begin = row + block * lod;
    const int64_t n = std::min(lod, count - block * lod);
    block_max[block] = std::max(block_max[block], highest_of(begin, n));
    mass[block] += sum_of(begin, n);
  }
}

// Rows of weights into the output, at once or by blocks. [column, column + blocks) of the output is written.
class TileWriter {
 public:
  TileWriter(const TileRequest& request, const TileOutput& out, int64_t first, int64_t count)
      : request_(request), out_(out), count_(count), blocks_((count + request.lod - 1) / request.lod) {
    columns_ = (request.columns_end - request.columns_begin + request.lod - 1) / request.lod;
    column_ = (first - request.columns_begin) / request.lod;
    if (request.lod == 1) return;
    mass_.assign(static_cast<size_t>(blocks_), 0.0);
    highest_.assign(static_cast<size_t>(blocks_), 0.0f);
  }
  void add(int64_t query, const float* row) {
    const int64_t row_index = query - request_.rows_begin, to = row_index / request_.lod * columns_ + column_;
    if (request_.lod == 1) {
      if (out_.block_max) std::copy_n(row, count_, out_.block_max + to);
      if (out_.block_mass) std::copy_n(row, count_, out_.block_mass + to);
      return;
    }
    add_to_blocks(row, count_, request_.lod, highest_.data(), mass_.data());
    if ((row_index + 1) % request_.lod != 0 && query + 1 != request_.rows_end) return;
    for (int64_t b = 0; b < blocks_; ++b) {
      if (out_.block_max) out_.block_max[to + b] = highest_[static_cast<size_t>(b)];
      if (out_.block_mass) out_.block_mass[to + b] = static_cast<float>(mass_[static_cast<size_t>(b)]);
    }
    std::fill(mass_.begin(), mass_.end(), 0.0);
    std::fill(highest_.begin(), highest_.end(), 0.0f);
  }

 private:
  const TileRequest& request_;
  const TileOutput& out_;
  int64_t count_, blocks_, columns_ = 0, column_ = 0;
  std::vector<double> mass_;
  Buffer<float> highest_;
};

inline void tile(const TileInput& in, const TileRequest& request, const TileOutput& out) {
  const AttentionShape& s = in.shape;
  const int64_t kv_head = request.head / (s.n_head / s.n_kv_head), width = panel_width();
  constexpr int64_t keys_at_once = 2048, rows_step = 48;
  const int64_t chunk = round_up(keys_at_once, request.lod);
  Buffer<float> packed, strip, buffer;
  std::vector<uint8_t> seen;
  for (int64_t first = request.columns_begin; first < request.columns_end; first += chunk) {
    const int64_t count = std::min(chunk, request.columns_end - first), stride = round_up(count, width);
    packed.resize(static_cast<size_t>(stride * s.d_head));
    strip.resize(static_cast<size_t>(rows_step * stride));
    pack_keys(in.k, kv_head, first, count, s.d_head, buffer, packed.data());
    TileWriter writer(request, out, first, count);
    for (int64_t begin = request.rows_begin; begin < request.rows_end; begin += rows_step) {
      const int64_t rows = std::min(rows_step, request.rows_end - begin);
      const Rows q = rows_of(in.q, begin - s.first_query, rows, request.head, s.d_head, buffer);
      score_block(q.data, q.stride, rows, packed.data(), count, s.d_head, strip.data(), stride);
      for (int64_t r = 0; r < rows; ++r) {
        float* row = strip.data() + r * stride;
        weights_of_row(in, request.head, {begin + r, first, count, row}, seen);
        writer.add(begin + r, row);
      }
    }
  }
}

inline void weights_at(const TileInput& in, int64_t head, std::span<const int32_t> query,
                       std::span<const int32_t> key, float* out) {
  const AttentionShape& s = in.shape;
  const int64_t kv_head = head / (s.n_head / s.n_kv_head);
  Buffer<float> q_row(static_cast<size_t>(s.d_head)), k_row(q_row.size());
  std::vector<uint8_t> seen;
  for (size_t i = 0; i < query.size(); ++i) {
    out[i] = dot_in_order(row_of(in.q, query[i] - s.first_query, head, s.d_head, q_row.data()),
                          row_of(in.k, key[i], kv_head, s.d_head, k_row.data()), s.d_head);
    weights_of_row(in, head, {query[i], key[i], 1, out + i}, seen);
  }
}

}  // namespace saccade::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#endif
