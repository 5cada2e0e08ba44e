// How well a map says where people looked. Equations: Bylinskii, Judd, Oliva, Torralba and Durand 2019 (IEEE
// TPAMI 41:740, section 3), with the conventions of pysaliency (Kummerer), to whose recorded values the tests
// hold these functions. Per-fixation values come back in the order of the pixels. Errors of all: a map that
// does not fit (check_map), no fixation. Cost: a few passes over the pixels; AUC sorts the fixated values
// only. Thread: any.
#pragma once

#include <vector>

#include "analysis/scanpath/saliency_map.h"

namespace saccade {

using PerFixation = std::vector<double>;
[[nodiscard]] double mean_of(const PerFixation& values);

// (S - mean) / standard deviation at each fixation (Peters et al. 2005); a flat map gives 0.
[[nodiscard]] Result<PerFixation> nss(const SaliencyMap& map, const FixatedPixels& fixated);

// Share of the negatives that lie below each fixation, ties half: the area under its own ROC curve. The mean
// is the AUC of all. Negatives: every pixel, every pixel that was not fixated, or given ones: for shuffled
// AUC (Tatler 2005; Zhang et al. 2008) the fixations on other pictures.
enum class Negatives { every_pixel, unfixated_pixels };
[[nodiscard]] Result<PerFixation> auc(const SaliencyMap& map, const FixatedPixels& fixated,
                                      Negatives negatives = Negatives::every_pixel);
[[nodiscard]] Result<PerFixation> shuffled_auc(const SaliencyMap& map, const FixatedPixels& fixated,
                                               const FixatedPixels& others);
// The area under the ROC curve through the thresholds at the fixated values (Judd et al. 2009, 2012),
// straight between them; no jitter, so that it is the same each time.
[[nodiscard]] Result<double> auc_judd(const SaliencyMap& map, const FixatedPixels& fixated);

// Against another map, usually the blurred fixations. cc: Pearson's r, 0 where one is flat. sim: the sum of
// the smaller of both densities. kl: nats lost by using `map` for `truth`, both raised by 1e-20 first.
[[nodiscard]] Result<double> correlation(const SaliencyMap& map, const SaliencyMap& truth);
[[nodiscard]] Result<double> similarity(const SaliencyMap& map, const SaliencyMap& truth);
[[nodiscard]] Result<double> kl_divergence(const SaliencyMap& map, const SaliencyMap& truth);

// ln p at each fixation, p = the map raised above 0 where it is negative, raised by 1e-20, made to sum to 1.
[[nodiscard]] Result<PerFixation> log_likelihood(const SaliencyMap& map, const FixatedPixels& fixated);
// (ln p - ln p of the baseline) / ln 2: bits per fixation over, say, the centre bias (Kummerer, Wallis and
// Bethge 2015, PNAS 112:16054, eq. 1).
[[nodiscard]] Result<PerFixation> information_gain(const SaliencyMap& map, const SaliencyMap& baseline,
                                                   const FixatedPixels& fixated);

// Relative entropy in nats of the histograms of two sets of map values over [low, high] (Itti and Baldi
// 2005).
[[nodiscard]] Result<double> histogram_kl(const std::vector<double>& fixated,
                                          const std::vector<double>& other, double low, double high,
                                          int64_t bins = 10);
[[nodiscard]] Result<std::vector<double>> values_at(const SaliencyMap& map, const FixatedPixels& fixated);

// All of them for one picture. `others`, `baseline`: may be null; what needs them is then NaN.
struct SaliencyScores {
  int64_t fixations = 0, outside = 0;
  double nss = 0.0, auc = 0.0, auc_judd = 0.0, shuffled_auc = 0.0;
  double cc = 0.0, sim = 0.0, kl = 0.0, log_likelihood = 0.0, information_gain = 0.0;
};
[[nodiscard]] Result<SaliencyScores> saliency_scores(const SaliencyMap& map, const FixatedPixels& fixated,
                                                     const SaliencyMap& truth, const FixatedPixels* others,
                                                     const SaliencyMap* baseline);

}  // namespace saccade
