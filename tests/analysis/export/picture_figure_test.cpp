#include "analysis/export/picture_figure.h"

#include <gmock/gmock.h>

#include <filesystem>
#include <opencv2/imgcodecs.hpp>

#include "core/base/files.h"

namespace saccade {
namespace {

using testing::HasSubstr;

PictureFigure figure_of() {
  PictureFigure figure;
  figure.picture =
      std::make_shared<const Picture>(Picture{60, 40, std::vector<uint8_t>(60 * 40 * 3, 255), "white.png"});
  ImageRegion region;
  region.grid_height = 2;
  region.grid_width = 3;
  region.patch_height = region.patch_width = 20;
  region.geometry = {60, 40, 60, 40, 1.0, 1.0, 0.0, 0.0};
  region.name = "white.png";
  figure.map = {region, {0.0f, 0.1f, 0.05f, 0.2f, 0.02f, 0.03f}};
  figure.title = "Head 1.3, from CLS";
  figure.quantity = "attention weight";
  figure.attention = true;
  figure.alpha = 1.0;
  figure.run.model_name = "a model";
  figure.run.request = "0123456789abcdef0123456789abcdef";
  return figure;
}

FigureOptions options_of(const PictureFigure& figure) {
  FigureOptions options;
  options.scale.high = figure.map.largest();
  return options;
}

std::filesystem::path place(const char* name) {
  const auto folder = std::filesystem::temp_directory_path() / "saccade-picture-figure";
  std::filesystem::create_directories(folder);
  return folder / name;
}

TEST(PictureFigure, the_caption_says_what_how_much_and_how) {
  const PictureFigure figure = figure_of();
  const std::string caption = picture_caption(figure, options_of(figure));
  for (const char* part : {"Head 1.3, from CLS, over white.png in a model, no edits", "2 \u00d7 3 patches",
                           "each in its own colour", "40.0 % of the row's attention", "viridis", "opacity 1"})
    EXPECT_THAT(caption, HasSubstr(part));
}

TEST(PictureFigure, its_png_shows_every_patchs_colour_in_the_patchs_place) {
  const PictureFigure figure = figure_of();
  const FigureOptions options = options_of(figure);
  ASSERT_TRUE(write_picture_figure(figure, options, place("a.png")).ok());
  const cv::Mat page = cv::imread(place("a.png").string());
  ASSERT_FALSE(page.empty());
  // Every colour of the map covers the same share of the page: a sixth of the picture.
  std::vector<int64_t> counts;
  for (const float value : figure.map.values) {
    const Rgb colour = options.scale.colour(value);
    int64_t count = 0;
    for (int y = 0; y < page.rows; ++y)
      for (int x = 0; x < page.cols; ++x) {
        const auto& bgr = page.at<cv::Vec3b>(y, x);
        count += bgr[2] == colour.r && bgr[1] == colour.g && bgr[0] == colour.b;
      }
    counts.push_back(count);
  }
  for (const int64_t count : counts) EXPECT_NEAR(static_cast<double>(count) / counts[0], 1.0, 0.03);
  EXPECT_GT(counts[0], page.total() / 14);
}

TEST(PictureFigure, vectors_carry_caption_and_provenance) {
  PictureFigure figure = figure_of();
  Scanpath path;
  path.size = {60, 40};
  path.fixations = {{10, 10, 200, {}, {}}, {50, 30, 300, {}, {}}};
  figure.paths = {{path, "the model"}};
  figure.query_patch = 4;
  ASSERT_TRUE(write_picture_figure(figure, options_of(figure), place("a.svg")).ok());
  const auto svg = read_text_file(place("a.svg"));
  ASSERT_TRUE(svg.ok());
  EXPECT_THAT(*svg, HasSubstr("Scanpath 1: the model, 2 fixations"));
  EXPECT_THAT(*svg, HasSubstr("The outlined patch is the query."));
  EXPECT_THAT(*svg, HasSubstr("0123456789abcdef"));
  ASSERT_TRUE(write_picture_figure(figure, options_of(figure), place("a.pdf")).ok());
  EXPECT_GT(std::filesystem::file_size(place("a.pdf")), 2000u);
}

TEST(PictureFigure, without_a_picture_or_its_size_there_is_none) {
  PictureFigure figure = figure_of();
  figure.picture = nullptr;
  EXPECT_TRUE(write_picture_figure(figure, options_of(figure), place("grey.png")).ok()) << "a dump's";
  EXPECT_THAT(picture_caption(figure, {}), HasSubstr("The picture itself was not kept."));
  figure.map = {};
  const auto written = write_picture_figure(figure, {}, place("none.png"));
  ASSERT_FALSE(written.ok());
  EXPECT_THAT(written.error().message, HasSubstr("size is not known"));
}

}  // namespace
}  // namespace saccade
