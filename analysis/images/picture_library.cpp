#include "analysis/images/picture_library.h"

#include <fmt/format.h>

#include "core/base/module.h"

namespace saccade {

Result<const SaccadePictures*> picture_library() {
  static const Result<const SaccadePictures*> loaded = []() -> Result<const SaccadePictures*> {
    SACCADE_TRY(void* found,
                symbol_of({SACCADE_PICTURES_MODULE, "saccade_pictures", "Picture files and films", false}));
    const auto* functions = reinterpret_cast<const SaccadePictures* (*)()>(found)();
    if (functions->version != saccade_pictures_version)
      return make_error(ErrorCode::unsupported,
                        fmt::format("the module saccade_pictures has version {}, expected {}",
                                    functions->version, saccade_pictures_version));
    return functions;
  }();
  return loaded;
}

}  // namespace saccade
