// PluginCall: one compute() of a plugin. It is the host's side of saccade_host: gives views and tiles of the
// run, parameters, progress and cancelling, and takes results. No exception leaves a host function, and none
// of the plugin's leaves run().
//
// Thread: the one that compute() runs on; cancelled() any.
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "analysis/method.h"
#include "core/capture/attention_map.h"
#include "plugins/api/saccade_plugin.h"
#include "plugins/host/plugin_manifest.h"
#include "plugins/host/result_builder.h"

namespace saccade::plugins {

class PluginCall {
 public:
  // The arguments must outlive the call. capture: with the manifest's sites in it.
  PluginCall(const PluginManifest& manifest, std::shared_ptr<const Capture> capture, const KernelSet& kernels,
             const nlohmann::json& parameters, const JobContext& job);
  PluginCall(const PluginCall&) = delete;
  PluginCall& operator=(const PluginCall&) = delete;

  Result<AnalysisResult> run(int32_t (*compute)(const saccade_host*));

 private:
  // Makes a member function a C function of the table: no exception out, and the error kept for error().
  template <auto Member, class... Arguments>
  static int32_t call(const saccade_host* host, Arguments... arguments);
  template <auto Member, class... Arguments>
  static int32_t hand_over(const saccade_host* host, Arguments... arguments);
  static PluginCall* of(const saccade_host* host);
  void fill_table();
  int32_t failed(const Error& error);

  Result<const nlohmann::json*> parameter(const char* name) const;
  Result<void> integer(const char* name, int64_t* value);
  Result<void> number(const char* name, double* value);
  Result<void> boolean(const char* name, int32_t* value);
  Result<void> text(const char* name, const char** value);
  Result<void> view(const char* name, int32_t layer, saccade_view* view);
  Result<void> tile(const saccade_tile* what, float* mass, float* max, int64_t capacity);
  Result<void> add_field(const saccade_field* field) { return builder_.add_field(field); }
  Result<void> add_table(const saccade_table* table) { return builder_.add_table(table); }
  Result<void> add_finding(const char* sentence) { return builder_.add_finding(sentence); }
  static void progress(const saccade_host* host, double fraction, const char* what) noexcept;
  static int32_t cancelled(const saccade_host* host) noexcept;
  static void fail(const saccade_host* host, const char* reason) noexcept;
  static const char* error(const saccade_host* host) noexcept;

  const PluginManifest& manifest_;
  std::shared_ptr<const Capture> capture_;
  const KernelSet& kernels_;
  const nlohmann::json& parameters_;
  const JobContext& job_;
  ResultBuilder builder_;
  std::vector<int32_t> token_ids_;
  std::vector<std::string> token_labels_;
  std::vector<const char*> token_texts_;
  std::string parameters_text_;
  std::map<std::string, HostTensor> views_;  // by name and layer: keeps alive what was handed out
  std::optional<AttentionMap> map_;          // of the head that was looked at last
  std::string error_;                        // of the last failed call
  std::string reason_;                       // what fail() was told
  std::optional<Error> refused_;             // the first thing handed over that did not fit
  saccade_run run_{};
  saccade_host host_{};
};

}  // namespace saccade::plugins
