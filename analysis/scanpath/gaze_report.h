// What the methods `saliency-metrics` and `gaze-compare` and the command `gaze` say about files of gaze:
// results as every method gives them, from files alone. Errors name the file and, for a name that is not
// there, what is. Thread: any.
#pragma once

#include <filesystem>

#include "analysis/field.h"
#include "analysis/scanpath/agreement.h"
#include "analysis/scanpath/fixation_report.h"

namespace saccade {

// The paths on one picture, or on all when `stimulus` is empty. Names match with or without folder and
// ending.
[[nodiscard]] Result<ScanpathSet> select_stimulus(const ScanpathSet& set, const std::string& stimulus);

// What a file holds: a table "paths" (fixations, dwell, saccade length, recurrence) and findings.
[[nodiscard]] AnalysisResult describe_scanpaths(const ScanpathSet& set, double recurrence_radius);

struct SaliencyReport {
  std::string stimulus;  // which picture the map is of; may be empty where the file has one
  double sigma = 24.0;   // of the fixation maps, pixels
  double spread = 0.25;  // of the closed-form centre bias, where no other picture's fixations are there
};
// Table "scores": rows map, centre bias (floor), human (ceiling, leave one out); columns of SaliencyScores.
// The map is stretched to the picture. Fixations on the file's other pictures are the shuffled AUC's
// negatives and the baseline of the information gain.
[[nodiscard]] Result<AnalysisResult> saliency_report(const SaliencyMap& map, const ScanpathSet& gaze,
                                                     const SaliencyReport& options);

// The centre bias against everybody: every picture's fixations predicted by those on all other pictures.
// Table "scores": a row per picture, SaliencyScores; the information gain is over the closed-form centre
// bias. The last row, named "mean", is the mean over pictures. Errors: fewer than 2 pictures, different
// sizes.
[[nodiscard]] Result<AnalysisResult> centre_report(const ScanpathSet& gaze, const SaliencyReport& options,
                                                   int threads, const JobContext& job);

struct CompareReport {
  std::string stimulus;  // empty: every picture that both have
  MultiMatchOptions multimatch;
  ScanMatchOptions scanmatch;
  uint64_t seed = 1;
};
// Table "scores": per measure the first set's paths against the second's on the same picture, the second's
// among themselves (ceiling) and the first's against the second's on another picture (floor), means over
// pictures with 95 % margins; table "pictures": the first of these per picture.
[[nodiscard]] Result<AnalysisResult> compare_report(const ScanpathSet& paths, const ScanpathSet& against,
                                                    const CompareReport& options, const JobContext& job);

// Every result above as a method's: the findings of reading come first.
void prepend_findings(AnalysisResult& result, const std::vector<std::string>& findings);

}  // namespace saccade
