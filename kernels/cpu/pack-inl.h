// Keys and values of one KV head as the register blocks read them. bfloat16 is widened on the way.
// Included once per instruction set.
#if defined(SACCADE_KERNELS_CPU_PACK_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef SACCADE_KERNELS_CPU_PACK_INL_H_
#undef SACCADE_KERNELS_CPU_PACK_INL_H_
#else
#define SACCADE_KERNELS_CPU_PACK_INL_H_
#endif

#include <hwy/highway.h>

#include <cmath>
#include <vector>

#include "kernels/attention.h"
#include "kernels/base/bfloat16.h"
#include "kernels/cpu/aligned.h"
#include "kernels/cpu/micro-inl.h"

HWY_BEFORE_NAMESPACE();
namespace saccade::cpu::HWY_NAMESPACE {

HWY_INLINE hn::Vec<Floats> load_wide(const Bfloat16* from) {
  const hn::Rebind<uint16_t, Floats> halves;
  const hn::RebindToUnsigned<Floats> bits;
  return hn::BitCast(Floats(), hn::ShiftLeft<16>(hn::PromoteTo(bits, hn::LoadU(halves, from))));
}

HWY_INLINE void widen(const Bfloat16* from, int64_t n, float* HWY_RESTRICT to) {
  const Floats d;
  const int64_t lanes = static_cast<int64_t>(hn::Lanes(d));
  int64_t i = 0;
  for (; i + lanes <= n; i += lanes) hn::StoreU(load_wide(from + i), d, to + i);
  for (; i < n; ++i) to[i] = widen_bfloat16(from[i]);
}

// d_head numbers of one token and head: as they lie in memory, or widened into `buffer`.
HWY_INLINE const float* row_of(const HeadsView& view, int64_t token, int64_t head, int64_t d_head,
                               float* buffer) {
  const int64_t at = token * view.token_stride + head * view.head_stride;
  if (!view.bf16) return view.data + at;
  widen(view.bf16 + at, d_head, buffer);
  return buffer;
}

// Rows of one head, and the distance between them: as they lie in memory, or widened into `buffer`.
struct Rows {
  const float* data = nullptr;
  int64_t stride = 0;
};
inline Rows rows_of(const HeadsView& view, int64_t first, int64_t count, int64_t head, int64_t d_head,
                    Buffer<float>& buffer) {
  if (!view.bf16) return {view.data + first * view.token_stride + head * view.head_stride, view.token_stride};
  buffer.resize(static_cast<size_t>(count * d_head));
  for (int64_t r = 0; r < count; ++r)
    widen(view.bf16 + (first + r) * view.token_stride + head * view.head_stride, d_head,
          buffer.data() + r * d_head);
  return {buffer.data(), d_head};
}

// Keys [first, first + count) as panels [panel][d][panel_width], so that a panel is read straight through.
// Missing keys are 0.
inline void pack_keys(const HeadsView& k, int64_t head, int64_t first, int64_t count, int64_t d_head,
                      Buffer<float>& buffer, float* HWY_RESTRICT out) {
  const int64_t width = panel_width();
  buffer.resize(static_cast<size_t>(d_head));
  for (int64_t panel = 0; panel < count; panel += width, out += d_head * width) {
    const int64_t present = std::min(width, count - panel);
    for (int64_t j = 0; j < present; ++j) {
      const float* key = row_of(k, first + panel + j, head, d_head, buffer.data());
      for (int64_t x = 0; x < d_head; ++x) out[x * width + j] = key[x];
    }
    for (int64_t x = 0; x < d_head && present < width; ++x)
      std::fill(out + x * width + present, out + (x + 1) * width, 0.0f);
  }
}

// sum_x (x * 0): 0 if every number is finite, NaN otherwise.
HWY_INLINE float probe(const float* row, int64_t n) {
  const Floats d;
  const int64_t lanes = static_cast<int64_t>(hn::Lanes(d));
  auto sum = hn::Zero(d);
  int64_t i = 0;
  for (; i + lanes <= n; i += lanes) sum = hn::MulAdd(hn::LoadU(d, row + i), hn::Zero(d), sum);
  float total = hn::GetLane(hn::SumOfLanes(d, sum));
  for (; i < n; ++i) total += row[i] * 0.0f;
  return total;
}

// Values [0, count) as [key][padded d], padded with zeros. False if one of them is not finite.
inline bool pack_values(const HeadsView& v, int64_t head, int64_t count, int64_t d_head, int64_t padded,
                        float* HWY_RESTRICT out) {
  float found = 0.0f;
  for (int64_t j = 0; j < count; ++j, out += padded) {
    const float* row = row_of(v, j, head, d_head, out);
    if (row != out) std::memcpy(out, row, static_cast<size_t>(d_head) * sizeof(float));
    std::fill(out + d_head, out + padded, 0.0f);
    found += probe(out, d_head);
  }
  return found == 0.0f;
}

// What a worker has packed: keys and values [0, count) of one KV head. Heads that share it, and the tasks of
// one head, reuse it.
struct Packed {
  int64_t kv_head = -1, count = 0;
  bool finite = true;  // the values
  Buffer<float> keys, values, norms, buffer;

  void hold(const AttentionInput& in, int64_t head, int64_t wanted, bool with_norms) {
    if (kv_head == head && count >= wanted) return;
    const int64_t d = in.shape.d_head, padded = round_up(d, panel_width());
    keys.resize(static_cast<size_t>(round_up(wanted, panel_width()) * d));
    values.resize(static_cast<size_t>(wanted * padded));
    pack_keys(in.k, head, 0, wanted, d, buffer, keys.data());
    finite = pack_values(in.v, head, wanted, d, padded, values.data());
    norms.resize(with_norms ? static_cast<size_t>(wanted) : 0);
    for (size_t j = 0; j < norms.size(); ++j) {
      const float* value = values.data() + static_cast<int64_t>(j) * padded;
      norms[j] = std::sqrt(dot(value, value, d));
    }
    kv_head = head;
    count = wanted;
  }
};

}  // namespace saccade::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#endif
