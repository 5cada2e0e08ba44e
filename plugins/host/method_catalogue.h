// MethodCatalogue: every method there is, built in and from plugins, and every plugin that was refused with
// its reason. A program makes one at its start and passes it down.
//
// Immutable once opened; thread: any. The methods live as long as the catalogue.
#pragma once

#include <filesystem>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "analysis/method.h"
#include "plugins/host/plugin_folders.h"

namespace saccade {

struct RefusedPlugin {
  std::string where;   // the manifest, or a folder that was asked for and cannot be read
  std::string reason;  // one sentence
};

class MethodCatalogue {
 public:
  // The built-in methods only.
  MethodCatalogue();
  // And the plugins of these folders: of each, every *.json in the order of names. The first of an id counts,
  // and built-in ids cannot be taken. Never fails: what does not fit is in refused().
  [[nodiscard]] static MethodCatalogue open(std::span<const PluginFolder> folders);

  [[nodiscard]] std::span<const AnalysisMethod* const> methods() const { return methods_; }  // sorted by id
  // The error lists the ids.
  [[nodiscard]] Result<const AnalysisMethod*> find(std::string_view id) const;
  [[nodiscard]] std::span<const RefusedPlugin> refused() const { return refused_; }
  // The manifest of a plugin's method; empty for a built-in one.
  [[nodiscard]] std::filesystem::path manifest_of(const AnalysisMethod& method) const;

 private:
  struct Plugin {
    std::unique_ptr<AnalysisMethod> method;
    std::filesystem::path manifest;
  };
  void read_folder(const PluginFolder& folder);
  Result<void> add(const std::filesystem::path& folder, const std::filesystem::path& manifest);
  void refuse(const std::filesystem::path& where, const std::string& reason);

  std::vector<Plugin> plugins_;
  std::vector<const AnalysisMethod*> methods_;
  std::vector<RefusedPlugin> refused_;
  std::vector<std::filesystem::path> read_;  // folders, canonical: none is read twice
};

}  // namespace saccade
