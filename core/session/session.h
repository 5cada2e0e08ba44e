// Session: one JSON document that holds what a person did: model, prompt, edits, what was looked at, which
// analyses were made. The window saves it, the command line replays it; one that is written to be replayed on
// other models is a recipe (resources/recipes). Unknown keys are kept when a document is read and written
// again.
#pragma once

#include <filesystem>
#include <map>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "core/base/ids.h"
#include "core/run/edit.h"
#include "core/run/runner.h"

namespace saccade {

// What every view shows: one selection, shared. -1 = nothing.
struct Selection {
  HeadId head;
  std::vector<HeadId> heads;  // all selected, `head` among them
  int32_t query = -1, key = -1;
  int32_t word = -1;  // of the generated text; not kept in files, the text is not either
  bool operator==(const Selection&) const = default;
};

// An analysis to make: {"method": "path-patching", "parameters": {...}, "name": "logits", "against": {...}}.
struct SessionAnalysis {
  std::string method;                                    // its id
  nlohmann::json parameters = nlohmann::json::object();  // as given; what is left out has its default
  std::string name;  // of the file that replay writes; empty = the method's id
  // Field name -> JSON pointer into a document of reference numbers, which replay compares with.
  std::map<std::string, std::string> against;
  bool operator==(const SessionAnalysis&) const = default;
};

// What an answer is steered away from (core/run/contrast.h): the same prompt under more edits, such as
// "knockout *.* key=img", or with its pictures cut down to so many outlier tokens of the encoder (DAMRO). One
// of the two.
struct AnswerContrast {
  std::vector<Edit> edits;
  int32_t outliers = 0;
  double alpha = 1.0, plausibility = 0.1;
  [[nodiscard]] bool asked_for() const { return !edits.empty() || outliers > 0; }
  bool operator==(const AnswerContrast&) const = default;
};

struct Session {
  static constexpr int current_version = 1;
  std::string model;         // folder or demo:NAME
  std::string model_digest;  // empty = not known; another one is reported on replay
  std::string prompt;
  std::vector<int32_t> ids;  // used instead of the prompt when not empty
  bool add_bos = true;
  std::vector<std::string> images;  // picture files, in the order of their places in the prompt
  std::vector<Edit> edits;
  SamplingOptions sampling;
  AnswerContrast contrast;
  std::vector<SessionAnalysis> analyses;
  Selection selection;
  nlohmann::json view = nlohmann::json::object();     // the window's own settings (palette, range, layout)
  nlohmann::json results = nlohmann::json::object();  // numbers at saving time, compared on replay
  nlohmann::json extra = nlohmann::json::object();    // unknown keys
};

[[nodiscard]] nlohmann::json to_json(const Session& session);
// Errors name the key, what was expected and what was found.
[[nodiscard]] Result<Session> session_from_json(const nlohmann::json& document);
Result<void> save_session(const Session& session, const std::filesystem::path& path);  // atomic
Result<Session> load_session(const std::filesystem::path& path);

// The edit list with undo and redo. Every change is one step; `coalesce` merges a slider's stream of changes
// with the step before when it has the same tag.
class EditHistory {
 public:
  [[nodiscard]] const std::vector<Edit>& edits() const { return steps_[at_].edits; }
  void set(std::vector<Edit> edits, const std::string& coalesce_tag = {});
  [[nodiscard]] bool can_undo() const { return at_ > 0; }
  [[nodiscard]] bool can_redo() const { return at_ + 1 < steps_.size(); }
  void undo();
  void redo();

 private:
  struct Step {
    std::vector<Edit> edits;
    std::string tag;
  };
  std::vector<Step> steps_{Step{}};
  size_t at_ = 0;
};

}  // namespace saccade
