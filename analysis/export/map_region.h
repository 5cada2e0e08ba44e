// What the writers of one map region share.
#pragma once

#include "analysis/export/figure.h"

namespace saccade {

// The scale a map is drawn with: a difference is red-blue and symmetric about 0 whatever was asked.
[[nodiscard]] ColourScale effective_scale(const MapFigure& figure, const FigureOptions& options);
// Refuses an empty region, one outside the map, and a difference of maps of unequal size.
[[nodiscard]] Result<void> check_region(const MapFigure& figure);

}  // namespace saccade
