#include "analysis/scanpath/scanpath_frames.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <memory>
#include <opencv2/imgproc.hpp>

namespace saccade {
namespace {

struct Drawing {
  std::vector<TimedPath> paths;
  cv::Mat ground;  // red, green, blue
  double zoom = 1.0, radius = 8.0;
  double step_ms = 80.0;
};

cv::Scalar scalar_of(Rgb rgb) { return {double(rgb.r), double(rgb.g), double(rgb.b)}; }

cv::Mat ground_of(const Picture& picture, cv::Size size) {
  cv::Mat ground(size, CV_8UC3, cv::Scalar(214, 214, 214));
  if (picture.rgb.empty()) return ground;
  const cv::Mat given(picture.height, picture.width, CV_8UC3, const_cast<uint8_t*>(picture.rgb.data()));
  cv::resize(given, ground, size, 0, 0, given.cols > size.width ? cv::INTER_AREA : cv::INTER_CUBIC);
  return ground;
}

// Discs are half transparent: drawn on a copy and mixed.
void draw_path(cv::Mat& frame, const Drawing& drawing, size_t index, double ms) {
  const TimedPath& path = drawing.paths[index];
  const cv::Scalar colour = scalar_of(scanpath_colour(index)), black(0, 0, 0), white(255, 255, 255);
  const size_t seen = path.begun(ms);
  const auto place = [&](size_t i) {
    const Fixation& at = path.path.fixations[i];
    return cv::Point(static_cast<int>(std::lround(at.x * drawing.zoom)),
                     static_cast<int>(std::lround(at.y * drawing.zoom)));
  };
  for (size_t i = 1; i < seen; ++i) {
    cv::line(frame, place(i - 1), place(i), black, 4, cv::LINE_AA);
    cv::line(frame, place(i - 1), place(i), colour, 2, cv::LINE_AA);
  }
  const auto radius = [&](size_t i) {
    return std::max(2, static_cast<int>(std::lround(drawing.radius * path.size_at(i, ms))));
  };
  cv::Mat discs = frame.clone();
  for (size_t i = 0; i < seen; ++i) cv::circle(discs, place(i), radius(i), colour, cv::FILLED, cv::LINE_AA);
  cv::addWeighted(discs, 0.65, frame, 0.35, 0.0, frame);
  for (size_t i = 0; i < seen; ++i) {
    const bool now = i + 1 == seen && ms < path.end();
    cv::circle(frame, place(i), radius(i), now ? white : black, now ? 2 : 1, cv::LINE_AA);
    const std::string number = std::to_string(i + 1);
    const double size = std::max(0.35, drawing.radius / 28.0);
    int below = 0;
    const cv::Size text = cv::getTextSize(number, cv::FONT_HERSHEY_SIMPLEX, size, 1, &below);
    const cv::Point at = place(i) + cv::Point(-text.width / 2, text.height / 2);
    cv::putText(frame, number, at, cv::FONT_HERSHEY_SIMPLEX, size, black, 3, cv::LINE_AA);
    cv::putText(frame, number, at, cv::FONT_HERSHEY_SIMPLEX, size, white, 1, cv::LINE_AA);
  }
}

Picture draw(const Drawing& drawing, double ms) {
  cv::Mat frame = drawing.ground.clone();
  for (size_t i = 0; i < drawing.paths.size(); ++i) draw_path(frame, drawing, i, ms);
  Picture picture{frame.cols, frame.rows, {}, {}};
  picture.rgb.assign(frame.datastart, frame.dataend);
  return picture;
}

}  // namespace

TimedPath TimedPath::of(Scanpath path, std::string label, double dwell_ms) {
  TimedPath timed{std::move(path), std::move(label), {}, {}, dwell_ms};
  const auto& fixations = timed.path.fixations;
  std::vector<double> starts;
  for (const Fixation& fixation : fixations)
    if (fixation.start) starts.push_back(*fixation.start);
  const bool started = starts.size() == fixations.size() && std::is_sorted(starts.begin(), starts.end());
  double at = 0.0;
  for (size_t i = 0; i < fixations.size(); ++i) {
    if (started) at = starts[i] - starts.front();
    timed.begins.push_back(at);
    at += fixations[i].duration > 0.0 ? fixations[i].duration : dwell_ms;
    timed.ends.push_back(at);
  }
  return timed;
}

size_t TimedPath::begun(double ms) const {
  return static_cast<size_t>(std::upper_bound(begins.begin(), begins.end(), ms) - begins.begin());
}

double TimedPath::size_at(size_t fixation, double ms) const {
  const double duration = path.fixations[fixation].duration;
  const double been = std::clamp(ms - begins[fixation], 0.0, duration);
  return std::max(0.25, std::sqrt(been / dwell_ms));
}

Result<Animation> animate(const ScanpathAnimation& given) {
  if (given.paths.empty()) return make_error(ErrorCode::invalid_argument, "an animation without a scanpath");
  for (const DrawnPath& drawn : given.paths)
    SACCADE_CHECK(check_comparable(given.paths[0].path, drawn.path, 1));
  if (!(given.speed >= 0.01 && given.speed <= 100.0 && given.dwell_ms > 0.0 && given.hold_ms >= 0.0 &&
        given.frames_per_second >= 0.1 && given.frames_per_second <= 100.0 && given.longest_side >= 16))
    return make_error(
        ErrorCode::invalid_argument,
        fmt::format("speed {}, {} frames per second, {} pixels; expected 0.01 to 100, 0.1 to 100, "
                    "at least 16",
                    given.speed, given.frames_per_second, given.longest_side));
  const PictureSize size = given.paths[0].path.size;
  auto drawing = std::make_shared<Drawing>();
  drawing->zoom =
      static_cast<double>(given.longest_side) / static_cast<double>(std::max(size.width, size.height));
  const auto side = [&](int64_t pixels) {
    return std::max(16, static_cast<int>(std::lround(static_cast<double>(pixels) * drawing->zoom)) / 2 * 2);
  };
  drawing->ground = ground_of(given.picture, {side(size.width), side(size.height)});
  drawing->radius = 0.022 * size.diagonal() * drawing->zoom;
  drawing->step_ms = 1000.0 / given.frames_per_second * given.speed;
  double end = 0.0;
  for (const DrawnPath& drawn : given.paths) {
    drawing->paths.push_back(TimedPath::of(drawn.path, drawn.label, given.dwell_ms));
    end = std::max(end, drawing->paths.back().end());
  }
  constexpr double most_frames = 20'000;
  const double moving = std::ceil(end / drawing->step_ms),
               held = std::ceil(given.hold_ms / 1000.0 * given.frames_per_second);
  if (moving + held > most_frames)
    return make_error(ErrorCode::invalid_argument,
                      fmt::format("{:.0f} s of scanpath make {:.0f} frames, more than {:.0f}: make it faster",
                                  end / 1000.0, moving + held, most_frames));
  Animation animation{drawing->ground.cols,
                      drawing->ground.rows,
                      given.frames_per_second,
                      static_cast<int64_t>(moving + held) + 1,
                      {}};
  animation.frame = [drawing](int64_t frame) {
    return draw(*drawing, static_cast<double>(frame) * drawing->step_ms);
  };
  return animation;
}

}  // namespace saccade
