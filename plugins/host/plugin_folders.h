// Where plugins are looked for. Thread: any; reads the environment.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

namespace saccade {

struct PluginFolder {
  std::filesystem::path path;
  bool wanted = false;  // by name: that it does not exist is worth saying
};

// In this order, which decides between two plugins of one id: `given` (--plugins); the folders of
// SACCADE_PLUGINS, separated by ':'; ../lib/saccade/plugins seen from the program; saccade/plugins in
// XDG_DATA_HOME, by default
// ~/.local/share.
[[nodiscard]] std::vector<PluginFolder> plugin_folders(const std::vector<std::string>& given);

}  // namespace saccade
