// Loading a plugin's shared library: the file is looked at first, then linked with all its symbols (RTLD_NOW
// | RTLD_LOCAL), then asked through its one entry for the method of that id.
//
// A library stays loaded until the program ends, refused or not: what it may have left behind (threads,
// thread-local destructors) stays valid. Its static constructors run here; nothing can be done about those
// that end the program, which is why only libraries with a fitting manifest get here. Thread: any.
#pragma once

#include <filesystem>
#include <string>

#include "kernels/base/result.h"
#include "plugins/api/saccade_plugin.h"

namespace saccade::plugins {

// Never null. Errors: a file that is no whole ELF library, symbols it lacks, another version of the
// interface, an id that it does not serve.
[[nodiscard]] Result<const saccade_plugin*> load_plugin(const std::filesystem::path& library,
                                                        const std::string& id);

}  // namespace saccade::plugins
