// Maps over the patches of a picture as fields. By convention the last two axes of such a field are
// AxisKind::other, named exactly "patch row" and "patch column": views lay it over the picture. Any axes may
// stand before them (layer, head, step ...). Thread: any.
#pragma once

#include <span>

#include "analysis/field.h"
#include "core/capture/capture.h"

namespace saccade {

inline constexpr const char* patch_row_axis = "patch row";
inline constexpr const char* patch_column_axis = "patch column";

// Picture `picture` (from 0) of a run. Errors: a run without pictures, fewer pictures, both with what to do;
// `who` is who asks: "scanpath".
[[nodiscard]] Result<ImageRegion> picture_region(const Capture& capture, int64_t picture,
                                                 std::string_view who);

[[nodiscard]] std::vector<Axis> patch_axes(const ImageRegion& region);

// about: name, label, unit, kind, request and the leading axes, of `leading` extents. rows: [leading ...,
// key], row-major, over the positions of the whole sequence; the columns of the picture's patches are taken.
// Error: a number of values that does not fit, a picture that reaches over the end of the rows.
[[nodiscard]] Result<Field> patch_field(Field about, const std::vector<int64_t>& leading,
                                        std::span<const float> rows, int64_t n_key,
                                        const ImageRegion& region);
// The same of rows that are over the patches alone: [leading ..., patch].
[[nodiscard]] Result<Field> patch_field(Field about, const std::vector<int64_t>& leading,
                                        std::span<const float> patches, const ImageRegion& region);

// Whether a field is a map over patches, and its extents.
struct PatchExtent {
  int64_t rows = 0, columns = 0;
  bool operator==(const PatchExtent&) const = default;
};
[[nodiscard]] bool is_patch_field(const Field& field);
[[nodiscard]] PatchExtent patch_extent(const Field& field);  // 0, 0 where it is none

}  // namespace saccade
