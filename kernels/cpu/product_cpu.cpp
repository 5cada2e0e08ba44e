// Every instruction set's copy of the products, and the table of those this machine can run (Google Highway).
#include <hwy/targets.h>

#include <vector>

#include "kernels/product.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/cpu/product_cpu.cpp"
#include <hwy/foreach_target.h>
// Highway wants the headers below after foreach_target.
#include <hwy/highway.h>

#include "kernels/cpu/product-inl.h"

#if HWY_ONCE

namespace saccade {

std::span<const ProductSet> product_sets() {
  static const std::vector<ProductSet> found = [] {
    [[maybe_unused]] const int64_t machine = hwy::SupportedTargets();
    std::vector<ProductSet> list;
#if HWY_TARGETS & HWY_AVX3
    if (machine & HWY_AVX3) list.push_back({"avx512", cpu::N_AVX3::multiply, cpu::N_AVX3::apply});
#endif
#if HWY_TARGETS & HWY_AVX2
    if (machine & HWY_AVX2) list.push_back({"avx2", cpu::N_AVX2::multiply, cpu::N_AVX2::apply});
#endif
    return list;
  }();
  return found;
}

}  // namespace saccade

#endif
