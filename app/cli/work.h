// The work that run, map, analyze, replay and demo share: open, tokenise, run the baseline and the edited
// request.
#pragma once

#include <optional>

#include "analysis/compare.h"
#include "app/cli/context.h"
#include "core/session/session.h"
#include "plugins/host/method_catalogue.h"

namespace saccade::cli {

// The built-in methods and those of plugins.
[[nodiscard]] MethodCatalogue open_catalogue(const Context& context);

struct RunAnswer {
  std::shared_ptr<const Run> run;
  std::optional<Generation> generated;
};

struct WorkOptions {
  std::string model;
  InputOptions input;
  std::vector<std::string> edits;
  std::string capture;       // site filter
  SamplingOptions sampling;  // max_tokens 0 = no generation
  AnswerContrast contrast = {};
};

struct Work {
  Opened opened;
  std::vector<std::string> images;     // files, absolute
  RunAnswer baseline, edited;          // the same run without effective edits
  std::optional<Comparison> compared;  // with edits
};

Result<Work> do_work(const Context& context, const WorkOptions& options);
// A session that says the same, with the numbers that replay compares.
[[nodiscard]] Session session_of(const Work& work, const SamplingOptions& sampling,
                                 const AnswerContrast& contrast = {});
[[nodiscard]] nlohmann::json results_of(const Work& work);
[[nodiscard]] Json change_json(const Comparison& comparison);

}  // namespace saccade::cli
