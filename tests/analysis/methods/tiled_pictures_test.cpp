// Methods on pictures that are read as several regions, one of them with newlines between its rows.
#include <gmock/gmock.h>

#include <numeric>

#include "core/run/edit_regions.h"
#include "tests/analysis/vision_lab.h"

namespace saccade {
namespace {

using testing::HasSubstr;

const VisionLab& next_lab() {
  static const VisionLab lab("llava_next");
  return lab;
}

TEST(TiledPictures, have_fields_over_the_patches_of_each_region) {
  const auto result = next_lab().method("rollout", {});
  ASSERT_TRUE(result.ok()) << result.error().to_string();
  const std::vector<ImageRegion>& regions = next_lab().run->capture->images;
  ASSERT_EQ(regions.size(), 2U);
  int compared = 0;
  for (const Field& tokens : result->fields) {
    for (size_t k = 0; k < regions.size(); ++k) {
      const Field* patches = result->field(tokens.name + (k == 0 ? "_patches" : "_patches_2"));
      if (patches == nullptr) continue;
      const int64_t n = next_lab().run->capture->n_token(), count = regions[k].patches();
      for (int64_t row = 0; row < tokens.values.size() / n; ++row)
        for (int64_t patch = 0; patch < count; ++patch, ++compared)
          EXPECT_EQ(patches->values.values()[static_cast<size_t>(row * count + patch)],
                    tokens.values.values()[static_cast<size_t>(row * n + regions[k].position(patch))]);
    }
  }
  EXPECT_GT(compared, 0);
}

TEST(TiledPictures, are_refused_where_a_method_needs_one_run_of_the_tower_or_an_unbroken_grid) {
  const auto said = [](const std::string& id, const nlohmann::json& parameters) {
    const auto result = next_lab().method(id, parameters);
    EXPECT_FALSE(result.ok()) << id;
    return result.ok() ? "" : result.error().to_string();
  };
  EXPECT_THAT(said("head-profile", {{"picture", 1}}), HasSubstr("between its rows"));
  EXPECT_THAT(said("damro", {{"outliers", 2}}), HasSubstr("tiles"));
  EXPECT_THAT(said("carve", {}), HasSubstr("in several parts"));
  EXPECT_TRUE(next_lab().method("head-profile", {{"picture", 0}}).ok());
}

TEST(TiledPictures, are_one_picture_to_edits) {
  const Capture& capture = *next_lab().run->capture;
  const RegionName first = *region_named("img1");
  const auto positions = positions_of(first, capture.places());
  ASSERT_TRUE(positions.ok()) << positions.error().to_string();
  EXPECT_TRUE(positions->contains(capture.images[0].first_patch()));
  EXPECT_TRUE(positions->contains(capture.images[1].end() - 1));
  const auto second = positions_of(*region_named("img2"), capture.places());
  ASSERT_FALSE(second.ok());
  EXPECT_THAT(second.error().message, HasSubstr("picture 2 of the prompt, which has 1"));
}

TEST(MergedPatches, are_weighed_by_the_square) {
  const VisionLab lab("smolvlm");  // 2 x 2 patches of the encoder are one position
  const auto result = lab.method("damro", {{"outliers", 2}, {"encoder", "heads"}});
  ASSERT_TRUE(result.ok()) << result.error().to_string();
  // The tower has no CLS: all of its weight is on patches, and every square's is at one position.
  const auto weights = result->field("encoder_weight")->values.values();
  double elsewhere = std::accumulate(weights.begin(), weights.end(), 0.0);
  for (const ImageRegion& region : lab.run->capture->images) {
    double sum = 0.0;
    for (int64_t patch = 0; patch < region.patches(); ++patch)
      sum += weights[static_cast<size_t>(region.position(patch))];
    EXPECT_NEAR(sum, 1.0, 1e-5);
    elsewhere -= sum;
  }
  EXPECT_NEAR(elsewhere, 0.0, 1e-6);
}

// In a prompt that is seen in both directions the next token is no secret: no loss, no lens.
TEST(Prefixes, have_no_next_token_to_predict) {
  const VisionLab lab("paligemma");
  EXPECT_TRUE(lab.run->capture->loss.empty());
  const auto lens = lab.method("logit-lens", {});
  ASSERT_FALSE(lens.ok());
  EXPECT_EQ(lens.error().code, ErrorCode::unsupported);
}

}  // namespace
}  // namespace saccade
