#include "analysis/scanpath/scanpath_frames.h"

#include <gmock/gmock.h>

#include <cmath>

namespace saccade {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

Scanpath three(bool started) {
  Scanpath path;
  path.size = {200, 100};
  path.fixations = {{50, 50, 200, {}, {}}, {150, 50, 400, {}, {}}, {100, 25, 0, {}, {}}};
  if (started) {
    path.fixations[0].start = 1000.0;
    path.fixations[1].start = 1230.0;
    path.fixations[2].start = 1700.0;
  }
  return path;
}

TEST(TimedPath, fixations_follow_one_another_or_begin_when_they_were_recorded) {
  EXPECT_THAT(TimedPath::of(three(false), "", 250).begins, ElementsAre(0, 200, 600));
  EXPECT_THAT(TimedPath::of(three(false), "", 250).ends, ElementsAre(200, 600, 850));
  EXPECT_THAT(TimedPath::of(three(true), "", 250).begins, ElementsAre(0, 230, 700));
  Scanpath disordered = three(true);
  disordered.fixations[2].start = 1100.0;
  EXPECT_THAT(TimedPath::of(disordered, "", 250).begins, ElementsAre(0, 200, 600));
}

TEST(TimedPath, what_has_begun_is_seen_and_discs_grow_to_their_dwell) {
  const TimedPath path = TimedPath::of(three(true), "", 200);
  EXPECT_EQ(path.begun(-1), 0u);
  EXPECT_EQ(path.begun(0), 1u);
  EXPECT_EQ(path.begun(229.9), 1u);
  EXPECT_EQ(path.begun(230), 2u);
  EXPECT_EQ(path.begun(1e9), 3u);
  EXPECT_DOUBLE_EQ(path.size_at(0, 200), 1.0);
  EXPECT_DOUBLE_EQ(path.size_at(1, 230 + 100), std::sqrt(0.5));
  EXPECT_DOUBLE_EQ(path.size_at(1, 1e9), std::sqrt(2.0)) << "area in proportion to dwell";
  EXPECT_DOUBLE_EQ(path.size_at(2, 1e9), 0.25) << "one without a duration is small, not gone";
}

int reddish(const Picture& frame) {
  const Rgb colour = scanpath_colour(0);
  int count = 0;
  for (size_t i = 0; i < frame.rgb.size(); i += 3) {
    const double share =
        (frame.rgb[i] - 214.0) / (colour.r - 214.0) + (frame.rgb[i + 2] - 214.0) / (colour.b - 214.0);
    count += share > 1.0;
  }
  return count;
}

TEST(ScanpathFrames, show_more_and_more_of_the_path_and_hold_its_end) {
  ScanpathAnimation given;
  given.paths = {{three(false), ""}};
  given.frames_per_second = 10;
  given.hold_ms = 500;
  given.longest_side = 200;
  const auto animation = animate(given);
  ASSERT_TRUE(animation.ok()) << animation.error().to_string();
  EXPECT_EQ(animation->width, 200);
  EXPECT_EQ(animation->height, 100);
  EXPECT_EQ(animation->count, 9 + 5 + 1) << "850 ms at 100 ms a frame, held for five, and the first";
  const int first = reddish(animation->frame(0)), middle = reddish(animation->frame(5)),
            last = reddish(animation->frame(animation->count - 1));
  EXPECT_LT(first, middle);
  EXPECT_LT(middle, last);
  EXPECT_EQ(animation->frame(10).rgb, animation->frame(14).rgb);
  // The first disc is where the path begins, and nothing is at the second's place yet.
  const Picture frame = animation->frame(1);
  const auto grey = [&](int x, int y) {
    return frame.rgb[static_cast<size_t>((y * 200 + x) * 3 + 2)] == 214;
  };
  EXPECT_FALSE(grey(53, 50));
  EXPECT_TRUE(grey(150, 50));
}

TEST(ScanpathFrames, twice_the_speed_is_half_the_frames) {
  ScanpathAnimation given;
  given.paths = {{three(false), ""}};
  given.frames_per_second = 10;
  given.hold_ms = 0;
  given.speed = 2;
  const auto animation = animate(given);
  ASSERT_TRUE(animation.ok());
  EXPECT_EQ(animation->count, 5 + 1);
}

TEST(ScanpathFrames, what_makes_no_sense_is_refused) {
  const auto message = [](const ScanpathAnimation& given) {
    const auto made = animate(given);
    return made.ok() ? std::string() : made.error().message;
  };
  ScanpathAnimation given;
  EXPECT_THAT(message(given), HasSubstr("without a scanpath"));
  given.paths = {{three(false), ""}};
  given.speed = 0.0;
  EXPECT_THAT(message(given), HasSubstr("speed 0"));
  given.speed = 1.0;
  given.paths[0].path.fixations[1].duration = 1e9;
  EXPECT_THAT(message(given), HasSubstr("make it faster"));
  given.paths[0].path.size = {};
  EXPECT_FALSE(message(given).empty()) << "the size of the picture is not known";
}

}  // namespace
}  // namespace saccade
