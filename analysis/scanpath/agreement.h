// How alike people are on the pictures they saw: the ceiling for any model, and the floors under it. Per
// picture and measure three numbers, so that they can be set side by side:
//   human     each viewer against the others (leave one out); map against map: the even viewers' blurred
//             fixations predicted by the odd ones'
//   centre    predicted by everybody's fixations on all other pictures (maps), or by a path of points drawn
//             from those, as many and as long as the viewer's (paths)
//   shuffled  predicted by the viewers of one other picture, drawn at random
// Each is averaged over the viewers of a picture, then over pictures; the interval is 1.96 standard errors
// over pictures. The draws depend on the seed only, not on the number of threads. Thread: any; starts its
// own.
#pragma once

#include <array>
#include <string>
#include <string_view>
#include <vector>

#include "analysis/field.h"
#include "analysis/scanpath/multimatch.h"
#include "analysis/scanpath/saliency_metrics.h"
#include "analysis/scanpath/sequence_metrics.h"
#include "core/base/job.h"

namespace saccade {

struct AgreementOptions {
  double sigma = 24.0;  // of the fixation maps, pixels: one degree
  bool maps = true, paths = true;
  MultiMatchOptions multimatch;
  ScanMatchOptions scanmatch;
  int64_t pictures = 0;  // the first so many; 0 = all
  uint64_t seed = 1;
  int threads = 1;
};

enum class Predictor { human, centre, shuffled };
constexpr std::array predictors{Predictor::human, Predictor::centre, Predictor::shuffled};
[[nodiscard]] const char* to_string(Predictor predictor);

struct Average {
  double mean = 0.0, margin = 0.0;  // 95 %: mean +- margin
  int64_t pictures = 0;             // that had the measure
};
// Of the values that are numbers; NaN without any.
[[nodiscard]] Average average_of(const std::vector<double>& values);
struct AgreementRow {
  std::string measure;
  std::array<Average, predictors.size()> of;  // by Predictor
};
struct Agreement {
  std::vector<AgreementRow> rows;
  int64_t pictures = 0, viewers = 0;  // viewers: paths in all
  int64_t outside = 0;                // fixations left out of the maps
  std::vector<std::string> findings;

  [[nodiscard]] const AgreementRow* row(std::string_view measure) const;
};

// Measures of maps: NSS, AUC, IG (bits over the centre), CC, SIM, KL; of paths: MultiMatch's five, ScanMatch,
// Levenshtein, sequence score (grid of ScanMatch), DTW and Frechet (pixels). Errors: fewer than 2 pictures or
// 2 viewers each; different picture sizes.
[[nodiscard]] Result<Agreement> human_agreement(const ScanpathSet& set, const AgreementOptions& options,
                                                const JobContext& job = {});
// measure, human, human_margin, centre, ... ; one row per measure.
[[nodiscard]] Table agreement_table(const Agreement& agreement);

// How alike two paths are, by every measure of paths, in the order of path_measure_names(); NaN where a
// measure cannot be had (MultiMatch of fewer than 3 fixations).
[[nodiscard]] std::vector<std::string> path_measure_names();
[[nodiscard]] Result<std::vector<double>> path_measures(const Scanpath& a, const Scanpath& b,
                                                        const MultiMatchOptions& multimatch_options,
                                                        const ScanMatchOptions& scanmatch_options);

}  // namespace saccade
