#include "analysis/scanpath/scanpath.h"

#include <fmt/format.h>

#include <cmath>
#include <unordered_set>

namespace saccade {

double PictureSize::diagonal() const {
  return std::hypot(static_cast<double>(width), static_cast<double>(height));
}

std::string to_string(PictureSize size) { return fmt::format("{} x {}", size.width, size.height); }

std::vector<const Scanpath*> ScanpathSet::of_stimulus(const std::string& name) const {
  std::vector<const Scanpath*> found;
  for (const Scanpath& path : paths)
    if (path.stimulus == name) found.push_back(&path);
  return found;
}

std::vector<std::string> ScanpathSet::stimuli() const {
  std::vector<std::string> names;
  std::unordered_set<std::string> seen;
  for (const Scanpath& path : paths)
    if (seen.insert(path.stimulus).second) names.push_back(path.stimulus);
  return names;
}

int64_t ScanpathSet::fixation_count() const {
  int64_t count = 0;
  for (const Scanpath& path : paths) count += static_cast<int64_t>(path.fixations.size());
  return count;
}

std::string describe(const Scanpath& path) {
  std::string text = path.subject.empty() ? "a scanpath" : "subject " + path.subject;
  if (!path.stimulus.empty()) text += " on " + path.stimulus;
  if (!path.trial.empty() && path.trial != path.stimulus) text += " (trial " + path.trial + ")";
  return text;
}

Result<InsidePath> inside_picture(const Scanpath& path) {
  if (!path.size.known())
    return make_error(
        ErrorCode::invalid_argument,
        fmt::format("{}: the size of the picture is not known; give its width and height", describe(path)));
  InsidePath inside{path, 0};
  inside.outside = static_cast<int64_t>(
      std::erase_if(inside.path.fixations, [&](const Fixation& f) { return !path.size.holds(f.x, f.y); }));
  return inside;
}

Result<void> check_comparable(const Scanpath& a, const Scanpath& b, int64_t least) {
  for (const Scanpath* path : {&a, &b}) {
    if (!path->size.known())
      return make_error(ErrorCode::invalid_argument,
                        fmt::format("{}: the size of the picture is not known; give its width and height",
                                    describe(*path)));
    if (const auto count = static_cast<int64_t>(path->fixations.size()); count < least)
      return make_error(ErrorCode::invalid_argument,
                        fmt::format("{} has {} fixation{}; this comparison needs at least {}",
                                    describe(*path), count, count == 1 ? "" : "s", least));
  }
  if (a.size != b.size)
    return make_error(
        ErrorCode::invalid_argument,
        fmt::format("{} is on a picture of {} pixels and {} on one of {}; rescale one of them first",
                    describe(a), to_string(a.size), describe(b), to_string(b.size)));
  return {};
}

Result<Scanpath> rescaled(const Scanpath& path, PictureSize to) {
  if (!path.size.known() || !to.known())
    return make_error(ErrorCode::invalid_argument,
                      fmt::format("{}: cannot be rescaled from {} to {} pixels; both sizes must be known",
                                  describe(path), to_string(path.size), to_string(to)));
  Scanpath scaled = path;
  scaled.size = to;
  for (Fixation& fixation : scaled.fixations) {
    fixation.x *= static_cast<double>(to.width) / static_cast<double>(path.size.width);
    fixation.y *= static_cast<double>(to.height) / static_cast<double>(path.size.height);
  }
  return scaled;
}

}  // namespace saccade
