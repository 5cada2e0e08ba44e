#include "analysis/scanpath/gaze_report.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <map>
#include <random>

#include "analysis/scanpath/parallel.h"
#include "analysis/scanpath/recurrence.h"

namespace saccade {
namespace {

const std::vector<std::string> score_columns{"predictor",       "fixations", "nss", "auc", "auc_judd",
                                             "shuffled_auc",    "cc",        "sim", "kl",  "log_likelihood",
                                             "information_gain"};
constexpr double none = std::numeric_limits<double>::quiet_NaN();

std::string list_of(const std::vector<std::string>& names) {
  constexpr size_t most = 8;
  std::string text;
  for (size_t i = 0; i < std::min(names.size(), most); ++i)
    text += (i > 0 ? ", '" : "'") + names[i].substr(0, 60) + "'";
  return names.size() > most ? fmt::format("{} and {} more", text, names.size() - most) : text;
}

double mean_saccade(const Scanpath& path) {
  double sum = 0.0;
  for (size_t i = 1; i < path.fixations.size(); ++i)
    sum += std::hypot(path.fixations[i].x - path.fixations[i - 1].x,
                      path.fixations[i].y - path.fixations[i - 1].y);
  return path.fixations.size() > 1 ? sum / static_cast<double>(path.fixations.size() - 1) : 0.0;
}

// Leave one out on one picture: NSS, AUC, shuffled AUC, information gain; the rest is no number of one
// viewer.
Result<std::vector<Cell>> human_row(const std::vector<const Scanpath*>& paths, PictureSize size, double sigma,
                                    const FixatedPixels* others, const SaliencyMap& centre) {
  std::array<double, 4> sums{};
  double viewers = 0.0;
  int64_t fixations = 0;
  SACCADE_TRY(const FixatedPixels all, fixated_pixels(paths, size));
  SACCADE_TRY(const SaliencyMap own, fixation_map(all, {sigma, false}));
  for (const Scanpath* path : paths) {
    SACCADE_TRY(const FixatedPixels viewer, fixated_pixels(path->fixations, size));
    if (viewer.pixels.empty() || viewer.pixels.size() == all.pixels.size()) continue;
    SaliencyMap rest = own;
    SACCADE_CHECK(add_fixations(rest, viewer, {sigma, false}, -1.0));
    mix_uniform(rest);
    SACCADE_TRY(const PerFixation normalised, nss(rest, viewer));
    SACCADE_TRY(const PerFixation ranked, auc(rest, viewer));
    SACCADE_TRY(const PerFixation gain, information_gain(rest, centre, viewer));
    sums[0] += mean_of(normalised);
    sums[1] += mean_of(ranked);
    if (others != nullptr) {
      SACCADE_TRY(const PerFixation shuffled, shuffled_auc(rest, viewer, *others));
      sums[2] += mean_of(shuffled);
    }
    sums[3] += mean_of(gain);
    fixations += static_cast<int64_t>(viewer.pixels.size());
    ++viewers;
  }
  for (double& sum : sums) sum = viewers > 0.0 ? sum / viewers : none;
  return std::vector<Cell>{"human (leave one out)",
                           fixations,
                           sums[0],
                           sums[1],
                           none,
                           others != nullptr ? sums[2] : none,
                           none,
                           none,
                           none,
                           none,
                           sums[3]};
}

std::vector<Cell> row_of(const std::string& name, const SaliencyScores& s) {
  return {name,
          s.fixations,
          s.nss,
          s.auc,
          s.auc_judd,
          s.shuffled_auc,
          s.cc,
          s.sim,
          s.kl,
          s.log_likelihood,
          s.information_gain};
}

// Means over pictures of one comparison, per measure.
class Comparisons {
 public:
  void add(const std::vector<std::vector<double>>& pairs) {
    std::vector<double> means(path_measure_names().size(), none);
    for (size_t m = 0; m < means.size(); ++m) {
      double sum = 0.0, count = 0.0;
      for (const auto& pair : pairs)
        if (std::isfinite(pair[m])) {
          sum += pair[m];
          ++count;
        }
      if (count > 0.0) means[m] = sum / count;
    }
    pictures_.push_back(std::move(means));
  }
  [[nodiscard]] const std::vector<double>& last() const { return pictures_.back(); }
  [[nodiscard]] Average average(size_t m) const {
    std::vector<double> values;
    for (const auto& picture : pictures_) values.push_back(picture[m]);
    return average_of(values);
  }

