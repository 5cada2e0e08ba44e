// PluginMethod: a loaded plugin as an AnalysisMethod, so that the window and the command line need not know
// which methods are built in. Immutable; thread: any.
#pragma once

#include <filesystem>
#include <memory>

#include "analysis/method.h"
#include "plugins/api/saccade_plugin.h"
#include "plugins/host/plugin_manifest.h"

namespace saccade::plugins {

class PluginMethod final : public AnalysisMethod {
 public:
  // plugin: as load_plugin() gives it.
  PluginMethod(PluginManifest manifest, const saccade_plugin* plugin)
      : manifest_(std::move(manifest)), plugin_(plugin) {}

  [[nodiscard]] const MethodInfo& info() const override { return manifest_.info; }
  // The run again with the manifest's sites kept, where the one looked at lacks some.
  [[nodiscard]] Result<std::vector<Wanted>> plan(const MethodInput& input) const override;
  // Errors: what the plugin says, and results that do not fit the manifest or the run.
  [[nodiscard]] Result<AnalysisResult> compute(const MethodInput& input,
                                               const JobContext& job) const override;

 private:
  PluginManifest manifest_;
  const saccade_plugin* plugin_;
};

}  // namespace saccade::plugins
