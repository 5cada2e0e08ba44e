// A Field as a figure: one axis as bars, two axes as cells with their labels, the number in the cell where it
// fits, a drawn scale, and a caption made from the field and the run. Thread: one figure per thread.
#pragma once

#include "analysis/export/figure.h"

namespace saccade {

// The colours that a field is shown in, here and in the window: probabilities from 0 to 1, signed differences
// symmetric about 0, magnitudes from the least of 0 and the smallest to the largest. NaN does not count.
[[nodiscard]] ColourScale scale_of(const Field& field);

// Refuses fields of no or more than two axes, and more cells than a page can show (400 on a side).
Result<void> write_field_figure(const Field& field, const Provenance& run, const FigureOptions& options,
                                const std::filesystem::path& path);

}  // namespace saccade
