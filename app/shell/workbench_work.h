// What the workbench has done on the engine thread. Plain functions over a state that only that thread
// touches.
#pragma once

#include <QStringList>
#include <memory>
#include <optional>
#include <string>

#include "analysis/compare.h"
#include "analysis/field.h"
#include "app/shell/found_model.h"
#include "app/shell/picture_look.h"
#include "core/run/edit_references.h"
#include "core/run/runner.h"

namespace saccade {

// Lives as long as a job needs it; used on the engine thread alone.
struct EngineSide {
  std::shared_ptr<const Model> model;
  std::unique_ptr<Runner> runner;
  EditFiles edit_files;  // what from= has read
  // Pictures as the model's processor made them: those of the request before.
  std::vector<std::pair<std::shared_ptr<const Picture>, std::shared_ptr<const PreparedImage>>> prepared = {};
  std::vector<GivenPicture> restored = {};  // of the session that this model was opened for
};

struct WantedRuns {
  std::string prompt;
  std::vector<int32_t> ids;  // instead of the prompt when not empty
  bool add_bos = true;
  std::vector<GivenPicture> pictures;
  std::vector<Edit> edits;
  std::shared_ptr<const Run> previous_a, previous_b;  // to start from
};
struct MadeRuns {
  std::shared_ptr<const Run> a, b;  // the same object without effective edits
  std::optional<Comparison> comparison;
};

// Reads picture files and asks whether the model takes them; nothing is kept of what is refused.
Result<std::vector<GivenPicture>> read_pictures(EngineSide& side, const QStringList& paths);
// The run over a prompt and what was generated after it, under the same edits.
Result<std::shared_ptr<const Run>> run_with_words(EngineSide& side, RunRequest request,
                                                  const std::vector<Token>& words, const JobContext& job);
// Reads the headers and the tokenizer, and counts what the prompt would need.
Result<FoundModel> look_at_model(const std::string& where, const std::string& prompt, const JobContext& job);
Result<std::shared_ptr<EngineSide>> make_engine_side(const std::shared_ptr<const Model>& model,
                                                     const RunnerOptions& options);
Result<std::shared_ptr<EngineSide>> open_engine_side(const std::string& where, const RunnerOptions& options,
                                                     const JobContext& job);
Result<MadeRuns> make_runs(EngineSide& side, const WantedRuns& wanted, const JobContext& job);
Result<AnalysisResult> score_heads(const std::shared_ptr<const Capture>& capture, const KernelSet& kernels,
                                   const JobContext& job);
Result<void> dump_run(EngineSide* side, const std::shared_ptr<const Run>& run, const KernelSet& kernels,
                      const std::string& path, const std::string& sites, const JobContext& job);
// A run that holds a dump's capture and nothing to run it with.
Result<std::shared_ptr<const Run>> run_from_dump(const std::string& path);

}  // namespace saccade
