// ResultBuilder: takes what a plugin hands over, checks it against the manifest and the run, and copies it
// into an AnalysisResult. What does not fit is refused with a sentence that names it; nothing of it is kept.
//
// Thread: the one that compute() runs on.
#pragma once

#include <set>
#include <string>

#include "analysis/field.h"
#include "core/capture/capture.h"
#include "plugins/api/saccade_plugin.h"
#include "plugins/host/plugin_manifest.h"

namespace saccade::plugins {

class ResultBuilder {
 public:
  // Bounds of one result: 1 GiB of numbers, a million cells, a thousand sentences, 64 MiB of texts.
  static constexpr int64_t most_values = int64_t{1} << 28;
  static constexpr int64_t most_cells = 1'000'000;
  static constexpr size_t most_findings = 1000;
  static constexpr size_t most_text = size_t{64} << 20;

  // Both must outlive the builder.
  ResultBuilder(const PluginManifest& manifest, const Capture& capture)
      : manifest_(manifest), capture_(capture) {}

  Result<void> add_field(const saccade_field* given);
  Result<void> add_table(const saccade_table* given);
  Result<void> add_finding(const char* sentence);
  [[nodiscard]] bool empty() const {
    return result_.fields.empty() && result_.tables.empty() && result_.findings.empty();
  }
  [[nodiscard]] AnalysisResult take() { return std::move(result_); }

 private:
  Result<const FieldPromise*> promised_field(const saccade_field* given) const;
  Result<const TablePromise*> promised_table(const saccade_table* given) const;
  Result<Axis> read_axis(const saccade_axis& given, const std::string& promised);
  Result<Cell> read_cell(const saccade_cell& given);
  // A text that counts towards most_text; errors begin with `what`.
  Result<std::string> read_text(const char* text, size_t longest, const std::string& what);

  const PluginManifest& manifest_;
  const Capture& capture_;
  AnalysisResult result_;
  int64_t values_ = 0, cells_ = 0;
  size_t text_ = 0;
};

}  // namespace saccade::plugins
