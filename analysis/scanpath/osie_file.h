// The OSIE data set's file of fixations (Xu, Jiang, Wang, Kankanhalli and Zhao 2014, Journal of Vision
// 14(1):28), and MAT-files of the same make: one cell array of structures {img, subjects}, subjects a cell
// array of structures {fix_x, fix_y, fix_duration}, pixels and milliseconds. Subjects are named "1", "2" ...
// by place. Errors name the picture and the subject. Thread: any.
#pragma once

#include <cstddef>
#include <span>

#include "analysis/scanpath/scanpath.h"

namespace saccade {

constexpr PictureSize osie_picture{800, 600};  // every picture of the set

// size: of the pictures, where it is not OSIE's.
[[nodiscard]] Result<ScanpathSet> parse_osie_file(std::span<const std::byte> bytes, PictureSize size = {});

}  // namespace saccade
