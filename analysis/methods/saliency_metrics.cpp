// saliency-metrics: how well a map says where people looked, between the centre bias and other people.
// It looks at files alone; the run being looked at plays no part.
#include "analysis/scanpath/saliency_metrics.h"

#include "analysis/methods/gaze_parameters.h"
#include "analysis/methods/registry.h"
#include "analysis/scanpath/gaze_report.h"

namespace saccade {
namespace {

MethodInfo make_info() {
  MethodInfo info;
  info.id = "saliency-metrics";
  info.title = "A map against human gaze";
  info.summary =
      "NSS, AUC, shuffled AUC, CC, SIM, KL and information gain of a map at people's fixations, with the "
      "centre "
      "bias as the floor and people among themselves as the ceiling.";
  info.citation =
      "Bylinskii et al. 2019 (IEEE TPAMI 41:740), section 3; Kummerer, Wallis and Bethge 2015 (PNAS "
      "112:16054), "
      "eq. 1; Judd et al. 2012; Tatler 2005";
  info.parameters = {
      {"map", "Map", "A saliency map, [y, x]: .npy or a table of numbers in .csv.", ""},
      {"gaze", "Human gaze", "Fixations: .csv, .tsv, an EyeLink report or OSIE's .mat.", ""},
      {"stimulus", "Picture", "Which picture the map is of; empty where the file has one.", ""},
      {"sigma", "Sigma", "Pixels: how wide a fixation counts, one degree of visual angle.", 24.0, 0.1,
       1000.0},
      {"spread", "Centre spread",
       "Of the centre bias, as a share of the picture, where no other "
       "picture's gaze is there.",
       0.25, 0.01, 10.0}};
  info.parameters[0].is_file = info.parameters[1].is_file = true;
  for (ParameterInfo& parameter : report_parameters()) info.parameters.push_back(std::move(parameter));
  return info;
}

class SaliencyMetrics final : public AnalysisMethod {
 public:
  [[nodiscard]] const MethodInfo& info() const override { return info_; }

  [[nodiscard]] Result<AnalysisResult> compute(const MethodInput& input,
                                               const JobContext& job) const override {
    SACCADE_TRY(auto parameters, complete_parameters(info_, input.parameters));
    SACCADE_TRY(const auto map_file, file_parameter(parameters, "map", "a saliency map (.npy or .csv)"));
    SACCADE_TRY(const auto gaze_file, file_parameter(parameters, "gaze", "a file of fixations"));
    SACCADE_TRY(const SaliencyMap map, read_saliency_map(map_file));
    SACCADE_TRY(const ScanpathSet gaze, read_scanpaths(gaze_file, report_options(parameters)));
    SACCADE_CHECK(job.check());
    SACCADE_TRY(AnalysisResult result,
                saliency_report(map, gaze,
                                {parameters["stimulus"].get<std::string>(), parameters["sigma"].get<double>(),
                                 parameters["spread"].get<double>()}));
    prepend_findings(result, gaze.findings);
    result.method = info_.id;
    result.parameters = std::move(parameters);
    return result;
  }

 private:
  MethodInfo info_ = make_info();
};

}  // namespace

std::unique_ptr<AnalysisMethod> make_saliency_metrics() { return std::make_unique<SaliencyMetrics>(); }

}  // namespace saccade
