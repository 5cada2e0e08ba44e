// The generator of coloured shapes: what it draws, and that what ships is what it draws.
#include "resources/models/shapes.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <numbers>
#include <set>
#include <sstream>

#include "analysis/images/read_picture.h"
#include "resources/models/evaluation_scenes.h"

namespace saccade {
namespace {

namespace fs = std::filesystem;

fs::path pictures(const std::string& folder) {
  return fs::path(SACCADE_SOURCE_DIR) / "resources" / "pictures" / folder;
}

std::string text_of(const fs::path& path) {
  std::ifstream file(path, std::ios::binary);
  std::ostringstream text;
  text << file.rdbuf();
  return text.str();
}

// FNV-1a (Fowler, Noll and Vo) of all pixels.
uint64_t digest(const std::vector<uint8_t>& bytes, uint64_t hash = 0xCBF29CE484222325ULL) {
  for (const uint8_t byte : bytes) hash = (hash ^ byte) * 0x100000001B3ULL;
  return hash;
}

int32_t covered(const ShapePicture& picture, int32_t object) {
  return static_cast<int32_t>(std::count(picture.owner.begin(), picture.owner.end(), object));
}

ShapeScene one_shape(int32_t form, double half_width, double half_height, double turn) {
  ShapeObject object;
  object.form = form;
  object.half_width = half_width;
  object.half_height = half_height;
  object.turn = turn;
  ShapeScene scene;
  scene.objects = {object};
  return scene;
}

TEST(DrawShapes, areas_are_those_of_the_forms_whatever_their_turn) {
  const double star = 5 * 1.08 * 0.46 * std::sin(std::numbers::pi / 5);  // ten triangles
  const std::array<double, n_shape_form> area{std::numbers::pi, 1.76 * 1.76, 1.85, star,
                                              4 * 0.34 + 2 * 2 * 0.34 * (1 - 0.34)};
  for (int32_t form = 0; form < n_shape_form; ++form)
    for (const double turn : {0.0, 0.2}) {
      const ShapePicture picture = draw_shapes(one_shape(form, 0.3, 0.2, turn), 400, 300);
      const double expected = area[static_cast<size_t>(form)] * 120 * 60;  // half-widths in pixels
      EXPECT_NEAR(covered(picture, 0), expected, 0.02 * expected) << form_name(form) << " turned " << turn;
    }
}

TEST(DrawShapes, edges_are_between_the_two_colours) {
  ShapeScene scene = one_shape(0, 0.3, 0.3, 0.0);
  const ShapePicture picture = draw_shapes(scene, 64, 64);
  const std::set<uint8_t> shades(picture.rgb.begin(), picture.rgb.end());
  EXPECT_TRUE(shades.contains(0));
  EXPECT_TRUE(shades.contains(255));
  EXPECT_GT(shades.size(), 8u) << "no pixel is covered in part";
}

TEST(DrawShapes, a_box_holds_all_of_its_object_and_nothing_more) {
  const ShapePicture picture = draw_shapes(one_shape(1, 0.25, 0.125, 0.0), 80, 80);
  const ShapeBox box = box_of(picture, 0);  // 0.88 x 20 and 0.88 x 10 pixels around the centre
  EXPECT_EQ(box.left, 22);
  EXPECT_EQ(box.right, 58);
  EXPECT_EQ(box.top, 31);
  EXPECT_EQ(box.bottom, 49);
}

TEST(PlaceShapes, no_object_covers_another_or_leaves_the_picture) {
  Random random(5);
  for (int32_t i = 0; i < 40; ++i) {
    const std::vector<ShapeWish> wishes(6, {i % n_shape_colour, i % n_shape_form});
    const ShapeScene scene = place_shapes(wishes, {}, random);
    ASSERT_EQ(scene.objects.size(), wishes.size());
    const ShapePicture together = draw_shapes(scene, 160, 160);
    for (size_t object = 0; object < wishes.size(); ++object) {
      ShapeScene alone = scene;
      alone.objects = {scene.objects[object]};
      const ShapeBox box = box_of(draw_shapes(alone, 160, 160), 0);
      EXPECT_EQ(covered(together, static_cast<int32_t>(object)), covered(draw_shapes(alone, 160, 160), 0));
      EXPECT_GT(box.left, 0);
      EXPECT_GT(box.top, 0);
      EXPECT_LT(box.right, 160);
      EXPECT_LT(box.bottom, 160);
    }
  }
}

TEST(EvaluationScenes, the_same_seed_draws_the_same_pixels) {
  const auto scenes = evaluation_scenes(20, 7), more = evaluation_scenes(30, 7);
  uint64_t all = 0xCBF29CE484222325ULL;
  for (size_t i = 0; i < scenes.size(); ++i) {
    const auto pixels = draw_shapes(scenes[i].scene.scene, 64, 64).rgb;
    all = digest(pixels, all);
    EXPECT_TRUE(pixels == draw_shapes(more[i].scene.scene, 64, 64).rgb) << "depends on how many follow";
  }
  EXPECT_EQ(all, 0x61A8656D161D9401ULL) << std::hex << all;
  EXPECT_NE(digest(draw_shapes(evaluation_scenes(1, 8)[0].scene.scene, 64, 64).rgb),
            digest(draw_shapes(scenes[0].scene.scene, 64, 64).rgb));
}

struct Shipped {
  const char* folder;
  bool counted;
};
class ShippedPictures : public testing::TestWithParam<Shipped> {
 protected:
  static std::vector<DescribedScene> scenes(int32_t count) {
    std::vector<DescribedScene> out;
    if (GetParam().counted)
      for (const auto& scene : counted_scenes(count, 1)) out.push_back(describe(scene));
    else
      for (const auto& scene : evaluation_scenes(count, 1)) out.push_back(describe(scene));
    return out;
  }
};

TEST_P(ShippedPictures, are_those_that_the_program_draws) {
  const nlohmann::json page = nlohmann::json::parse(text_of(pictures(GetParam().folder) / "objects.json"));
  const auto scenes = ShippedPictures::scenes(static_cast<int32_t>(page["pictures"].size()));
  std::vector<std::string> files;
  for (size_t i = 0; i < scenes.size(); ++i) {
    files.push_back(page["pictures"][i]["file"]);
    const auto read = read_picture(pictures(GetParam().folder) / files.back());
    ASSERT_TRUE(read.ok()) << read.error().to_string();
    EXPECT_EQ(read->width, 64);
    EXPECT_TRUE(read->rgb == draw_shapes(scenes[i].scene, 64, 64).rgb) << files.back();
  }
  EXPECT_EQ(objects_page(scenes, files, 64, 64), text_of(pictures(GetParam().folder) / "objects.json"));
}

// What a reader of objects.json relies on, from the file alone.
TEST_P(ShippedPictures, show_what_their_page_says) {
  const nlohmann::json page = nlohmann::json::parse(text_of(pictures(GetParam().folder) / "objects.json"));
  for (const auto& [name, words] : page["objects"].items()) EXPECT_EQ(words[0], name);
  for (const auto& entry : page["pictures"]) {
    const auto read = read_picture(pictures(GetParam().folder) / entry["file"].get<std::string>());
    ASSERT_TRUE(read.ok()) << read.error().to_string();
    const auto objects = entry["objects"].get<std::set<std::string>>();
    std::set<std::string> boxed;
    for (const auto& one : entry["boxes"]) {
      const std::string name = one["object"];
      boxed.insert(name);
      EXPECT_TRUE(page["objects"].contains(name)) << name;
      const auto box = one["box"].get<std::array<double, 4>>();
      ASSERT_LT(box[0], box[2]);
      ASSERT_LT(box[1], box[3]);
      const auto x = static_cast<int32_t>((box[0] + box[2]) / 2),
                 y = static_cast<int32_t>((box[1] + box[3]) / 2);
      const uint8_t* rgb = &read->rgb[3 * static_cast<size_t>(y * read->width + x)];
      const std::string colour = name.substr(0, name.find(' '));
      EXPECT_TRUE(colour != "red" || rgb[0] > rgb[1] + 60) << name;
      EXPECT_TRUE(colour != "green" || rgb[1] > rgb[0] + 60) << name;
      EXPECT_TRUE(colour != "blue" || rgb[2] > rgb[0] + 60) << name;
      EXPECT_TRUE(colour != "black" || rgb[0] < 60) << name;
    }
    EXPECT_EQ(boxed, objects) << entry["file"];
    int32_t yes = 0;
    for (const auto& question : entry["questions"]) {
      const std::string text = question["text"];  // "Is there a red circle?"
      const std::string object = text.substr(11, text.size() - 12);
      EXPECT_EQ(question["answer"] == "yes", objects.contains(object)) << entry["file"] << ": " << text;
      yes += question["answer"] == "yes" ? 1 : 0;
    }
    EXPECT_EQ(2 * yes, static_cast<int32_t>(entry["questions"].size()));
    const std::string caption = entry["captions"][0];
    for (const auto& object : objects)
      EXPECT_TRUE(GetParam().counted || caption.find(object) != std::string::npos) << caption;
  }
}

INSTANTIATE_TEST_SUITE_P(, ShippedPictures,
                         testing::Values(Shipped{"shapes", false}, Shipped{"counted", true}),
                         [](const auto& test) { return std::string(test.param.folder); });

}  // namespace
}  // namespace saccade
