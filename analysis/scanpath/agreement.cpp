#include "analysis/scanpath/agreement.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <random>

#include "analysis/scanpath/parallel.h"

namespace saccade {
namespace {

const std::vector<std::string> map_measures{"NSS", "AUC", "IG", "CC", "SIM", "KL"};
using Numbers = std::array<std::vector<double>, predictors.size()>;  // [predictor][measure]

struct Picture {
  std::vector<const Scanpath*> paths;
  std::vector<FixatedPixels> viewers;  // as paths
  FixatedPixels all;
};

struct Study {
  PictureSize size;
  std::vector<Picture> pictures;
  SaliencyMap everywhere;             // the fixation maps of all pictures together
  std::vector<Fixation> every_point;  // all fixations inside
};

FixatedPixels joined(std::span<const FixatedPixels> viewers, size_t first, size_t step) {
  FixatedPixels all{viewers.front().size, {}, 0};
  for (size_t i = first; i < viewers.size(); i += step)
    all.pixels.insert(all.pixels.end(), viewers[i].pixels.begin(), viewers[i].pixels.end());
  return all;
}

Result<Study> prepare(const ScanpathSet& set, const AgreementOptions& options, Agreement& agreement) {
  Study study;
  std::vector<std::string> stimuli = set.stimuli();
  if (options.pictures > 0 && static_cast<size_t>(options.pictures) < stimuli.size())
    stimuli.resize(static_cast<size_t>(options.pictures));
  int64_t lonely = 0;
  for (const std::string& stimulus : stimuli) {
    Picture picture;
    picture.paths = set.of_stimulus(stimulus);
    if (!study.size.known()) study.size = picture.paths.front()->size;
    for (const Scanpath* path : picture.paths) {
      SACCADE_TRY(FixatedPixels pixels, fixated_pixels(std::span(&path, 1), study.size));
      agreement.outside += pixels.outside;
      picture.viewers.push_back(std::move(pixels));
    }
    std::erase_if(picture.viewers, [](const FixatedPixels& viewer) { return viewer.pixels.empty(); });
    if (picture.paths.size() < 2 || picture.viewers.size() < 2) {
      ++lonely;
      continue;
    }
    picture.all = joined(picture.viewers, 0, 1);
    agreement.viewers += static_cast<int64_t>(picture.paths.size());
    study.pictures.push_back(std::move(picture));
  }
  if (lonely > 0)
    agreement.findings.push_back(
        fmt::format("{} pictures have fewer than 2 viewers and are left out.", lonely));
  if (study.pictures.size() < 2)
    return make_error(
        ErrorCode::invalid_argument,
        fmt::format("{} pictures with at least 2 viewers; agreement needs 2", study.pictures.size()));
  for (const Picture& picture : study.pictures)
    for (const Scanpath* path : picture.paths)
      std::copy_if(path->fixations.begin(), path->fixations.end(), std::back_inserter(study.every_point),
                   [&](const Fixation& f) { return study.size.holds(f.x, f.y); });
  agreement.pictures = static_cast<int64_t>(study.pictures.size());
  return study;
}

// NSS, AUC and IG of one map at the fixations of some viewers, each viewer's mean counting `weight`.
Result<void> add_points(const SaliencyMap& map, const SaliencyMap& centre,
                        std::span<const FixatedPixels> viewers, double weight, std::vector<double>& sums) {
  const FixatedPixels all = joined(viewers, 0, 1);
  SACCADE_TRY(const PerFixation normalised, nss(map, all));
  SACCADE_TRY(const PerFixation ranked, auc(map, all));
  SACCADE_TRY(const PerFixation gain, information_gain(map, centre, all));
  const std::array<const PerFixation*, 3> scores{&normalised, &ranked, &gain};
  for (size_t m = 0; m < scores.size(); ++m) {
    size_t at = 0;
    for (const FixatedPixels& viewer : viewers) {
      double sum = 0.0;
      for (size_t i = 0; i < viewer.pixels.size(); ++i) sum += (*scores[m])[at++];
      sums[m] += weight * sum / static_cast<double>(viewer.pixels.size());
    }
  }
  return {};
}

Result<void> add_maps(const SaliencyMap& map, const SaliencyMap& truth, std::vector<double>& values) {
  SACCADE_TRY(values[3], correlation(map, truth));
  SACCADE_TRY(values[4], similarity(map, truth));
  SACCADE_TRY(values[5], kl_divergence(map, truth));
  return {};
}

Result<void> measure_maps(const Study& study, size_t at, size_t other, const AgreementOptions& options,
                          Numbers& numbers) {
  const FixationMapOptions blur{options.sigma, false};
  const Picture& picture = study.pictures[at];
  for (auto& values : numbers) values.assign(map_measures.size(), 0.0);
  SACCADE_TRY(const SaliencyMap own, fixation_map(picture.all, blur));
  SaliencyMap centre = study.everywhere;
  for (size_t i = 0; i < centre.values.size(); ++i) centre.values[i] -= own.values[i];
  mix_uniform(centre);
  const double weight = 1.0 / static_cast<double>(picture.viewers.size());
  for (const FixatedPixels& viewer : picture.viewers) {
    SaliencyMap others = own;
    SACCADE_CHECK(add_fixations(others, viewer, blur, -1.0));
    mix_uniform(others);
    SACCADE_CHECK(add_points(others, centre, std::span(&viewer, 1), weight, numbers[0]));
  }
  const FixatedPixels& stranger = study.pictures[other].all;
  SACCADE_TRY(SaliencyMap shuffled, fixation_map(stranger, blur));
  mix_uniform(shuffled);
  SACCADE_CHECK(add_points(centre, centre, picture.viewers, weight, numbers[1]));
  SACCADE_CHECK(add_points(shuffled, centre, picture.viewers, weight, numbers[2]));
  SACCADE_TRY(SaliencyMap odd, fixation_map(joined(picture.viewers, 1, 2), blur));
  const FixatedPixels even_viewers = joined(picture.viewers, 0, 2);
  SACCADE_TRY(const SaliencyMap even, fixation_map(even_viewers, blur));
  mix_uniform(odd);
  SACCADE_CHECK(add_maps(odd, even, numbers[0]));
  SACCADE_CHECK(add_maps(centre, even, numbers[1]));
  return add_maps(shuffled, even, numbers[2]);
}

// Mean over pairs of paths, leaving out what is no number.
class PairMean {
 public:
  explicit PairMean(size_t measures) : sums_(measures, 0.0), counts_(measures, 0) {}
  void add(const std::vector<double>& values) {
    for (size_t i = 0; i < values.size(); ++i)
      if (std::isfinite(values[i])) {
        sums_[i] += values[i];
        ++counts_[i];
      }
  }
  [[nodiscard]] std::vector<double> means() const {
    std::vector<double> means;
    for (size_t i = 0; i < sums_.size(); ++i)
      means.push_back(counts_[i] > 0 ? sums_[i] / static_cast<double>(counts_[i])
                                     : std::numeric_limits<double>::quiet_NaN());
    return means;
  }

