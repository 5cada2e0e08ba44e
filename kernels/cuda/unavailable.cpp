// What attention_cuda.h says where no CUDA toolkit was found at build time.
#include "kernels/cuda/attention_cuda.h"

namespace saccade::cuda {
namespace {
Error absent() { return make_error(ErrorCode::unsupported, "CUDA: " + status()); }
}  // namespace

std::vector<Device> devices() { return {}; }
std::string status() { return "no CUDA toolkit at build time"; }
Result<void> select_device(int) { return absent(); }
Result<void> forward(const AttentionInput&, const AttentionOutput&) { return absent(); }
Result<void> tile(const TileInput&, const TileRequest&, const TileOutput&) { return absent(); }
Result<void> weights_at(const TileInput&, int64_t, std::span<const int32_t>, std::span<const int32_t>,
                        float*) {
  return absent();
}
Result<void> forward_on_device(const AttentionInput&, const AttentionOutput&, void*) { return absent(); }
Result<void> tile_on_device(const TileInput&, const TileRequest&, const TileOutput&, void*) {
  return absent();
}

}  // namespace saccade::cuda
