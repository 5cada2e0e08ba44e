#include "analysis/scanpath/write_scanpath.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "analysis/scanpath/fixation_report.h"
#include "tests/analysis/scanpath/gaze_data.h"

namespace saccade {
namespace {

using testing::HasSubstr;

Scanpath sample() {
  Scanpath path = gaze::path_of({{1.25, 2.5, 100, 7.5, 3}, {50.1, 60.2, 400, {}, {}}}, {640, 480});
  path.stimulus = "a, \"b\"; c.jpg";
  path.subject = "s<1>";
  return path;
}

TEST(WriteScanpath, what_is_written_reads_back_the_same) {
  const std::vector<Scanpath> paths{sample()};
  const auto back = parse_fixation_report(scanpaths_csv(paths), {});
  ASSERT_TRUE(back.ok()) << back.error().to_string();
  ASSERT_EQ(back->paths.size(), 1U);
  EXPECT_EQ(back->paths[0].stimulus, paths[0].stimulus);
  EXPECT_EQ(back->paths[0].subject, paths[0].subject);
  EXPECT_EQ(back->paths[0].size, paths[0].size);
  ASSERT_EQ(back->paths[0].fixations.size(), 2U);
  for (size_t i = 0; i < 2; ++i) {
    const Fixation &a = paths[0].fixations[i], &b = back->paths[0].fixations[i];
    EXPECT_EQ(a.x, b.x);
    EXPECT_EQ(a.y, b.y);
    EXPECT_EQ(a.duration, b.duration);
    EXPECT_EQ(a.start, b.start);
    EXPECT_EQ(a.word, b.word);
  }
  EXPECT_TRUE(back->findings.empty());
}

// Four times the dwell is four times the area, twice the radius.
TEST(WriteScanpath, the_figure_has_a_disc_per_fixation_whose_area_is_its_dwell) {
  const auto svg = scanpath_svg({{{sample(), ""}}, {}, "", 10.0, 100.0});
  ASSERT_TRUE(svg.ok()) << svg.error().to_string();
  EXPECT_THAT(*svg, HasSubstr("cx=\"1.25\" cy=\"2.50\" r=\"10.00\""));
  EXPECT_THAT(*svg, HasSubstr("cx=\"50.10\" cy=\"60.20\" r=\"20.00\""));
  EXPECT_THAT(*svg, HasSubstr("subject s&lt;1&gt; on a, &quot;b&quot;; c.jpg, 2 fixations"));
  EXPECT_THAT(*svg, HasSubstr("radius 10.0 px = 100 ms"));
}

TEST(WriteScanpath, the_picture_is_embedded_as_it_is_and_others_are_refused) {
  const std::string png = "\x89PNG\r\n\x1a\nrest!";
  const auto svg = scanpath_svg({{{sample(), "model"}}, std::as_bytes(std::span(png)), "", 0.0, 250.0});
  ASSERT_TRUE(svg.ok());
  EXPECT_THAT(*svg, HasSubstr("data:image/png;base64,iVBORw0KGgpyZXN0IQ=="));
  const std::string text = "no picture";
  EXPECT_THAT(
      scanpath_svg({{{sample(), ""}}, std::as_bytes(std::span(text)), "", 0.0, 250.0}).error().message,
      HasSubstr("no JPEG, PNG"));
}

TEST(WriteScanpath, paths_on_pictures_of_other_sizes_do_not_share_a_figure) {
  Scanpath other = sample();
  other.size = {10, 10};
  EXPECT_FALSE(scanpath_svg({{{sample(), ""}, {other, ""}}, {}, "", 0.0, 250.0}).ok());
  EXPECT_FALSE(scanpath_svg({}).ok());
}

}  // namespace
}  // namespace saccade
