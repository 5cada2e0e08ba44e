// Scanpaths over objects: boxes, grid cells, what a detector found or a person drew (OAT: Fang et al., ECCV
// 2024). Behaviour ratios of a sequence of objects of length n: consecutive equal items are one group; a
// group on an object not seen before is a search, on one seen before a revisit, each repeat within a group a
// refixation; the ratios are those counts / n and sum to 1. "AABAC": search .6, refixation .2, revisit .2.
// Thread: any.
#pragma once

#include <optional>

#include "analysis/scanpath/sequence_metrics.h"

namespace saccade {

struct ObjectBox {
  std::string name;
  double left = 0.0, top = 0.0, right = 0.0, bottom = 0.0;  // pixels; right and bottom outside
};

struct ObjectStep {
  int64_t object = 0;     // index of the box
  double dwell = 0.0;     // ms
  int64_t fixations = 0;  // consecutive ones
};
struct ObjectScanpath {
  AreaSequence objects;           // one per fixation on an object
  std::vector<ObjectStep> steps;  // consecutive fixations on one object once
  int64_t elsewhere = 0;          // fixations on no box
};
// A point in several boxes belongs to the smallest. Error: no box, or a box without an area.
[[nodiscard]] Result<ObjectScanpath> object_scanpath(const Scanpath& path,
                                                     const std::vector<ObjectBox>& boxes);

struct BehaviourRatios {
  double search = 0.0, refixation = 0.0, revisit = 0.0;
  double found = 0.0;  // 1 where the last item is the target
  double length = 0.0;
};
[[nodiscard]] BehaviourRatios behaviour_ratios(const AreaSequence& objects,
                                               std::optional<int64_t> target = {});
// Mean over the five of |x - human| / human. Where the human value is 0, the term is 0 if x is 0 and 1 if
// not.
[[nodiscard]] double behaviour_distance(const BehaviourRatios& x, const BehaviourRatios& human);

}  // namespace saccade
