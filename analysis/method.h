// AnalysisMethod: what every method is to the window, the command line and the docs. It holds no model and no
// thread: it says which runs and answers it needs and computes from them. run_method() does the rest.
#pragma once

#include <memory>
#include <nlohmann/json.hpp>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "analysis/experiment.h"
#include "analysis/field.h"
#include "core/base/job.h"
#include "core/capture/capture.h"
#include "core/run/run_request.h"
#include "kernels/attention.h"

namespace saccade {

struct ParameterInfo {
  std::string name, label, help;
  nlohmann::json default_value;         // its type is the parameter's type: integer, number, boolean, string
  double minimum = 0.0, maximum = 0.0;  // for numbers, when minimum < maximum
  std::vector<std::string> choices = {};  // for texts, when not empty: one of these and nothing else
  bool is_file = false;                   // a text that is the path of a file, or empty
};

// A text that is one of `choices`; the first is the default.
[[nodiscard]] ParameterInfo choice(std::string name, std::string label, std::string help,
                                   std::vector<std::string> choices);

struct MethodInfo {
  std::string id;        // "head-table"
  std::string title;     // "Scores of every head"
  std::string summary;   // one sentence
  std::string citation;  // paper and equation, or "own"
  std::vector<ParameterInfo> parameters;
};

struct MethodInput {
  nlohmann::json parameters = nlohmann::json::object();  // complete: defaults filled in
  std::shared_ptr<const Capture> capture;                // of the run being looked at
  const KernelSet* kernels = nullptr;
  // What follows is there where a method asks for runs, weights or tokens; null and empty otherwise.
  std::shared_ptr<const Model> model = nullptr;
  RunRequest base = {};                // of the run being looked at
  std::vector<Outcome> outcomes = {};  // of everything plan() has asked for so far, in order
  int threads = 1;                     // that compute() may use
};

class AnalysisMethod {
 public:
  virtual ~AnalysisMethod() = default;
  [[nodiscard]] virtual const MethodInfo& info() const = 0;
  // Further work that this method wants, given what is done; none = ready. It is asked again, with more
  // outcomes, until it wants nothing more. Errors: prompts that cannot be used, parameters that do not fit
  // the model.
  [[nodiscard]] virtual Result<std::vector<Wanted>> plan(const MethodInput& /*input*/) const {
    return std::vector<Wanted>();
  }
  // After a cancel some outcomes are missing: a method that can, gives what there is and marks it partial;
  // one that cannot, gives ErrorCode::cancelled.
  [[nodiscard]] virtual Result<AnalysisResult> compute(const MethodInput& input,
                                                       const JobContext& job) const = 0;
};

// Refuses input without a model: what a method that plans runs or reads weights asks first.
[[nodiscard]] Result<void> require_model(const MethodInput& input, std::string_view method);

// Every method of this build, sorted by id.
[[nodiscard]] std::span<const std::unique_ptr<AnalysisMethod>> methods();
[[nodiscard]] Result<const AnalysisMethod*> find_method(std::string_view id);  // the error lists the ids
// "NAME=VALUE" texts as parameters of the declared types, for complete_parameters(); the error names the
// parameter.
[[nodiscard]] Result<nlohmann::json> parse_parameters(const MethodInfo& info,
                                                      std::span<const std::string> texts);
// Checks names, types and ranges of given parameters and fills in the defaults.
[[nodiscard]] Result<nlohmann::json> complete_parameters(const MethodInfo& info, const nlohmann::json& given);

}  // namespace saccade
