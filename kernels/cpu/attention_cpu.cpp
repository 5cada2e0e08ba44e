// Every instruction set's copy of the kernels, and the table of those this machine can run (Google Highway).
#include "kernels/cpu/attention_cpu.h"

#include <hwy/targets.h>

#include <vector>

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/cpu/attention_cpu.cpp"
#include <hwy/foreach_target.h>
// Highway wants the headers below after foreach_target.
#include <hwy/highway.h>

#include "kernels/cpu/forward-inl.h"
#include "kernels/cpu/tile-inl.h"

#if HWY_ONCE

namespace saccade::cpu {

namespace {
// The set every processor of this kind can run is the one the compiler was told to assume.
constexpr Functions baseline{&HWY_STATIC_DISPATCH(forward), &HWY_STATIC_DISPATCH(tile),
                             &HWY_STATIC_DISPATCH(weights_at)};
}  // namespace

std::span<const Target> targets() {
  static const std::vector<Target> found = [] {
    [[maybe_unused]] const int64_t machine = hwy::SupportedTargets();
    std::vector<Target> list;
#if HWY_TARGETS & HWY_AVX3
    if ((machine & HWY_AVX3) && __builtin_cpu_supports("avx512bf16"))
      list.push_back({"avx512_bf16",
                      "AVX-512 with bf16 products, 16 float32 lanes",
                      {N_AVX3::forward_pairs, N_AVX3::tile, N_AVX3::weights_at}});
    if (machine & HWY_AVX3)
      list.push_back(
          {"avx512", "AVX-512, 16 float32 lanes", {N_AVX3::forward, N_AVX3::tile, N_AVX3::weights_at}});
#endif
#if HWY_TARGETS & HWY_AVX2
    if (machine & HWY_AVX2)
      list.push_back(
          {"avx2", "AVX2 with FMA, 8 float32 lanes", {N_AVX2::forward, N_AVX2::tile, N_AVX2::weights_at}});
#endif
    list.push_back({"baseline", "what every processor of this kind has", baseline});
    return list;
  }();
  return found;
}

}  // namespace saccade::cpu

#endif
