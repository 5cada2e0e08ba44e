// scanpath: the order in which a running model looks at a picture.
#include <fmt/format.h>

#include <set>

#include "analysis/methods/model_gaze.h"
#include "analysis/methods/registry.h"
#include "analysis/scanpath/sequence_metrics.h"

namespace saccade {
namespace {

MethodInfo make_info() {
  MethodInfo info;
  info.id = "scanpath";
  info.title = "Where the model looks, step by step";
  info.summary =
      "One fixation per layer, per token read or per token generated: the patch that the chosen heads attend "
      "to "
      "most, sinks left out, in pixels of the picture.";
  info.citation =
      "own definition (analysis/scanpath/attention_scanpath.h); winner-take-all with inhibition of return: "
      "Itti, "
      "Koch and Niebur 1998 (IEEE TPAMI 20:1254)";
  info.parameters = model_gaze_parameters();
  return info;
}

class ScanpathMethod final : public AnalysisMethod {
 public:
  [[nodiscard]] const MethodInfo& info() const override { return info_; }
  [[nodiscard]] Result<std::vector<Wanted>> plan(const MethodInput& input) const override {
    return plan_model_gaze(input);
  }

  [[nodiscard]] Result<AnalysisResult> compute(const MethodInput& given,
                                               const JobContext& job) const override {
    MethodInput input = given;
    SACCADE_TRY(input.parameters, complete_parameters(info_, given.parameters));
    SACCADE_TRY(const ModelGaze gaze, model_gaze(input, job));
    AnalysisResult result;
    result.method = info_.id;
    result.requests = {gaze.request};
    SACCADE_TRY(Field maps, gaze_maps(gaze));
    result.fields.push_back(std::move(maps));
    result.tables.push_back(gaze_steps_table(gaze));
    result.tables.push_back(fixations_table(input.capture->provenance.model_name, gaze.scanpath.path));
    result.findings = gaze.findings;
    say(gaze, result);
    result.parameters = std::move(input.parameters);
    return result;
  }

 private:
  static void say(const ModelGaze& gaze, AnalysisResult& result) {
    const auto& steps = gaze.scanpath.steps;
    std::set<int64_t> patches;
    double mass = 0.0;
    for (const AttentionStep& step : steps) {
      patches.insert(step.patch);
      mass += step.mass;
    }
    const auto name = [&](const AttentionStep& step) {
      return fmt::format("{},{}", step.patch / gaze.region.grid_width, step.patch % gaze.region.grid_width);
    };
    result.findings.push_back(
        fmt::format("{} fixations on {} patches, from patch {} to patch {}; the picture gets {:.1f} % of the "
                    "attention on average.",
                    steps.size(), patches.size(), name(steps.front()), name(steps.back()),
                    100.0 * mass / static_cast<double>(steps.size())));
  }

  MethodInfo info_ = make_info();
};

}  // namespace

std::unique_ptr<AnalysisMethod> make_scanpath() { return std::make_unique<ScanpathMethod>(); }

}  // namespace saccade
