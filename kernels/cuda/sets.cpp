#include "kernels/cuda/sets.h"

#include "kernels/attention_checks.h"
#include "kernels/cuda/attention_cuda.h"

namespace saccade::cuda {
namespace {

Result<void> checked_forward(const AttentionInput& in, const AttentionOutput& out, const Parallel&) {
  SACCADE_CHECK(check_forward(in, out));
  return forward(in, out);
}

Result<void> checked_tile(const TileInput& in, const TileRequest& request, const TileOutput& out) {
  SACCADE_CHECK(check_tile(in, request));
  return tile(in, request, out);
}

Result<void> checked_weights_at(const TileInput& in, int64_t head, std::span<const int32_t> query,
                                std::span<const int32_t> key, float* out) {
  SACCADE_CHECK(check_positions(in, head, query, key));
  return weights_at(in, head, query, key, out);
}

}  // namespace

void append_sets(std::vector<KernelSet>& sets) {
  const std::vector<Device> found = devices();
  if (found.empty()) return;
  sets.push_back({"cuda", "CUDA on " + found.front().name + ", compute capability 8.0 and newer",
                  checked_forward, checked_tile, checked_weights_at});
}

std::string why_not(std::string_view name) { return name == "cuda" ? " (" + status() + ")" : ""; }

}  // namespace saccade::cuda
