// Loads the module saccade_pictures when a picture file is first met. A private header.
#pragma once

#include "analysis/images/picture_module.h"
#include "kernels/base/result.h"

namespace saccade {

[[nodiscard]] Result<const SaccadePictures*> picture_library();

}  // namespace saccade
