// Every family of this build, one function each; families.cpp lists them.
#pragma once

#include "core/model/family.h"

namespace saccade {

[[nodiscard]] Family gpt2_family();
[[nodiscard]] Family llama_family();

}  // namespace saccade
