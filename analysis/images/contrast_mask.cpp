#include "analysis/images/contrast_mask.h"

#include <algorithm>
#include <cmath>
#include <opencv2/imgproc.hpp>

namespace saccade {
namespace {

// The value that a share of all values lies below, interpolated between order statistics.
double quantile_of(std::vector<double> values, double share) {
  std::sort(values.begin(), values.end());
  const double at = share * static_cast<double>(values.size() - 1);
  const auto below = static_cast<size_t>(std::floor(at));
  const size_t above = std::min(below + 1, values.size() - 1);
  return values[below] + (at - std::floor(at)) * (values[above] - values[below]);
}

void join(MaskRegion& box, const MaskRegion& region) {
  box.score += region.score;
  box.cells += region.cells;
  box.top = std::min(box.top, region.top);
  box.left = std::min(box.left, region.left);
  box.bottom = std::max(box.bottom, region.bottom);
  box.right = std::max(box.right, region.right);
}

// Which region each cell is in, -1 outside, and the regions.
std::vector<MaskRegion> regions_of(const GridMap& map, double cut, std::vector<int64_t>& region_of) {
  std::vector<MaskRegion> regions;
  region_of.assign(map.values.size(), -1);
  std::vector<int64_t> waiting;
  for (int64_t start = 0; start < map.height * map.width; ++start) {
    if (map.values[static_cast<size_t>(start)] < cut || region_of[static_cast<size_t>(start)] >= 0) continue;
    const auto id = static_cast<int64_t>(regions.size());
    MaskRegion region{0.0, 0, map.height, map.width, 0, 0};
    region_of[static_cast<size_t>(start)] = id;
    waiting.assign(1, start);
    while (!waiting.empty()) {
      const int64_t cell = waiting.back(), y = cell / map.width, x = cell % map.width;
      waiting.pop_back();
      join(region, {map.values[static_cast<size_t>(cell)], 1, y, x, y + 1, x + 1});
      for (int64_t v = std::max<int64_t>(y - 1, 0); v <= std::min(y + 1, map.height - 1); ++v)
        for (int64_t u = std::max<int64_t>(x - 1, 0); u <= std::min(x + 1, map.width - 1); ++u) {
          const auto beside = static_cast<size_t>(v * map.width + u);
          if (map.values[beside] < cut || region_of[beside] >= 0) continue;
          region_of[beside] = id;
          waiting.push_back(static_cast<int64_t>(beside));
        }
    }
    regions.push_back(region);
  }
  return regions;
}

}  // namespace

std::vector<double> attention_contrast(std::span<const double> question, std::span<const double> general,
                                       double lambda) {
  std::vector<double> contrast;
  for (size_t j = 0; j < question.size(); ++j) contrast.push_back(question[j] / (general[j] + lambda));
  return contrast;
}

std::vector<double> accumulate_contrast(const std::vector<std::vector<double>>& steps) {
  std::vector<double> sum(steps.empty() ? 0 : steps[0].size(), 0.0);
  for (size_t t = 0; t < steps.size(); ++t)
    for (size_t j = 0; j < sum.size(); ++j) sum[j] += static_cast<double>(t + 1) * steps[t][j];
  return sum;
}

GridMap resize_map(const GridMap& map, int64_t height, int64_t width) {
  GridMap large{height, width, std::vector<double>(static_cast<size_t>(height * width))};
  const auto place = [](int64_t at, int64_t to, int64_t from) {
    const double centre =
        (static_cast<double>(at) + 0.5) * static_cast<double>(from) / static_cast<double>(to) - 0.5;
    return std::clamp(centre, 0.0, static_cast<double>(from - 1));
  };
  for (int64_t y = 0; y < height; ++y) {
    const double v = place(y, height, map.height);
    const auto top = static_cast<int64_t>(v);
    const int64_t bottom = std::min(top + 1, map.height - 1);
    for (int64_t x = 0; x < width; ++x) {
      const double u = place(x, width, map.width);
      const auto left = static_cast<int64_t>(u);
      const int64_t right = std::min(left + 1, map.width - 1);
      const double a = v - static_cast<double>(top), b = u - static_cast<double>(left);
      const auto cell = [&](int64_t row, int64_t column) {
        return map.values[static_cast<size_t>(row * map.width + column)];
      };
      large.values[static_cast<size_t>(y * width + x)] =
          (1 - a) * ((1 - b) * cell(top, left) + b * cell(top, right)) +
          a * ((1 - b) * cell(bottom, left) + b * cell(bottom, right));
    }
  }
  return large;
}

ContrastMask contrast_mask(const GridMap& map, double share, int64_t least) {
  std::vector<int64_t> region_of;
  std::vector<MaskRegion> regions = regions_of(map, quantile_of(map.values, 1.0 - share), region_of);
  ContrastMask mask;
  mask.found = static_cast<int64_t>(regions.size());
  std::vector<size_t> order(regions.size());
  for (size_t r = 0; r < order.size(); ++r) order[r] = r;
  std::stable_sort(order.begin(), order.end(),
                   [&](size_t a, size_t b) { return regions[a].score > regions[b].score; });
  order.resize(std::min(order.size(), static_cast<size_t>(std::max(least, mask.found / 5))));
  mask.kept.assign(map.values.size(), false);
  mask.box = {0.0, 0, map.height, map.width, 0, 0};
  for (const size_t r : order) {
    mask.regions.push_back(regions[r]);
    join(mask.box, regions[r]);
    for (size_t cell = 0; cell < region_of.size(); ++cell)
      if (region_of[cell] == static_cast<int64_t>(r)) mask.kept[cell] = true;
  }
  return mask;
}

PictureComplexity complexity_of(const Picture& picture) {
  // OpenCV reads the pixels, it does not write them.
  const cv::Mat rgb(picture.height, picture.width, CV_8UC3, const_cast<uint8_t*>(picture.rgb.data()));
  cv::Mat grey, edges, hsv;
  cv::cvtColor(rgb, grey, cv::COLOR_RGB2GRAY);
  cv::Canny(grey, edges, 100, 200);
  cv::cvtColor(rgb, hsv, cv::COLOR_RGB2HSV);  // 8-bit hues run from 0 to 179
  std::vector<double> hues(180, 0.0);
  const auto pixels = static_cast<double>(picture.width) * picture.height;
  for (int y = 0; y < hsv.rows; ++y)
    for (int x = 0; x < hsv.cols; ++x) hues[hsv.at<cv::Vec3b>(y, x)[0]] += 1.0 / pixels;
  PictureComplexity complexity;
  complexity.texture = cv::countNonZero(edges) / pixels;
  for (const double p : hues)
    if (p > 0.0) complexity.colour -= p * std::log(p) / std::log(180.0);
  return complexity;
}

}  // namespace saccade
