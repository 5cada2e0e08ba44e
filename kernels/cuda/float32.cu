#include "kernels/cuda/launch.cuh"

namespace saccade::cuda {
const Launches float_launches = launches_of<float>();
}  // namespace saccade::cuda
