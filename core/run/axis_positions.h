// Where the positions of a sequence stand along time, row and column, for rotary positions of several axes
// (m-rope: Wang et al. 2024, "Qwen2-VL", arXiv 2409.12191, section 2.1): text stands at the same place on all
// three; a still picture that begins at place s has its patch of row r and column c at (s, s + r, s + c);
// what follows goes on one behind the farthest, at s + max(rows, columns). A tower's patches are at (0, r,
// c).
//
// Of a picture of which only some patches stand in the sequence each keeps its row and column, and what
// follows stands where it would behind the whole picture. Plain values. Thread: any.
#pragma once

#include <optional>
#include <vector>

#include "core/image/placed_image.h"
#include "core/run/rotary.h"
#include "kernels/base/result.h"

namespace saccade {

class AxisPositions {
 public:
  AxisPositions() = default;
  // Of the first positions; those behind them are at `next`, next + 1, ... on all axes.
  AxisPositions(std::vector<AxisPosition> first, int64_t next) : first_(std::move(first)), next_(next) {}

  [[nodiscard]] AxisPosition at(int64_t position) const {
    if (position < static_cast<int64_t>(first_.size())) return first_[static_cast<size_t>(position)];
    const int64_t place = next_ + position - static_cast<int64_t>(first_.size());
    return {place, place, place};
  }
  // One more than the largest place of positions [begin, end) on any axis.
  [[nodiscard]] int64_t places_needed(int64_t begin, int64_t end) const;
  // Those of the given positions, one after another.
  [[nodiscard]] AxisPositions taken(const std::vector<int32_t>& positions) const;

 private:
  std::vector<AxisPosition> first_;
  int64_t next_ = 0;
};

// No value where the model's positions are places in the sequence and nothing else.
[[nodiscard]] std::optional<AxisPositions> axis_positions(const ModelSpec& spec,
                                                          const std::vector<PlacedImage>& images);
// The same from what a capture keeps of pictures. Refused: a picture of which only some patches are there,
// since a capture does not say which.
[[nodiscard]] Result<std::optional<AxisPositions>> axis_positions(const ModelSpec& spec,
                                                                  const std::vector<ImageRegion>& images);

}  // namespace saccade
