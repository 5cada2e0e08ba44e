#include "analysis/images/patch_field.h"

#include <fmt/format.h>

#include <algorithm>
#include <functional>
#include <numeric>

namespace saccade {

Result<ImageRegion> picture_region(const Capture& capture, int64_t picture, std::string_view who) {
  if (capture.images.empty())
    return make_error(ErrorCode::invalid_argument,
                      fmt::format("{} looks at the patches of a picture, and this run has none: run a model "
                                  "that reads pictures with one (--image FILE)",
                                  who));
  if (picture < 0 || picture >= static_cast<int64_t>(capture.images.size()))
    return make_error(ErrorCode::invalid_argument,
                      fmt::format("{}: there is no picture {}; this run has {}, counted from 0", who, picture,
                                  capture.images.size()));
  return capture.images[static_cast<size_t>(picture)];
}

std::vector<Axis> patch_axes(const ImageRegion& /*region*/) {
  return {Axis{AxisKind::other, patch_row_axis, {}}, Axis{AxisKind::other, patch_column_axis, {}}};
}

Result<Field> patch_field(Field about, const std::vector<int64_t>& leading, std::span<const float> rows,
                          int64_t n_key, const ImageRegion& region) {
  const int64_t patches = region.patches();
  if (region.begin < 0 || region.end() > n_key)
    return make_error(ErrorCode::invalid_argument,
                      fmt::format("the picture '{}' stands at positions {} to {}, the rows have {}",
                                  region.name, region.begin, region.end() - 1, n_key));
  const int64_t count = std::accumulate(leading.begin(), leading.end(), int64_t{1}, std::multiplies<>());
  if (static_cast<int64_t>(rows.size()) != count * n_key)
    return make_error(ErrorCode::invalid_argument,
                      fmt::format("{} numbers for {} rows of {} positions", rows.size(), count, n_key));
  std::vector<float> columns(static_cast<size_t>(count * patches));
  for (int64_t row = 0; row < count; ++row)
    std::ranges::copy(over_patches(region, rows.subspan(static_cast<size_t>(row * n_key))),
                      columns.begin() + row * patches);
  return patch_field(std::move(about), leading, columns, region);
}

Result<Field> patch_field(Field about, const std::vector<int64_t>& leading, std::span<const float> patches,
                          const ImageRegion& region) {
  if (leading.size() != about.axes.size())
    return make_error(ErrorCode::invalid_argument,
                      fmt::format("field '{}' has {} leading axes and {} extents", about.name,
                                  about.axes.size(), leading.size()));
  std::vector<int64_t> shape = leading;
  shape.push_back(region.grid_height);
  shape.push_back(region.grid_width);
  HostTensor values(shape, false);
  if (values.size() != static_cast<int64_t>(patches.size()))
    return make_error(ErrorCode::invalid_argument,
                      fmt::format("field '{}' of shape [{}] from {} numbers", about.name,
                                  fmt::join(shape, ", "), patches.size()));
  std::copy(patches.begin(), patches.end(), values.mutable_values().begin());
  about.values = std::move(values);
  for (Axis& axis : patch_axes(region)) about.axes.push_back(std::move(axis));
  return about;
}

bool is_patch_field(const Field& field) {
  const size_t n = field.axes.size();
  return n >= 2 && field.values.shape().size() == n && field.axes[n - 2].name == patch_row_axis &&
         field.axes[n - 1].name == patch_column_axis;
}

PatchExtent patch_extent(const Field& field) {
  if (!is_patch_field(field)) return {};
  const auto& shape = field.values.shape();
  return {shape[shape.size() - 2], shape[shape.size() - 1]};
}

}  // namespace saccade
