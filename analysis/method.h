// AnalysisMethod: what every method is to the window, the command line and the docs. It holds no model and no
// thread: it says which runs it needs and computes from their captures.
#pragma once

#include <memory>
#include <nlohmann/json.hpp>
#include <span>
#include <string>
#include <string_view>
#include <vector>

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
};

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
  std::vector<std::shared_ptr<const Capture>> extra;     // of the runs that plan() asked for, in order
  const KernelSet* kernels = nullptr;
};

class AnalysisMethod {
 public:
  virtual ~AnalysisMethod() = default;
  [[nodiscard]] virtual const MethodInfo& info() const = 0;
  // Further runs this method wants; empty = ready. `base` is the request of the run being looked at.
  [[nodiscard]] virtual std::vector<RunRequest> plan(const nlohmann::json& /*parameters*/,
                                                     const RunRequest& /*base*/) const {
    return {};
  }
  [[nodiscard]] virtual Result<AnalysisResult> compute(const MethodInput& input,
                                                       const JobContext& job) const = 0;
};

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
