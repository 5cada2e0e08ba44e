#include "core/image/image_processor.h"

#include <gmock/gmock.h>

#include <cmath>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>

#include "tests/core/image/image_data.h"

namespace saccade {
namespace {

using nlohmann::json;
using testing::HasSubstr;

// The numbers of both sides are float32 results of the same few operations.
constexpr double bound = 1e-5;

json cases() {
  std::ifstream file(fixtures::image_data("cases.json"));
  return json::parse(file);
}

std::vector<std::string> names() {
  std::vector<std::string> list;
  for (const json& row : cases()) list.push_back(row["name"]);
  return list;
}

// What a picture became, tile by tile: [n, 3, side, side]; of a picture that stays one [3, height, width].
HostTensor stacked(const PreparedImage& image) {
  if (image.parts.empty()) return image.pixels;
  std::vector<float> all;
  int64_t side = 0, count = 0;
  for (const auto& part : image.parts) {
    const int64_t height = part->pixels.shape()[1], width = part->pixels.shape()[2];
    side = part->tile_height > 0 ? part->tile_height : height;
    for (int64_t top = 0; top < height; top += side)
      for (int64_t left = 0; left < width; left += side, ++count)
        for (int64_t row = 0; row < 3 * side; ++row) {
          const float* from = part->pixels.data() + (row / side * height + top + row % side) * width + left;
          all.insert(all.end(), from, from + side);
        }
  }
  HostTensor made({count, 3, side, side});
  std::copy(all.begin(), all.end(), made.mutable_values().begin());
  return made;
}

class ImageProcessors : public testing::TestWithParam<std::string> {};

TEST_P(ImageProcessors, make_the_numbers_that_transformers_makes) {
  const json all = cases();
  const json row =
      *std::find_if(all.begin(), all.end(), [](const json& r) { return r["name"] == GetParam(); });
  const auto file = fixtures::image_numbers();
  ASSERT_NE(file, nullptr);
  const auto processor = ImageProcessor::from_json(row["config"]);
  ASSERT_TRUE(processor.ok()) << processor.error().to_string();
  const auto made =
      processor->prepare(fixtures::picture_of(*file, "picture." + row["picture"].get<std::string>()));
  ASSERT_TRUE(made.ok()) << made.error().to_string();
  const TensorView* expected = file->find(GetParam());
  ASSERT_NE(expected, nullptr);
  const HostTensor ours = stacked(**made);
  ASSERT_EQ(ours.shape(), expected->shape);
  const auto* theirs = reinterpret_cast<const float*>(expected->data);
  for (int64_t i = 0; i < expected->elements(); ++i)
    ASSERT_NEAR(ours.data()[i], theirs[i], bound * std::max(1.0, std::abs(double{theirs[i]}))) << i;
}

INSTANTIATE_TEST_SUITE_P(Transformers, ImageProcessors, testing::ValuesIn(names()),
                         [](const auto& info) { return info.param; });

Picture grey(int32_t width, int32_t height) {
  return {width, height,
          std::vector<uint8_t>(static_cast<size_t>(width) * static_cast<size_t>(height) * 3, 128),
          "grey.png"};
}

ImageProcessor clip(const json& more = json::object()) {
  json config = {{"image_processor_type", "CLIPImageProcessor"}};
  config.update(more);
  auto made = ImageProcessor::from_json(config);
  EXPECT_TRUE(made.ok()) << made.error().to_string();
  return *made;
}

TEST(Tiles, of_one_picture_are_refused_where_they_would_differ_in_size) {
  const auto refused = [](const json& config) {
    const auto made = ImageProcessor::from_json(config);
    EXPECT_FALSE(made.ok());
    return made.ok() ? "" : made.error().to_string();
  };
  const json square = {{"height", 24}, {"width", 24}};
  json next = {{"image_processor_type", "LlavaNextImageProcessor"}, {"size", 24}, {"crop_size", square}};
  next["image_grid_pinpoints"] = {{24, 40}};
  EXPECT_THAT(refused(next),
              HasSubstr("'image_grid_pinpoints': expected [height, width] in multiples of 24"));
  next["image_grid_pinpoints"] = json::array();
  EXPECT_THAT(refused(next), HasSubstr("a list of sizes"));
  next["image_grid_pinpoints"] = {{24, 48}};
  next["size"] = 20;
  EXPECT_THAT(refused(next), HasSubstr("'size': expected 24, the side of 'crop_size', found 20"));
  next["size"] = {{"height", 24}, {"width", 20}};
  EXPECT_THAT(refused(next), HasSubstr("tiles are square"));
  EXPECT_THAT(refused({{"image_processor_type", "Idefics3ImageProcessor"}, {"max_image_size", "large"}}),
              HasSubstr("'max_image_size': expected a whole number"));
}

TEST(ImageGeometry, says_where_processed_pixels_come_from) {
  // 200 x 100 becomes 24 x 12, and the middle 12 x 12 of it is taken.
  const auto made = clip({{"size", {{"shortest_edge", 12}}}, {"crop_size", 12}}).prepare(grey(200, 100));
  ASSERT_TRUE(made.ok());
  const ImageGeometry& g = (*made)->geometry;
  EXPECT_EQ(g, (ImageGeometry{200, 100, 12, 12, 0.12, 0.12, -6.0, 0.0}));
}

TEST(ImageGeometry, counts_in_what_is_padded_to_a_square) {
  auto processor = ImageProcessor::from_json({{"image_processor_type", "LlavaImageProcessor"},
                                              {"do_pad", true},
                                              {"size", {{"shortest_edge", 10}}},
                                              {"crop_size", 10}});
  ASSERT_TRUE(processor.ok());
  const auto made = processor->prepare(grey(20, 40));
  ASSERT_TRUE(made.ok());
  EXPECT_EQ((*made)->geometry, (ImageGeometry{20, 40, 10, 10, 0.25, 0.25, 2.5, 0.0}));
}

TEST(PreparedImages, have_the_digest_of_their_numbers) {
  const ImageProcessor processor = clip();
  Picture other = grey(30, 30);
  other.rgb[0] = 0;
  const auto a = processor.prepare(grey(30, 30)), b = processor.prepare(grey(30, 30)),
             c = processor.prepare(other);
  ASSERT_TRUE(a.ok() && b.ok() && c.ok());
  EXPECT_EQ((*a)->digest, (*b)->digest);
  EXPECT_NE((*a)->digest, (*c)->digest);
}

TEST(ImageProcessors, read_what_older_files_call_feature_extractors) {
  const auto made =
      ImageProcessor::from_json({{"feature_extractor_type", "ViTFeatureExtractor"}, {"size", 32}});
  ASSERT_TRUE(made.ok());
  ASSERT_TRUE(made->resize && made->resize->exact);
  EXPECT_EQ(*made->resize->exact, (ImageSize{32, 32}));
  EXPECT_THAT(made->description(), HasSubstr("resize 32 x 32 (bilinear)"));
}

TEST(ImageProcessors, that_are_not_named_are_those_of_the_model) {
  const auto made = ImageProcessor::from_json({{"size", 40}}, "clip");
  ASSERT_TRUE(made.ok()) << made.error().to_string();
  EXPECT_EQ(made->type, "CLIPImageProcessor");
  EXPECT_EQ(made->resize->shortest_edge, 40);
}

TEST(ImageProcessors, refuse_what_they_do_not_know_and_what_is_wrong) {
  const std::vector<std::pair<json, std::string>> bad{
      {json::array(), "an object"},
      {json::object(), "'image_processor_type': expected one of ViTImageProcessor"},
      {{{"image_processor_type", "DonutImageProcessor"}}, "found \"DonutImageProcessor\""},
      {{{"image_processor_type", "ViTImageProcessor"}, {"size", {{"width", 3}}}},
       "'size': expected height and width"},
      {{{"image_processor_type", "ViTImageProcessor"}, {"size", -1}}, "whole number from 1"},
      {{{"image_processor_type", "ViTImageProcessor"}, {"resample", 9}}, "'resample'"},
      {{{"image_processor_type", "ViTImageProcessor"}, {"image_std", {1, 0, 1}}}, "three positive numbers"},
      {{{"image_processor_type", "ViTImageProcessor"}, {"do_resize", "yes"}}, "true or false"}};
  for (const auto& [config, message] : bad) {
    const auto made = ImageProcessor::from_json(config);
    ASSERT_FALSE(made.ok()) << config;
    EXPECT_THAT(made.error().message, HasSubstr(message));
  }
}

TEST(ImageProcessors, refuse_empty_and_enormous_pictures_by_name) {
  const auto empty = clip().prepare(grey(0, 5));
  ASSERT_FALSE(empty.ok());
  EXPECT_THAT(empty.error().message, HasSubstr("grey.png: 0 x 5 pixels: the picture is empty"));
  // The shorter side, one pixel, would become 224, the longer 4,480,000.
  const auto thread = clip().prepare(grey(20000, 1));
  ASSERT_FALSE(thread.ok());
  EXPECT_THAT(thread.error().message, HasSubstr("would become 4480000 x 224 when resized"));
  Picture short_of_bytes = grey(4, 4);
  short_of_bytes.rgb.pop_back();
  EXPECT_FALSE(clip().prepare(short_of_bytes).ok());
}

TEST(ImageProcessors, are_found_beside_a_model_under_both_names) {
  const std::filesystem::path folder = std::filesystem::path(testing::TempDir()) / "image_processor_test";
  std::filesystem::remove_all(folder);
  std::filesystem::create_directories(folder);
  EXPECT_EQ(ImageProcessor::open(folder).error().code, ErrorCode::not_found);
  std::ofstream(folder / "processor_config.json")
      << R"({"image_processor": {"image_processor_type": "SiglipImageProcessorFast"}})";
  const auto made = ImageProcessor::open(folder);
  ASSERT_TRUE(made.ok()) << made.error().to_string();
  EXPECT_EQ(*made->resize->exact, (ImageSize{224, 224}));
  std::ofstream(folder / "preprocessor_config.json") << "{";
  EXPECT_THAT(ImageProcessor::open(folder).error().message, HasSubstr("expected JSON"));
  std::filesystem::remove_all(folder);
}

}  // namespace
}  // namespace saccade
