#include "analysis/images/regions.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>
#include <numeric>

namespace saccade {
namespace {

using testing::DoubleNear;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::Pointwise;

// 2 x 3 patches of 8 pixels; the picture was 12 x 8 pixels, doubled.
ImageRegion doubled() {
  ImageRegion image;
  image.grid_height = 2;
  image.grid_width = 3;
  image.patch_height = image.patch_width = 8;
  image.geometry = {12, 8, 24, 16, 2.0, 2.0, 0.0, 0.0};
  return image;
}

auto near(const std::vector<double>& wanted) { return Pointwise(DoubleNear(1e-12), wanted); }

std::vector<double> shares(const std::string& text, const ImageRegion& image) {
  const auto regions = parse_regions(text);
  EXPECT_TRUE(regions.ok()) << regions.error().to_string();
  const auto share = coverage_of(regions->at(0), image);
  EXPECT_TRUE(share.ok()) << share.error().to_string();
  return share.ok() ? *share : std::vector<double>();
}

TEST(Regions, cover_patches_by_area) {
  EXPECT_THAT(shares("all:0,0,12,8", doubled()), near({1, 1, 1, 1, 1, 1}));
  // a patch is 4 x 4 pixels of the original
  EXPECT_THAT(shares("a:0,0,4,4", doubled()), near({1, 0, 0, 0, 0, 0}));
  EXPECT_THAT(shares("a:2,0,6,2", doubled()), near({0.25, 0.25, 0, 0, 0, 0}));
  EXPECT_THAT(shares("a:-5,-5,2,8", doubled()), near({0.5, 0, 0, 0.5, 0, 0}));
  // what two boxes share counts once
  EXPECT_THAT(shares("a:0,0,4,2;a:0,1,4,4", doubled()), near({1, 0, 0, 0, 0, 0}));
}

TEST(Regions, leave_padding_out) {
  ImageRegion padded = doubled();  // 4 columns of padding at the left
  padded.geometry.original_width = 10;
  padded.geometry.offset_x = 4.0;
  EXPECT_THAT(shares("all:0,0,10,8", padded), near({0.5, 1, 1, 0.5, 1, 1}));
}

TEST(Regions, are_read_from_texts_and_files) {
  const auto regions = parse_regions("cat:1,2,3,4; dog : 0,0,1.5,2;cat:5,5,6,6;");
  ASSERT_TRUE(regions.ok());
  ASSERT_EQ(regions->size(), 2U);
  EXPECT_EQ(regions->at(0).boxes.size(), 2U);
  const auto folder = std::filesystem::path(testing::TempDir());
  std::ofstream(folder / "boxes.json") << R"([{"name": "cat", "box": [1, 2, 3, 4]}])";
  std::ofstream(folder / "named.json") << R"({"cat": [1, 2, 3, 4], "dog": [[0, 0, 1, 1], [2, 2, 3, 3]]})";
  std::ofstream(folder / "boxes.csv") << "name,left,top,right,bottom\ncat,1,2,3,4\ncat,5,6,7,8.5\n";
  EXPECT_EQ(read_regions(folder / "boxes.json")->at(0).boxes.at(0).bottom, 4.0);
  EXPECT_EQ(read_regions(folder / "named.json")->at(1).boxes.size(), 2U);
  EXPECT_EQ(read_regions(folder / "boxes.csv")->at(0).boxes.at(1).bottom, 8.5);
}

TEST(Regions, as_a_mask_cover_what_their_colours_do) {
  PictureRegion region{"mask", {}, {12, 8, std::vector<uint8_t>(12 * 8 * 3, 0), "mask.png"}, 0xff0000};
  for (int y = 0; y < 4; ++y)
    for (int x = 2; x < 4; ++x) region.mask.rgb[static_cast<size_t>(3 * (y * 12 + x))] = 255;
  const auto share = coverage_of(region, doubled());
  ASSERT_TRUE(share.ok()) << share.error().to_string();
  EXPECT_THAT(*share, near({0.5, 0, 0, 0, 0, 0}));
  region.mask.width = 13;
  EXPECT_THAT(coverage_of(region, doubled()).error().message, HasSubstr("13 x 8 pixels, the picture 12 x 8"));
}

TEST(Regions, that_make_no_sense_are_refused) {
  for (const char* text : {"cat", "cat:1,2,3", ":1,2,3,4", "cat:1,2,3,4,5", "cat:a,2,3,4"})
    EXPECT_THAT(parse_regions(text).error().message, HasSubstr("name:left,top,right,bottom")) << text;
  EXPECT_THAT(parse_regions("cat:3,2,1,4").error().message, HasSubstr("left < right"));
  const auto outside = coverage_of(parse_regions("a:20,0,30,4")->at(0), doubled());
  EXPECT_THAT(outside.error().message, HasSubstr("covers nothing"));
  const auto folder = std::filesystem::path(testing::TempDir());
  std::ofstream(folder / "bad.json") << R"([{"name": "cat"}])";
  std::ofstream(folder / "bad.csv") << "name,left,top,right\ncat,1,2,3\n";
  std::ofstream(folder / "text.csv") << "name,left,top,right,bottom\ncat,1,2,x,4\n";
  EXPECT_THAT(read_regions(folder / "bad.json").error().message, HasSubstr("bad.json"));
  EXPECT_THAT(read_regions(folder / "bad.csv").error().message, HasSubstr("no 'bottom'"));
  EXPECT_THAT(read_regions(folder / "text.csv").error().message, HasSubstr("row 2: right is 'x'"));
  EXPECT_FALSE(read_regions(folder / "missing.json").ok());
}

}  // namespace
}  // namespace saccade