 private:
  std::vector<std::vector<double>> pictures_;  // [picture][measure]
};

std::string plain_name(const std::string& stimulus) {
  return std::filesystem::path(stimulus).stem().string();
}

void say_scores(const Table& scores, size_t pictures, AnalysisResult& result) {
  for (const auto& row : scores.rows) {
    const auto number = [&](size_t i) { return std::get<double>(row[i]); };
    const std::string name = std::get<std::string>(row[0]);
    if (name != "ScanMatch" && name != "MultiMatch shape" && name != "Sequence score") continue;
    std::string text = fmt::format("{}: {:.3f} +- {:.3f} over {} picture{}", name, number(1), number(2),
                                   pictures, pictures == 1 ? "" : "s");
    if (std::isfinite(number(3)))
      text += fmt::format("; people among themselves {:.3f} +- {:.3f}", number(3), number(4));
    if (std::isfinite(number(5)))
      text += fmt::format("; other pictures {:.3f} +- {:.3f}", number(5), number(6));
    result.findings.push_back(text + ".");
  }
}

}  // namespace

void prepend_findings(AnalysisResult& result, const std::vector<std::string>& findings) {
  result.findings.insert(result.findings.begin(), findings.begin(), findings.end());
}

Result<ScanpathSet> select_stimulus(const ScanpathSet& set, const std::string& stimulus) {
  if (stimulus.empty()) return set;
  ScanpathSet chosen;
  for (const bool exact : {true, false}) {
    for (const Scanpath& path : set.paths)
      if (exact ? path.stimulus == stimulus : plain_name(path.stimulus) == plain_name(stimulus))
        chosen.paths.push_back(path);
    if (!chosen.paths.empty()) return chosen;
  }
  return make_error(ErrorCode::not_found,
                    fmt::format("there is no picture '{}'; there are {}", stimulus, list_of(set.stimuli())));
}

AnalysisResult describe_scanpaths(const ScanpathSet& set, double recurrence_radius) {
  AnalysisResult result;
  Table table{"paths",
              {"stimulus", "subject", "fixations", "dwell_ms", "mean_fixation_ms", "mean_saccade_px",
               "recurrence", "determinism", "laminarity", "centre"},
              {}};
  double dwell = 0.0;
  std::map<std::string, int64_t> subjects;
  for (const Scanpath& path : set.paths) {
    const auto count = static_cast<double>(path.fixations.size());
    double total = 0.0;
    for (const Fixation& fixation : path.fixations) total += fixation.duration;
    dwell += total;
    ++subjects[path.subject];
    const auto quantified = recurrence(path, {recurrence_radius, 2});
    const Recurrence r = quantified.ok() ? *quantified : Recurrence{0, 0, none, none, none, none};
    table.rows.push_back({path.stimulus, path.subject, static_cast<int64_t>(path.fixations.size()), total,
                          total / count, mean_saccade(path), r.recurrence, r.determinism, r.laminarity,
                          r.centre});
  }
  const int64_t fixations = set.fixation_count();
  result.findings.push_back(
      fmt::format("{} scanpaths of {} subjects on {} pictures: {} fixations of {:.0f} ms on "
                  "average.",
                  set.paths.size(), subjects.size(), set.stimuli().size(), fixations,
                  fixations > 0 ? dwell / static_cast<double>(fixations) : 0.0));
  prepend_findings(result, set.findings);
  result.tables.push_back(std::move(table));
  return result;
}

Result<AnalysisResult> saliency_report(const SaliencyMap& map, const ScanpathSet& gaze,
                                       const SaliencyReport& options) {
  SACCADE_TRY(const ScanpathSet chosen, select_stimulus(gaze, options.stimulus));
  const std::vector<std::string> names = chosen.stimuli();
  if (names.size() != 1)
    return make_error(ErrorCode::invalid_argument,
                      fmt::format("a map is of one picture, the gaze is on {}: name one of {}", names.size(),
                                  list_of(names)));
  const std::vector<const Scanpath*> paths = chosen.of_stimulus(names[0]);
  const PictureSize size = paths.front()->size;
  std::vector<const Scanpath*> strangers;
  for (const Scanpath& path : gaze.paths)
    if (path.stimulus != names[0] && path.size == size) strangers.push_back(&path);
  SACCADE_TRY(const FixatedPixels fixated, fixated_pixels(paths, size));
  SACCADE_TRY(const FixatedPixels elsewhere, fixated_pixels(strangers, size));
  SACCADE_TRY(const SaliencyMap large, map.size == size ? Result<SaliencyMap>(map) : stretched(map, size));
  SACCADE_TRY(const SaliencyMap truth, fixation_map(fixated, {options.sigma, false}));
  const bool known = !elsewhere.pixels.empty();
  SACCADE_TRY(SaliencyMap centre,
              known ? fixation_map(elsewhere, {options.sigma, false}) : centre_map(size, options.spread));
  mix_uniform(centre);
  const FixatedPixels* others = known ? &elsewhere : nullptr;
  SACCADE_TRY(const SaliencyScores of_map, saliency_scores(large, fixated, truth, others, &centre));
  SACCADE_TRY(const SaliencyScores of_centre, saliency_scores(centre, fixated, truth, others, &centre));
  AnalysisResult result;
  Table table{"scores", score_columns, {row_of("map", of_map), row_of("centre bias", of_centre)}};
  if (paths.size() > 1) {
    SACCADE_TRY(std::vector<Cell> human, human_row(paths, size, options.sigma, others, centre));
    table.rows.push_back(std::move(human));
  }
  result.findings.push_back(fmt::format(
      "On {} the map has NSS {:.3f} and AUC {:.3f} at {} fixations; the centre bias {:.3f} and {:.3f}.",
      names[0], of_map.nss, of_map.auc, of_map.fixations, of_centre.nss, of_centre.auc));
  if (paths.size() > 1)
    result.findings.push_back(
        fmt::format("The ceiling, {} viewers each predicted by the others: NSS {:.3f}, AUC {:.3f}.",
                    paths.size(), std::get<double>(table.rows[2][2]), std::get<double>(table.rows[2][3])));
  if (map.size != size)
    result.findings.push_back(fmt::format("The map of {} was stretched to the picture's {}.",
                                          to_string(map.size), to_string(size)));
  if (!known)
    result.findings.push_back(
        fmt::format("No other picture's gaze is here: there is no shuffled AUC, and the centre "
                    "bias is a Gaussian of {:.2g} of the picture.",
                    options.spread));
  if (fixated.outside > 0)
    result.findings.push_back(
        fmt::format("{} fixations lie outside the picture and are left out.", fixated.outside));
  result.tables.push_back(std::move(table));
  return result;
}

Result<AnalysisResult> centre_report(const ScanpathSet& gaze, const SaliencyReport& options, int threads,
                                     const JobContext& job) {
  const std::vector<std::string> names = gaze.stimuli();
  if (names.size() < 2)
    return make_error(ErrorCode::invalid_argument,
                      fmt::format("gaze on {} picture; the centre bias needs that on others", names.size()));
  const PictureSize size = gaze.paths.front().size;
  SACCADE_TRY(const SaliencyMap gaussian, centre_map(size, options.spread));
  SaliencyMap everywhere(size);
  std::vector<FixatedPixels> pictures;
  for (const std::string& name : names) {
    SACCADE_TRY(FixatedPixels fixated, fixated_pixels(gaze.of_stimulus(name), size));
    SACCADE_CHECK(add_fixations(everywhere, fixated, {options.sigma, false}));
    pictures.push_back(std::move(fixated));
  }
  std::vector<SaliencyScores> scores(names.size());
  SACCADE_CHECK(
      in_parallel(names.size(), threads, "scoring the centre bias", job, [&](size_t at) -> Result<void> {
        SACCADE_TRY(const SaliencyMap own, fixation_map(pictures[at], {options.sigma, false}));
        SaliencyMap centre = everywhere;
        for (size_t i = 0; i < centre.values.size(); ++i) centre.values[i] -= own.values[i];
        mix_uniform(centre);
        FixatedPixels others{size, {}, 0};
        for (size_t i = 0; i < pictures.size(); ++i)
          if (i != at)
            others.pixels.insert(others.pixels.end(), pictures[i].pixels.begin(), pictures[i].pixels.end());
        auto found = saliency_scores(centre, pictures[at], own, &others, &gaussian);
        if (!found.ok()) return std::move(found).error().with(names[at]);
        scores[at] = *found;
        return {};
      }));
  AnalysisResult result;
  Table table{"scores", score_columns, {}};
  for (size_t i = 0; i < names.size(); ++i) table.rows.push_back(row_of(names[i], scores[i]));
  std::vector<Cell> means{"mean", gaze.fixation_count()};
  for (size_t c = 2; c < table.columns.size(); ++c) {
    std::vector<double> values;
    for (const auto& row : table.rows) values.push_back(std::get<double>(row[c]));
    means.emplace_back(average_of(values).mean);
  }
  result.findings.push_back(fmt::format(
      "The centre bias on {} pictures: NSS {:.3f}, AUC {:.3f}, shuffled AUC {:.3f}.", names.size(),
      std::get<double>(means[2]), std::get<double>(means[3]), std::get<double>(means[5])));
  table.rows.push_back(std::move(means));
  result.tables.push_back(std::move(table));
  prepend_findings(result, gaze.findings);
  return result;
}

Result<AnalysisResult> compare_report(const ScanpathSet& paths, const ScanpathSet& against,
                                      const CompareReport& options, const JobContext& job) {
  SACCADE_TRY(const ScanpathSet chosen, select_stimulus(paths, options.stimulus));
  std::vector<std::pair<std::vector<const Scanpath*>, std::vector<const Scanpath*>>> pictures;
  for (const std::string& stimulus : chosen.stimuli())
    if (const auto found = select_stimulus(against, stimulus); found.ok()) {
      pictures.emplace_back(chosen.of_stimulus(stimulus), against.of_stimulus(found->paths.front().stimulus));
    }
  if (pictures.empty())
    return make_error(ErrorCode::not_found,
                      fmt::format("no picture is in both: the first has {}, the second {}",
                                  list_of(chosen.stimuli()), list_of(against.stimuli())));
  const auto all_pairs = [&](const std::vector<const Scanpath*>& a, const std::vector<const Scanpath*>& b,
                             bool among) -> Result<std::vector<std::vector<double>>> {
    std::vector<std::vector<double>> pairs;
    for (size_t i = 0; i < a.size(); ++i)
      for (size_t j = among ? i + 1 : 0; j < b.size(); ++j) {
        SACCADE_TRY(std::vector<double> values,
                    path_measures(*a[i], *b[j], options.multimatch, options.scanmatch));
        pairs.push_back(std::move(values));
      }
    return pairs;
  };
  std::mt19937_64 random(options.seed);
  Comparisons same, people, other;
  Table per_picture{"pictures", {"stimulus"}, {}};
  for (const std::string& name : path_measure_names()) per_picture.columns.push_back(name);
  for (size_t i = 0; i < pictures.size(); ++i) {
    SACCADE_CHECK(job.check());
    job.progress(static_cast<double>(i) / static_cast<double>(pictures.size()), "comparing scanpaths");
    SACCADE_TRY(const auto ours, all_pairs(pictures[i].first, pictures[i].second, false));
    same.add(ours);
    SACCADE_TRY(const auto theirs, all_pairs(pictures[i].second, pictures[i].second, true));
    people.add(theirs);
    if (pictures.size() > 1) {
      const size_t stranger = (i + 1 + random() % (pictures.size() - 1)) % pictures.size();
      SACCADE_TRY(const auto strange, all_pairs(pictures[i].first, pictures[stranger].second, false));
      other.add(strange);
    }
    std::vector<Cell> cells{pictures[i].first.front()->stimulus};
    for (const double value : same.last()) cells.emplace_back(value);
    per_picture.rows.push_back(std::move(cells));
  }
  AnalysisResult result;
  Table scores{
      "scores",
      {"measure", "paths", "paths_margin", "people", "people_margin", "other_pictures", "other_margin"},
      {}};
  for (size_t m = 0; m < path_measure_names().size(); ++m) {
    const Average a = same.average(m), b = people.average(m), c = other.average(m);
    scores.rows.push_back({path_measure_names()[m], a.mean, a.margin, b.mean, b.margin, c.mean, c.margin});
  }
  say_scores(scores, pictures.size(), result);
  if (pictures.size() == 1)
    result.findings.emplace_back("With one picture there is no interval and no floor of other pictures.");
  result.tables.push_back(std::move(scores));
  result.tables.push_back(std::move(per_picture));
  return result;
}

}  // namespace saccade
