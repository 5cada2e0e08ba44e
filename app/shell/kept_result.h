// KeptResult: what a method gave in this session, and what is needed to say where it came from or to run it
// again. An immutable value but for its state while the method runs.
#pragma once

#include <memory>
#include <string>

#include "analysis/field.h"
#include "core/capture/capture.h"

namespace saccade {

struct KeptResult {
  int number = 0;             // 1, 2, ... in the order they were asked for
  std::string method, title;  // "ablation-sweep", "What each head is needed for"
  nlohmann::json parameters = nlohmann::json::object();
  std::shared_ptr<const AnalysisResult> result;  // null: nothing yet, or of a session file and not run again
  bool running = false;                          // `result` is then what there is so far
  Provenance run;                                // of the run it is about
  int32_t n_layer = 0, n_head = 0;
  double seconds = 0.0;

  [[nodiscard]] bool partial() const { return result && result->partial; }
};

}  // namespace saccade
