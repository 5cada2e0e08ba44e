// What every tokenizer asks of a prompt, and how they describe themselves. A private header. Thread: any.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "kernels/base/result.h"

namespace saccade::tokens {

// invalid_argument: more bytes than byte ranges of 32 bits can count, or no UTF-8 (names the byte).
Result<void> check_prompt(std::string_view text);

// The error for an id outside a vocabulary of `size` tokens.
[[nodiscard]] Error unknown_id(int32_t id, int32_t size);

[[nodiscard]] std::string with_thousands(int32_t number);  // "50,257"

}  // namespace saccade::tokens
