// Libraries that are loaded when they are first needed: modules of this program in lib/, beside bin/. A
// program that does not need one starts without what it brings. Thread: any.
#pragma once

#include <filesystem>
#include <string>

#include "kernels/base/result.h"

namespace saccade {

struct ModuleWanted {
  std::filesystem::path built;  // where the build put it; ../lib/ seen from the program comes before that
  const char* symbol = nullptr;
  std::string purpose;     // "SentencePiece models": for messages
  bool own_scope = false;  // its libraries do not see the program's (not in builds with sanitizers)
};

// The address of `symbol`. The module stays loaded: libraries leave things behind. Errors say what needs
// which module and why it cannot be had.
[[nodiscard]] Result<void*> symbol_of(const ModuleWanted& wanted);

}  // namespace saccade
