#include "plugins/host/plugin_folders.h"

#include <cstdlib>
#include <string_view>

namespace saccade {
namespace {

std::string_view environment(const char* name) {
  const char* value = std::getenv(name);
  return value ? value : "";
}

}  // namespace

std::vector<PluginFolder> plugin_folders(const std::vector<std::string>& given) {
  std::vector<PluginFolder> folders;
  for (const std::string& path : given) folders.push_back({path, true});
  for (std::string_view rest = environment("SACCADE_PLUGINS"); !rest.empty();) {
    const size_t end = rest.find(':');
    if (end != 0) folders.push_back({rest.substr(0, end), true});
    rest = end == std::string_view::npos ? std::string_view() : rest.substr(end + 1);
  }
  std::error_code failed;
  const std::filesystem::path program = std::filesystem::read_symlink("/proc/self/exe", failed);
  if (!failed)
    folders.push_back({program.parent_path().parent_path() / "lib" / "saccade" / "plugins", false});
  std::filesystem::path data(environment("XDG_DATA_HOME"));
  if (!data.is_absolute()) {  // the XDG rule: a relative one does not count
    const std::filesystem::path home(environment("HOME"));
    if (!home.is_absolute()) return folders;
    data = home / ".local" / "share";
  }
  folders.push_back({data / "saccade" / "plugins", false});
  return folders;
}

}  // namespace saccade
