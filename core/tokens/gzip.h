// Files packed with gzip, unpacked in memory. A private header. Thread: any. Source: RFC 1952; zlib.
#pragma once

#include <string>
#include <string_view>

#include "kernels/base/result.h"

namespace saccade::tokens {

[[nodiscard]] bool looks_like_gzip(std::string_view bytes);

// bad_format: no gzip, damaged, or cut short; unsupported: more than `limit` bytes would come out.
Result<std::string> unpack_gzip(std::string_view bytes, size_t limit);

}  // namespace saccade::tokens
