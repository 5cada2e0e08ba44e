#include "core/run/edit_regions.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "core/run/edit_plan.h"

namespace saccade {
namespace {

using testing::HasSubstr;

ImageRegion picture(int64_t begin, int32_t n_prefix, int32_t height, int32_t width, int32_t index = 0) {
  ImageRegion region;
  region.picture = index;
  region.begin = begin;
  region.n_prefix = n_prefix;
  region.grid_height = height;
  region.grid_width = width;
  return region;
}

// 2 words, 6 patches, 1 word, 4 patches, 3 words.
const TokenPlaces two_pictures{16, {picture(2, 0, 2, 3), picture(9, 0, 2, 2, 1)}, -1};

Edit parsed(const std::string& text) {
  auto edit = parse_edit(text);
  EXPECT_TRUE(edit.ok()) << edit.error().to_string();
  return edit.ok() ? *edit : Edit{};
}

std::string numbered(const std::string& text, const TokenPlaces& places) {
  const auto edit = with_numbers(parsed(text), places);
  return edit.ok() ? to_text(*edit) : edit.error().to_string();
}

TEST(RegionNames, are_read_and_written) {
  EXPECT_EQ(region_named("img"), (RegionName{TokenRegion::img, 0}));
  EXPECT_EQ(region_named("img2"), (RegionName{TokenRegion::img, 2}));
  EXPECT_EQ(region_named("gen"), (RegionName{TokenRegion::gen, 0}));
  for (const char* text : {"", "image", "img0", "img02", "img-1", "imgx", "txt1", "gen2", "img2x", "IMG"})
    EXPECT_EQ(region_named(text), std::nullopt) << text;
  for (const char* text :
       {"boost 5-7.* by=0.5 key=img", "knockout 3.* query=gen key=img2",
        "redistribute 5.1 by=0.4 query=txt,gen key=0,3:5 to=img within=img least-mass=0.2"})
    EXPECT_EQ(to_text(parsed(text)), text);
  EXPECT_EQ(to_text(parsed("knockout 3.* key=gen,7,img,img,sys")), "knockout 3.* query=* key=7,sys,img,gen");
  EXPECT_THAT(parse_edit("boost 5.1 by=1 key=imgs").error().message,
              HasSubstr("img2, txt, gen, found 'imgs'"));
}

TEST(RegionNames, become_the_positions_of_the_prompt) {
  EXPECT_EQ(numbered("boost 1.1 by=1 key=img", two_pictures), "boost 1.1 by=1 key=2:8,9:13");
  EXPECT_EQ(numbered("boost 1.1 by=1 key=img2", two_pictures), "boost 1.1 by=1 key=9:13");
  EXPECT_EQ(numbered("boost 1.1 by=1 key=sys,img1", two_pictures), "boost 1.1 by=1 key=0:8");
  EXPECT_EQ(numbered("boost 1.1 by=1 key=txt", two_pictures), "boost 1.1 by=1 key=8,13:16");
  EXPECT_EQ(numbered("zero 1.1 query=gen", two_pictures), "zero 1.1 query=16:");
  TokenPlaces written = two_pictures;
  written.generated_from = 14;
  EXPECT_EQ(numbered("zero 1.1 query=gen", written), "zero 1.1 query=14:");
  EXPECT_EQ(numbered("zero 1.1 query=txt", written), "zero 1.1 query=8,13");
  // the prefix of a picture that stands alone is no patch
  const TokenPlaces alone{7, {picture(0, 1, 2, 3)}, -1};
  EXPECT_EQ(numbered("boost 1.1 by=1 key=img query=sys", alone), "boost 1.1 by=1 query=0 key=1:7");
  // a picture that comes first has nothing before it: the edit does nothing
  const TokenPlaces first{8, {picture(0, 0, 2, 3)}, -1};
  const auto edit = with_numbers(parsed("zero 1.1 query=sys"), first);
  ASSERT_TRUE(edit.ok());
  EXPECT_FALSE(has_effect(*edit));
}

TEST(RegionNames, that_a_prompt_does_not_have_are_refused_with_what_to_do) {
  const TokenPlaces text{5, {}, -1};
  EXPECT_THAT(
      numbered("knockout 1.1 key=img", text),
      HasSubstr("edit 'knockout 1.1 query=* key=img': 'img' is where a picture stands, and the prompt "
                "has no picture; give one (--image FILE)"));
  EXPECT_THAT(numbered("knockout 1.1 key=sys", text),
              HasSubstr("'sys' is what stands before the first picture"));
  EXPECT_THAT(numbered("knockout 1.1 key=img3", two_pictures),
              HasSubstr("'img3' is picture 3 of the prompt, which has 2"));
  EXPECT_EQ(numbered("knockout 1.1 key=txt", text), "knockout 1.1 query=* key=0:5");
}

ModelSpec spec() {
  ModelSpec spec;
  spec.n_layer = 4;
  spec.n_head = spec.n_kv_head = 2;
  return spec;
}

std::string check(const std::string& text, const TokenPlaces& places) {
  const std::vector<Edit> edits{parsed(text)};
  const auto checked = check_edits(edits, spec(), places);
  return checked.ok() ? "" : checked.error().to_string();
}

TEST(RegionNames, are_checked_where_numbers_are) {
  EXPECT_EQ(check("boost 1.* by=1 key=img query=gen", two_pictures), "");
  EXPECT_THAT(check("boost 1.* by=1 key=img", TokenPlaces{4}), HasSubstr("has no picture"));
  EXPECT_EQ(check("# boost 1.* by=1 key=img", TokenPlaces{4}), "") << "a disabled edit does nothing";
  EXPECT_THAT(check("redistribute 1.1 by=0.4 key=3 to=img", two_pictures), HasSubstr("in common"));
  EXPECT_EQ(check("redistribute 1.1 by=0.4 key=0,3 to=4:8 within=img", two_pictures), "");
  EXPECT_THAT(check("redistribute 1.1 by=0.4 key=0 to=1:5 within=img", two_pictures),
              HasSubstr("to= has positions outside within="));
  EXPECT_THAT(check("pattern 1.1 from=a query=img1 key=img", two_pictures),
              HasSubstr("key= must be one range"));
  EXPECT_THAT(parse_edit("redistribute 1.1 by=0.4 key=0 within=1:5").error().message, HasSubstr("needs to="));
}

TEST(RegionNames, are_the_rows_and_keys_of_the_kernels_plan) {
  const auto edit = with_numbers(
      parsed("redistribute 1.1 by=0.4 query=gen key=0,3 to=4:8 within=img least-mass=0.2 least-share=0.5"),
      two_pictures);
  ASSERT_TRUE(edit.ok());
  const std::vector<Edit> edits{*edit};
  const auto plan = plan_of(edits, 1, spec(), {});
  ASSERT_TRUE(plan.ok());
  const WeightEdit& made = plan->heads.at(1).weights.at(0);
  EXPECT_EQ(made.among, (KeySet{{2, 8}, {9, 13}}));
  EXPECT_EQ(made.query, (QueryRange{16, PositionRange::open_end}));
  EXPECT_EQ(made.to, (KeySet{{4, 8}}));
}

}  // namespace
}  // namespace saccade
