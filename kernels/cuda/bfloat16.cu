#include "kernels/cuda/launch.cuh"

namespace saccade::cuda {
const Launches bfloat16_launches = launches_of<Bfloat16>();
}  // namespace saccade::cuda