 private:
  std::vector<double> sums_;
  std::vector<int64_t> counts_;
};

Result<void> measure_paths(const Study& study, size_t at, size_t other, const AgreementOptions& options,
                           std::mt19937_64& random, Numbers& numbers) {
  const Picture& picture = study.pictures[at];
  const size_t measures = path_measure_names().size();
  std::array<PairMean, predictors.size()> means{PairMean(measures), PairMean(measures), PairMean(measures)};
  const auto compare = [&](size_t predictor, const Scanpath& a, const Scanpath& b) -> Result<void> {
    SACCADE_TRY(const std::vector<double> values, path_measures(a, b, options.multimatch, options.scanmatch));
    means[predictor].add(values);
    return {};
  };
  for (size_t i = 0; i < picture.paths.size(); ++i) {
    const Scanpath& path = *picture.paths[i];
    for (size_t j = i + 1; j < picture.paths.size(); ++j) SACCADE_CHECK(compare(0, path, *picture.paths[j]));
    Scanpath drawn = path;
    for (Fixation& fixation : drawn.fixations) {
      const Fixation& point = study.every_point[random() % study.every_point.size()];
      fixation.x = point.x;
      fixation.y = point.y;
    }
    SACCADE_CHECK(compare(1, path, drawn));
    const auto& strangers = study.pictures[other].paths;
    SACCADE_CHECK(compare(2, path, *strangers[random() % strangers.size()]));
  }
  for (size_t p = 0; p < means.size(); ++p) {
    const std::vector<double> values = means[p].means();
    numbers[p].insert(numbers[p].end(), values.begin(), values.end());
  }
  return {};
}

}  // namespace

Average average_of(const std::vector<double>& values) {
  Average average;
  double squares = 0.0;
  for (const double value : values)
    if (std::isfinite(value)) {
      average.mean += value;
      squares += value * value;
      ++average.pictures;
    }
  const auto n = static_cast<double>(average.pictures);
  if (average.pictures == 0) return {std::numeric_limits<double>::quiet_NaN(), 0.0, 0};
  average.mean /= n;
  if (average.pictures > 1)
    average.margin = 1.96 * std::sqrt(std::max(0.0, (squares / n - average.mean * average.mean) / (n - 1.0)));
  return average;
}

const char* to_string(Predictor predictor) {
  switch (predictor) {
    case Predictor::human:
      return "human";
    case Predictor::centre:
      return "centre";
    case Predictor::shuffled:
      return "shuffled";
  }
  return "";
}

const AgreementRow* Agreement::row(std::string_view measure) const {
  for (const AgreementRow& row : rows)
    if (row.measure == measure) return &row;
  return nullptr;
}

Result<Agreement> human_agreement(const ScanpathSet& set, const AgreementOptions& options,
                                  const JobContext& job) {
  Agreement agreement;
  SACCADE_TRY(Study study, prepare(set, options, agreement));
  if (options.maps) {
    study.everywhere = SaliencyMap(study.size);
    for (const Picture& picture : study.pictures)
      SACCADE_CHECK(add_fixations(study.everywhere, picture.all, {options.sigma, false}));
  }
  std::vector<Numbers> numbers(study.pictures.size());
  SACCADE_CHECK(in_parallel(
      study.pictures.size(), options.threads, "comparing viewers", job, [&](size_t at) -> Result<void> {
        std::mt19937_64 random(options.seed * 1'000'003U + at);
        const size_t other = (at + 1 + random() % (study.pictures.size() - 1)) % study.pictures.size();
        if (options.maps) SACCADE_CHECK(measure_maps(study, at, other, options, numbers[at]));
        if (options.paths) SACCADE_CHECK(measure_paths(study, at, other, options, random, numbers[at]));
        return {};
      }));
  std::vector<std::string> names = options.maps ? map_measures : std::vector<std::string>();
  if (options.paths)
    for (const std::string& name : path_measure_names()) names.push_back(name);
  for (size_t m = 0; m < names.size(); ++m) {
    AgreementRow row{names[m], {}};
    for (size_t p = 0; p < predictors.size(); ++p) {
      std::vector<double> values;
      for (const Numbers& picture : numbers) values.push_back(picture[p][m]);
      row.of[p] = average_of(values);
    }
    agreement.rows.push_back(std::move(row));
  }
  if (agreement.outside > 0)
    agreement.findings.push_back(fmt::format(
        "{} fixations lie outside their picture and are left out of the maps.", agreement.outside));
  return agreement;
}

Table agreement_table(const Agreement& agreement) {
  Table table{"agreement", {"measure"}, {}};
  for (const Predictor predictor : predictors) {
    table.columns.emplace_back(to_string(predictor));
    table.columns.push_back(fmt::format("{}_margin", to_string(predictor)));
  }
  for (const AgreementRow& row : agreement.rows) {
    std::vector<Cell> cells{row.measure};
    for (const Average& average : row.of) {
      cells.emplace_back(average.mean);
      cells.emplace_back(average.margin);
    }
    table.rows.push_back(std::move(cells));
  }
  return table;
}

}  // namespace saccade
