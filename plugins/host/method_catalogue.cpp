#include "plugins/host/method_catalogue.h"

#include <fmt/format.h>

#include <algorithm>

#include "plugins/host/plugin_library.h"
#include "plugins/host/plugin_manifest.h"
#include "plugins/host/plugin_method.h"
#include "plugins/host/plugin_text.h"

namespace saccade {
namespace {

namespace fs = std::filesystem;

constexpr size_t most_manifests = 256;  // of one folder

}  // namespace

MethodCatalogue::MethodCatalogue() {
  for (const auto& method : saccade::methods()) methods_.push_back(method.get());
}

MethodCatalogue MethodCatalogue::open(std::span<const PluginFolder> folders) {
  MethodCatalogue catalogue;
  for (const PluginFolder& folder : folders) catalogue.read_folder(folder);
  std::sort(catalogue.methods_.begin(), catalogue.methods_.end(),
            [](const AnalysisMethod* a, const AnalysisMethod* b) { return a->info().id < b->info().id; });
  return catalogue;
}

// Both come from outside and are shown in terminals.
void MethodCatalogue::refuse(const fs::path& where, const std::string& reason) {
  refused_.push_back({plugins::printable(where.string()), plugins::printable(reason)});
}

void MethodCatalogue::read_folder(const PluginFolder& folder) {
  std::error_code failed;
  const fs::path real = fs::canonical(folder.path, failed);
  std::vector<fs::path> manifests;
  if (!failed) {
    if (std::find(read_.begin(), read_.end(), real) != read_.end()) return;
    read_.push_back(real);
    fs::directory_iterator entry(real, failed);
    for (; !failed && entry != fs::directory_iterator(); entry.increment(failed))
      if (entry->path().extension() == ".json") manifests.push_back(entry->path());
  }
  if (failed) {
    if (folder.wanted) refuse(folder.path, fmt::format("the folder cannot be read: {}", failed.message()));
    return;
  }
  std::sort(manifests.begin(), manifests.end());
  if (manifests.size() > most_manifests) {
    refuse(real, fmt::format("the folder holds {} manifests; only the first {} are read", manifests.size(),
                             most_manifests));
    manifests.resize(most_manifests);
  }
  for (const fs::path& manifest : manifests)
    if (const Result<void> added = add(real, manifest); !added.ok())
      refuse(manifest, added.error().to_string());
}

Result<void> MethodCatalogue::add(const fs::path& folder, const fs::path& manifest) {
  SACCADE_TRY(plugins::PluginManifest read, plugins::read_manifest(folder, manifest));
  const std::string id = read.info.id;
  for (const AnalysisMethod* method : methods_) {
    if (method->info().id != id) continue;
    const fs::path other = manifest_of(*method);
    return make_error(
        ErrorCode::invalid_argument,
        fmt::format("the id '{}' is taken by {}", id, other.empty() ? "a built-in method" : other.string()));
  }
  SACCADE_TRY(const fs::path library, plugins::file_inside(folder, read.library));
  SACCADE_TRY(const saccade_plugin* plugin, plugins::load_plugin(library, id));
  plugins_.push_back({std::make_unique<plugins::PluginMethod>(std::move(read), plugin), manifest});
  methods_.push_back(plugins_.back().method.get());
  return {};
}

Result<const AnalysisMethod*> MethodCatalogue::find(std::string_view id) const {
  std::string known;
  for (const AnalysisMethod* method : methods_) {
    if (method->info().id == id) return method;
    known += (known.empty() ? "" : ", ") + method->info().id;
  }
  return make_error(
      ErrorCode::not_found,
      fmt::format("there is no method '{}'; the methods are {}{}", id, known,
                  refused_.empty()
                      ? ""
                      : fmt::format(" ({} plugins were refused: `methods` says why)", refused_.size())));
}

fs::path MethodCatalogue::manifest_of(const AnalysisMethod& method) const {
  for (const Plugin& plugin : plugins_)
    if (plugin.method.get() == &method) return plugin.manifest;
  return {};
}

}  // namespace saccade
