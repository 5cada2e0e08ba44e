// Products with many rows: W packed into panels of one register block's width, rows copied slab by slab, both
// so that they lie in the second-level cache while they are used. Included once per instruction set.
#if defined(SACCADE_KERNELS_CPU_PRODUCT_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef SACCADE_KERNELS_CPU_PRODUCT_INL_H_
#undef SACCADE_KERNELS_CPU_PRODUCT_INL_H_
#else
#define SACCADE_KERNELS_CPU_PRODUCT_INL_H_
#endif

#include <hwy/highway.h>

#include <algorithm>
#include <cstring>
#include <vector>

#include "kernels/base/bfloat16.h"
#include "kernels/cpu/aligned.h"
#include "kernels/cpu/few_rows-inl.h"
#include "kernels/cpu/micro-inl.h"
#include "kernels/cpu/nonlinear-inl.h"
#include "kernels/product.h"

HWY_BEFORE_NAMESPACE();
namespace saccade::cpu::HWY_NAMESPACE {

constexpr int64_t depth_at_once = 512;
constexpr int64_t rows_at_once = 192;
constexpr int64_t operations_of_task = 2'000'000'000;  // some 20 ms, so that a cancelled product ends soon

// [depth][panel_width] of inputs [begin, end) and the outputs from `first` on; 0 where there are no more.
template <class Number>
inline void pack_columns(const Number* data, const ProductWeights& w, int64_t first, int64_t begin,
                         int64_t end, float* HWY_RESTRICT to) {
  const Floats d;
  const int64_t width = panel_width(), lanes = static_cast<int64_t>(hn::Lanes(d));
  const int64_t count = std::min(width, w.out - first), depth = end - begin;
  if (w.out_stride == 1) {
    const Number* from = data + begin * w.in_stride + first;
    for (int64_t k = 0; k < depth; ++k, from += w.in_stride, to += width) {
      int64_t o = 0;
      for (; o + lanes <= count; o += lanes) hn::Store(load_number(from + o), d, to + o);
      for (; o < count; ++o) to[o] = number_at(from, o);
      for (; o < width; ++o) to[o] = 0.0f;
    }
    return;
  }
  if (count < width) std::fill(to, to + depth * width, 0.0f);
  constexpr int64_t block = 16;  // a cache line of float32
  for (int64_t k = 0; k < depth; k += block) {
    const int64_t steps = std::min(block, depth - k);
    for (int64_t o = 0; o < count; ++o) {
      const Number* from = data + (first + o) * w.out_stride + begin + k;
      for (int64_t s = 0; s < steps; ++s) to[(k + s) * width + o] = number_at(from, s);
    }
  }
}

inline void pack_panel(const ProductWeights& w, int64_t first, int64_t begin, int64_t end, float* to) {
  if (w.f32 != nullptr)
    pack_columns(w.f32, w, first, begin, end, to);
  else
    pack_columns(w.bf16, w, first, begin, end, to);
}

// y of a tile of sums: the first block of terms is stored, later ones are added.
HWY_INLINE void add_tile(const float* HWY_RESTRICT tile, int64_t n, bool first, float* HWY_RESTRICT y) {
  const Floats d;
  const auto lanes = static_cast<int64_t>(hn::Lanes(d));
  int64_t i = 0;
  if (first) {
    for (; i + lanes <= n; i += lanes) hn::StoreU(hn::Load(d, tile + i), d, y + i);
    for (; i < n; ++i) y[i] = tile[i];
    return;
  }
  for (; i + lanes <= n; i += lanes)
    hn::StoreU(hn::Add(hn::Load(d, tile + i), hn::LoadU(d, y + i)), d, y + i);
  for (; i < n; ++i) y[i] += tile[i];
}

struct Workspace {
  Buffer<float> rows, panel;
};

// Rows [row_begin, row_end) by panels [panel_begin, panel_end). packed: all panels one after another, or
// null.
inline void multiply_part(const Product& p, int64_t row_begin, int64_t row_end, int64_t panel_begin,
                          int64_t panel_end, const float* packed, Workspace& work) {
  const int64_t width = panel_width(), rows = row_end - row_begin, in = p.w.in;
  HWY_ALIGN float tile[block_rows * block_vectors * HWY_MAX_BYTES / sizeof(float)];
  work.rows.resize(static_cast<size_t>(rows * std::min(depth_at_once, in)));
  if (packed == nullptr) work.panel.resize(static_cast<size_t>(width * std::min(depth_at_once, in)));
  for (int64_t begin = 0; begin < in; begin += depth_at_once) {
    const int64_t end = std::min(begin + depth_at_once, in), depth = end - begin;
    for (int64_t r = 0; r < rows; ++r)
      std::memcpy(work.rows.data() + r * depth, p.x + (row_begin + r) * p.x_stride + begin,
                  static_cast<size_t>(depth) * sizeof(float));
    for (int64_t panel = panel_begin; panel < panel_end; ++panel) {
      const int64_t first = panel * width, count = std::min(width, p.w.out - first);
      if (packed == nullptr) pack_panel(p.w, first, begin, end, work.panel.data());
      const float* b = packed == nullptr ? work.panel.data() : packed + (panel * in + begin) * width;
      for (int64_t r = 0; r < rows; r += block_rows) {
        const int64_t n = std::min(block_rows, rows - r);
        multiply_rows<false>(n, work.rows.data() + r * depth, depth, b, width, depth, tile, width);
        for (int64_t i = 0; i < n; ++i) {
          const int64_t row = row_begin + r + i;
          float* y = p.y + row * p.y_stride + first;
          add_tile(tile + i * width, count, begin == 0, y);
          if (end == in)
            finish_row(y, count, p.bias == nullptr ? nullptr : p.bias + first, p.after,
                       p.add == nullptr ? nullptr : p.add + row * p.add_stride + first);
        }
      }
    }
  }
}

inline void multiply_many(const Product& p, const Parallel& parallel) {
  const int64_t width = panel_width(), panels = (p.w.out + width - 1) / width;
  const int64_t chunks = (p.rows + rows_at_once - 1) / rows_at_once;
  const int64_t chunk_rows = round_up((p.rows + chunks - 1) / chunks, block_rows);
  const int64_t operations = 2 * chunk_rows * p.w.in * p.w.out;
  const int64_t groups = std::min(
      panels, std::max((4 * parallel.workers + chunks - 1) / chunks, 1 + operations / operations_of_task));
  Buffer<float> packed;
  if (chunks > 1) {
    packed.resize(static_cast<size_t>(panels * width * p.w.in));
    parallel.for_each(panels, [&](int64_t panel, int) {
      pack_panel(p.w, panel * width, 0, p.w.in, packed.data() + panel * width * p.w.in);
    });
  }
  std::vector<Workspace> workspaces(static_cast<size_t>(parallel.workers));
  parallel.for_each(chunks * groups, [&](int64_t task, int worker) {
    const int64_t chunk = task / groups, group = task % groups;
    const int64_t row_begin = std::min(p.rows, chunk * chunk_rows);
    multiply_part(p, row_begin, std::min(p.rows, row_begin + chunk_rows), group * panels / groups,
                  (group + 1) * panels / groups, packed.empty() ? nullptr : packed.data(),
                  workspaces[static_cast<size_t>(worker)]);
  });
}

inline void multiply(const Product& p, const Parallel& parallel) {
  if (p.rows <= 0 || p.w.out <= 0) return;
  if (p.rows <= few_rows)
    multiply_few(p, parallel);
  else
    multiply_many(p, parallel);
}

}  // namespace saccade::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#endif
