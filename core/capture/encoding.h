// How text and half-precision numbers are spelt in a dump (core/capture/FORMAT.md). Thread: any.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "kernels/base/result.h"

namespace saccade {

// HDF5 strings end at a NUL and must be UTF-8; a token can be any bytes. Text that cannot stay as it is has
// every offending byte written as \xHH and every backslash doubled; other text is left alone.
[[nodiscard]] bool needs_escape(std::string_view text);
[[nodiscard]] std::string escape(std::string_view text);
[[nodiscard]] Result<std::string> unescape(std::string_view text);

// IEEE 754 binary16, rounded to nearest, ties to even; too large becomes infinity, NaN stays NaN.
[[nodiscard]] uint16_t to_float16(float value);

}  // namespace saccade
