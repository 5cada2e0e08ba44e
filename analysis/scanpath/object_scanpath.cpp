#include "analysis/scanpath/object_scanpath.h"

#include <fmt/format.h>

#include <array>
#include <cmath>
#include <set>

namespace saccade {

Result<ObjectScanpath> object_scanpath(const Scanpath& path, const std::vector<ObjectBox>& boxes) {
  if (boxes.empty())
    return make_error(ErrorCode::invalid_argument, "an object scanpath needs at least one box");
  const auto area = [](const ObjectBox& box) { return (box.right - box.left) * (box.bottom - box.top); };
  for (const ObjectBox& box : boxes)
    if (!(box.right > box.left && box.bottom > box.top && std::isfinite(area(box))))
      return make_error(ErrorCode::invalid_argument,
                        fmt::format("box '{}' from ({}, {}) to ({}, {}) has no area", box.name, box.left,
                                    box.top, box.right, box.bottom));
  ObjectScanpath objects;
  bool together = false;
  for (const Fixation& fixation : path.fixations) {
    std::optional<size_t> best;
    for (size_t i = 0; i < boxes.size(); ++i) {
      const ObjectBox& box = boxes[i];
      const bool inside = fixation.x >= box.left && fixation.x < box.right && fixation.y >= box.top &&
                          fixation.y < box.bottom;
      if (inside && (!best || area(box) < area(boxes[*best]))) best = i;
    }
    if (!best) {
      ++objects.elsewhere;
      together = false;
      continue;
    }
    const auto object = static_cast<int64_t>(*best);
    objects.objects.push_back(object);
    if (!together || objects.steps.back().object != object) objects.steps.push_back({object, 0.0, 0});
    together = true;
    objects.steps.back().dwell += fixation.duration;
    ++objects.steps.back().fixations;
  }
  return objects;
}

BehaviourRatios behaviour_ratios(const AreaSequence& objects, std::optional<int64_t> target) {
  BehaviourRatios ratios;
  if (objects.empty()) return ratios;
  std::set<int64_t> seen;
  for (size_t i = 0; i < objects.size(); ++i) {
    if (i > 0 && objects[i] == objects[i - 1])
      ++ratios.refixation;
    else if (seen.insert(objects[i]).second)
      ++ratios.search;
    else
      ++ratios.revisit;
  }
  ratios.length = static_cast<double>(objects.size());
  for (double* count : {&ratios.search, &ratios.refixation, &ratios.revisit}) *count /= ratios.length;
  ratios.found = target && objects.back() == *target ? 1.0 : 0.0;
  return ratios;
}

double behaviour_distance(const BehaviourRatios& x, const BehaviourRatios& human) {
  const auto list = [](const BehaviourRatios& r) {
    return std::array{r.search, r.refixation, r.revisit, r.found, r.length};
  };
  const auto ours = list(x), theirs = list(human);
  double sum = 0.0;
  for (size_t i = 0; i < ours.size(); ++i) {
    if (theirs[i] != 0.0)
      sum += std::abs(ours[i] - theirs[i]) / theirs[i];
    else
      sum += ours[i] != 0.0 ? 1.0 : 0.0;
  }
  return sum / static_cast<double>(ours.size());
}

}  // namespace saccade
