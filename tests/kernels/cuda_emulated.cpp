#include "tests/kernels/cuda_emulated.h"

#include <limits>

#include "kernels/attention_checks.h"
#include "kernels/cuda/sequence.cuh"
#include "kernels/cuda/tables.h"

namespace saccade::testing_attention {
namespace {

using cuda_emulation::Order;

template <Order order>
struct EmulatedLauncher {
  void zero(void* pointer, size_t bytes) const { std::memset(pointer, 0, bytes); }
  template <class... Wanted, class... Given>
  void launch(void (*kernel)(Wanted...), cuda::Grid grid, int threads, size_t shared_bytes,
              const Given&... given) const {
    if (grid.x < 1 || grid.y < 1 || grid.z < 1) return;
    const EmulatedIndex size{static_cast<unsigned>(grid.x), static_cast<unsigned>(grid.y),
                             static_cast<unsigned>(grid.z)};
    cuda_emulation::run_grid(size, static_cast<unsigned>(threads), shared_bytes, order,
                             [&] { kernel(given...); });
  }
};

// Begins as NaN, so that what is read before it is written shows.
std::vector<float> scratch_of(int64_t bytes) {
  return std::vector<float>(static_cast<size_t>(bytes) / sizeof(float) + 1,
                            std::numeric_limits<float>::quiet_NaN());
}

template <Order order>
Result<void> forward(const AttentionInput& in, const AttentionOutput& out, const Parallel&) {
  SACCADE_CHECK(check_forward(in, out));
  cuda::Layout layout;
  const cuda::ScratchPlan plan = cuda::plan_scratch(in, out, layout);
  std::vector<float> memory = scratch_of(layout.size());
  auto* base = reinterpret_cast<std::byte*>(memory.data());
  const auto tables = cuda::TableBlock::of(in, out, cuda::row_factors_of(in, out, plan, base));
  const cuda::Parameters p = cuda::parameters_of(in, out, tables, tables.bytes().data(), plan, base);
  EmulatedLauncher<order> launcher;
  if (in.q.bf16)
    cuda::run_forward<Bfloat16>(launcher, p);
  else
    cuda::run_forward<float>(launcher, p);
  return {};
}

template <Order order>
Result<void> tile(const TileInput& in, const TileRequest& request, const TileOutput& out) {
  SACCADE_CHECK(check_tile(in, request));
  const auto tables = cuda::TableBlock::of(in);
  const cuda::Parameters p = cuda::parameters_of(in, tables, tables.bytes().data());
  const cuda::TileParameters t = cuda::tile_parameters_of(in.shape, request, out);
  EmulatedLauncher<order> launcher;
  if (in.q.bf16)
    cuda::run_tiles<Bfloat16>(launcher, p, t);
  else
    cuda::run_tiles<float>(launcher, p, t);
  return {};
}

template <Order order>
Result<void> weights_at(const TileInput& in, int64_t head, std::span<const int32_t> query,
                        std::span<const int32_t> key, float* out) {
  SACCADE_CHECK(check_positions(in, head, query, key));
  const auto tables = cuda::TableBlock::of(in);
  const cuda::Parameters p = cuda::parameters_of(in, tables, tables.bytes().data());
  const cuda::CellParameters cells{static_cast<int32_t>(head), static_cast<int32_t>(query.size()),
                                   query.data(), key.data(), out};
  EmulatedLauncher<order> launcher;
  if (in.q.bf16)
    cuda::run_cells<Bfloat16>(launcher, p, cells);
  else
    cuda::run_cells<float>(launcher, p, cells);
  return {};
}

template <Order order>
KernelSet set_of(const char* name) {
  return {name, "the CUDA kernels, emulated", forward<order>, tile<order>, weights_at<order>};
}

}  // namespace

KernelSet emulated_cuda(Order order) {
  switch (order) {
    case Order::forwards:
      return set_of<Order::forwards>("cuda_forwards");
    case Order::backwards:
      return set_of<Order::backwards>("cuda_backwards");
    case Order::shuffled:
      return set_of<Order::shuffled>("cuda_shuffled");
  }
  return {};
}

}  // namespace saccade::testing_attention
