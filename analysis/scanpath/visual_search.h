// Target search by eye (Gupta, Zhang, Wu, Wolfe and Kreiman 2021, NeurIPS: eccentricity-dependent search),
// the part that needs no network: how maps of several layers become one, how the next fixation is chosen,
// and, for any patch features, the version in which sight grows coarser away from the fovea (own, see
// eccentric_features). Thread: any.
#pragma once

#include <functional>

#include "analysis/scanpath/attention_scanpath.h"
#include "analysis/scanpath/object_scanpath.h"
#include "analysis/scanpath/saliency_map.h"

namespace saccade {

// sum_l w_l minmax(M_l), w_l = max M_l / sum of the maxima, all stretched to `size`. A flat layer adds
// nothing. Errors: no map, one that check_map() refuses, no positive maximum.
[[nodiscard]] Result<SaliencyMap> combined_search_map(const std::vector<SaliencyMap>& layers,
                                                      PictureSize size);

// Three times: map += Gaussian(near) - Gaussian(far); then its least value subtracted. sigmas in pixels.
[[nodiscard]] Result<SaliencyMap> sharpened(const SaliencyMap& map, double near_sigma, double far_sigma);

struct VisualSearchOptions {
  int64_t fixations = 60;                    // at most
  double inhibition = 100.0;                 // pixels: side of the square that is never looked at again
  double near_sigma = 0.0, far_sigma = 0.0;  // of sharpened(); 0 = not sharpened
  double dwell_ms = 250.0;
};
struct SearchPath {
  Scanpath path;
  bool found = false;
  int64_t fixations = 0;  // with the first, on the centre
};
// map_at(fixation): the map as seen from there, of the picture's size. The first fixation is the centre; the
// target counts as found when the square about a fixation touches its box.
[[nodiscard]] Result<SearchPath> visual_search(
    PictureSize picture, const ObjectBox& target, const VisualSearchOptions& options,
    const std::function<Result<SaliencyMap>(const Fixation&)>& map_at);

// Patch features [gh, gw, d] as seen from patch (row, column): each is the mean over the (2k + 1)^2 patches
// about it that exist, k = round(slope * distance in patches); 0.16 is the slope of the fourth pooling stage.
[[nodiscard]] Result<HostTensor> eccentric_features(const HostTensor& features, double row, double column,
                                                    double slope = 0.16);
// Cosine of every patch with the target's feature [d], as a map of gw x gh.
[[nodiscard]] Result<SaliencyMap> match_map(const HostTensor& features, const std::vector<float>& target);

}  // namespace saccade
