// gaze-compare: scanpaths against people's, picture by picture, between people among themselves and paths on
// other pictures. It looks at files alone; the run being looked at plays no part.
#include "analysis/methods/gaze_parameters.h"
#include "analysis/methods/registry.h"
#include "analysis/scanpath/gaze_report.h"

namespace saccade {
namespace {

MethodInfo make_info() {
  MethodInfo info;
  info.id = "gaze-compare";
  info.title = "Scanpaths against human scanpaths";
  info.summary =
      "MultiMatch, ScanMatch, edit distance, sequence score, warping and Frechet distance between two files "
      "of "
      "scanpaths, with people among themselves as the ceiling and other pictures as the floor.";
  info.citation =
      "Dewhurst et al. 2012 (Behavior Research Methods 44:1079); Cristino et al. 2010 (42:692), eq. 1-3; "
      "Needleman and Wunsch 1970; Levenshtein 1966; Berndt and Clifford 1994; Eiter and Mannila 1994";
  info.parameters = {
      {"paths", "Scanpaths", "The paths to judge: .csv, .tsv, an EyeLink report or .mat.", ""},
      {"human", "Human scanpaths", "The paths to judge them by, on the same pictures.", ""},
      {"stimulus", "Picture", "One picture; empty = every picture that both files have.", ""},
      {"rows", "Grid rows", "Of the grid that sequences are made on.", 8, 1, 256},
      {"columns", "Grid columns", "Of the grid that sequences are made on.", 12, 1, 256},
      {"time_bin", "Time bin", "ms per letter of ScanMatch; 0 = one letter per fixation.", 50.0, 0.0,
       10000.0},
      {"simplify", "Simplify", "Join short saccades and those in one direction before MultiMatch.", false},
      {"seed", "Seed", "Of the draw of other pictures.", 1, 0, 1000000000}};
  info.parameters[0].is_file = info.parameters[1].is_file = true;
  for (ParameterInfo& parameter : report_parameters()) info.parameters.push_back(std::move(parameter));
  return info;
}

class GazeCompare final : public AnalysisMethod {
 public:
  [[nodiscard]] const MethodInfo& info() const override { return info_; }

  [[nodiscard]] Result<AnalysisResult> compute(const MethodInput& input,
                                               const JobContext& job) const override {
    SACCADE_TRY(auto parameters, complete_parameters(info_, input.parameters));
    SACCADE_TRY(const auto paths_file, file_parameter(parameters, "paths", "a file of scanpaths"));
    SACCADE_TRY(const auto human_file, file_parameter(parameters, "human", "a file of human scanpaths"));
    const ReportOptions reading = report_options(parameters);
    SACCADE_TRY(const ScanpathSet paths, read_scanpaths(paths_file, reading));
    SACCADE_TRY(const ScanpathSet human, read_scanpaths(human_file, reading));
    CompareReport options;
    options.stimulus = parameters["stimulus"].get<std::string>();
    options.scanmatch.grid = {parameters["rows"].get<int64_t>(), parameters["columns"].get<int64_t>()};
    options.scanmatch.time_bin = parameters["time_bin"].get<double>();
    options.multimatch.simplify = parameters["simplify"].get<bool>();
    options.seed = parameters["seed"].get<uint64_t>();
    SACCADE_TRY(AnalysisResult result, compare_report(paths, human, options, job));
    for (const ScanpathSet* set : {&human, &paths}) prepend_findings(result, set->findings);
    result.method = info_.id;
    result.parameters = std::move(parameters);
    return result;
  }

 private:
  MethodInfo info_ = make_info();
};

}  // namespace

std::unique_ptr<AnalysisMethod> make_gaze_compare() { return std::make_unique<GazeCompare>(); }

}  // namespace saccade
