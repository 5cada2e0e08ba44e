// Boxes of objects as people and detectors give them. Thread: any.
#pragma once

#include <string>
#include <vector>

#include "analysis/scanpath/object_scanpath.h"

namespace saccade {

// "cat:10,20,110,90;dog:0,0,50,40" (name:left,top,right,bottom in pixels; the name may be left out), or the
// path of a JSON file: a list of {"name", "left", "top", "right", "bottom"}, of {"label" | "name", "box":
// [left, top, right, bottom]}, or an object of name: [left, top, right, bottom]. Errors: the box and what is
// wrong with it; boxes without an area; boxes that lie off the picture altogether (`size` known).
[[nodiscard]] Result<std::vector<ObjectBox>> read_boxes(const std::string& text, PictureSize size);

}  // namespace saccade
