#include "analysis/export/figure.h"

#include <gtest/gtest.h>
#include <zlib.h>

#include <cmath>
#include <filesystem>
#include <fstream>
#include <map>
#include <nlohmann/json.hpp>
#include <opencv2/core.hpp>
#include <opencv2/imgcodecs.hpp>
#include <sstream>

#include "tests/analysis/font_cache.h"
#include "tests/analysis/synthetic_capture.h"

namespace saccade {
namespace {

namespace fs = std::filesystem;

class Figures : public testing::Test {
 protected:
  void SetUp() override {
    const std::string name = testing::UnitTest::GetInstance()->current_test_info()->name();
    folder_ = fs::temp_directory_path() / ("saccade_figures_" + name);
    fs::remove_all(folder_);
    fs::create_directories(folder_);
  }
  void TearDown() override { fs::remove_all(folder_); }

  [[nodiscard]] fs::path file(const std::string& name) const { return folder_ / name; }
  [[nodiscard]] static MapFigure whole(const std::shared_ptr<const Capture>& capture, HeadId head = {}) {
    auto map = AttentionMap::of(capture, head, kernel_sets().front());
    EXPECT_TRUE(map.ok());
    return {std::move(*map), 0, capture->n_token(), 0, capture->n_token(), nullptr};
  }
  static std::string bytes_of(const fs::path& path) {
    std::ifstream in(path, std::ios::binary);
    std::ostringstream text;
    text << in.rdbuf();
    return text.str();
  }

  fs::path folder_;
};

// Chunks of a PNG by type, texts of iTXt by keyword; every CRC is checked.
std::map<std::string, std::string> png_texts(const std::string& png) {
  std::map<std::string, std::string> texts;
  const auto number = [&](size_t at) {
    uint32_t value = 0;
    for (size_t i = 0; i < 4; ++i) value = value << 8 | static_cast<unsigned char>(png[at + i]);
    return value;
  };
  for (size_t at = 8; at + 12 <= png.size();) {
    const uint32_t length = number(at);
    const std::string type = png.substr(at + 4, 4), data = png.substr(at + 8, length);
    const std::string checked = type + data;
    EXPECT_EQ(number(at + 8 + length),
              crc32(0, reinterpret_cast<const Bytef*>(checked.data()), static_cast<uInt>(checked.size())))
        << type;
    texts[type] = data;
    if (type == "iTXt") texts[data.substr(0, data.find('\0'))] = data.substr(data.find('\0') + 5);
    at += 12 + length;
  }
  return texts;
}

// Every element closed by its own name, attributes quoted, no stray markup: what well-formed means for our
// files.
bool well_formed(const std::string& xml, std::string* trouble) {
  std::vector<std::string> open;
  size_t at = 0;
  while ((at = xml.find('<', at)) != std::string::npos) {
    const size_t end = xml.find('>', at);
    if (end == std::string::npos) return *trouble = "unclosed tag", false;
    const std::string tag = xml.substr(at + 1, end - at - 1);
    if (tag.find('<') != std::string::npos) return *trouble = "stray < in " + tag.substr(0, 60), false;
    if (std::count(tag.begin(), tag.end(), '"') % 2 != 0)
      return *trouble = "quotes in " + tag.substr(0, 60), false;
    const std::string name =
        tag.substr(tag[0] == '/' ? 1 : 0, tag.find_first_of(" \n/", 1) - (tag[0] == '/' ? 1 : 0));
    if (tag[0] == '/') {
      if (open.empty() || open.back() != tag.substr(1)) return *trouble = "closes " + tag, false;
      open.pop_back();
    } else if (tag[0] != '?' && tag.back() != '/') {
      open.push_back(name);
    }
    at = end + 1;
  }
  for (size_t amp = xml.find('&'); amp != std::string::npos; amp = xml.find('&', amp + 1)) {
    const size_t semicolon = xml.find(';', amp);
    if (semicolon == std::string::npos || semicolon - amp > 8) return *trouble = "bare ampersand", false;
  }
  if (!open.empty()) return *trouble = "left open: " + open.back(), false;
  return true;
}

std::string between(const std::string& text, const std::string& from, const std::string& to) {
  const size_t begin = text.find(from);
  if (begin == std::string::npos) return {};
  const size_t end = text.find(to, begin + from.size());
  return text.substr(begin + from.size(), end - begin - from.size());
}

std::string unescaped(std::string text) {
  for (const auto& [entity, plain] :
       std::map<std::string, std::string>{{"&quot;", "\""}, {"&lt;", "<"}, {"&gt;", ">"}})
    for (size_t at = text.find(entity); at != std::string::npos; at = text.find(entity))
      text.replace(at, entity.size(), plain);
  for (size_t at = text.find("&amp;"); at != std::string::npos; at = text.find("&amp;", at + 1))
    text.replace(at, 5, "&");
  return text;
}

cv::Vec3b bgr(Rgb colour) { return {colour.b, colour.g, colour.r}; }

// The top left corner of the first pixel run that has this colour in a square of `side`.
cv::Point find_block(const cv::Mat& picture, cv::Vec3b colour, int side) {
  for (int y = 0; y + side <= picture.rows; ++y)
    for (int x = 0; x + side <= picture.cols; ++x) {
      bool all = true;
      for (int i = 0; all && i < side; ++i)
        all = picture.at<cv::Vec3b>(y + i, x) == colour && picture.at<cv::Vec3b>(y, x + i) == colour &&
              picture.at<cv::Vec3b>(y + i, x + i) == colour;
      if (all) return {x, y};
    }
  return {-1, -1};
}

const synthetic::Pattern known{{1.0}, {0.25, 0.75}, {0.125, 0.5, 0.375}, {0.1, 0.2, 0.3, 0.4}};

TEST_F(Figures, the_format_follows_the_name_and_another_one_is_refused) {
  EXPECT_EQ(figure_format_of("a/b.PNG").value(), FigureFormat::png);
  EXPECT_EQ(figure_format_of("b.svg").value(), FigureFormat::svg);
  EXPECT_EQ(figure_format_of("b.pdf").value(), FigureFormat::pdf);
  const auto other = figure_format_of("b.jpeg");
  ASSERT_FALSE(other.ok());
  EXPECT_NE(other.error().message.find(".png, .svg or .pdf"), std::string::npos);
}

TEST_F(Figures, a_png_is_as_wide_as_asked_and_its_cells_have_the_colours_of_the_scale) {
  const auto capture = synthetic::capture_of({"a", "b", "c", "d"}, {known});
  FigureOptions options;
  options.width_mm = 120.0;
  options.dpi = 150.0;
  ASSERT_TRUE(write_map_figure(whole(capture), options, file("map.png")).ok());
  const cv::Mat picture = cv::imread(file("map.png").string(), cv::IMREAD_COLOR);
  ASSERT_FALSE(picture.empty());
  EXPECT_EQ(picture.cols, static_cast<int>(std::lround(120.0 * 150.0 / 25.4)));
  // Cell (0, 0) holds 1, the top colour; it is the first large block of it. 26 points are 54 pixels here.
  const int cell = 54;
  const cv::Point corner = find_block(picture, bgr(options.scale.colour(1.0)), cell);
  ASSERT_GE(corner.x, 0);
  for (int i = 0; i < 4; ++i)
    for (int j = 0; j < 4; ++j) {
      const Rgb expected =
          j > i ? masked_colour : options.scale.colour(known[static_cast<size_t>(i)][static_cast<size_t>(j)]);
      for (int dy : {1, cell / 2, cell - 2})
        for (int dx : {1, cell / 2, cell - 2}) {
          const auto found = picture.at<cv::Vec3b>(corner.y + i * cell + dy, corner.x + j * cell + dx);
          for (int channel = 0; channel < 3; ++channel)
            EXPECT_NEAR(found[channel], bgr(expected)[channel], 2) << "cell " << i << ", " << j;
        }
    }
}

TEST_F(Figures, a_png_carries_caption_and_provenance_and_its_resolution) {
  const auto capture = synthetic::random_capture(synthetic::words(5), 1, 2, 1);
  const MapFigure figure = whole(capture, {LayerIndex{0}, HeadIndex{1}});
  ASSERT_TRUE(write_map_figure(figure, {}, file("map.png")).ok());
  auto texts = png_texts(bytes_of(file("map.png")));
  EXPECT_EQ(texts["Description"], map_caption(figure, {}));
  const auto provenance = nlohmann::json::parse(texts["Provenance"], nullptr, false);
  ASSERT_TRUE(provenance.is_object());
  EXPECT_EQ(provenance["run"]["request"], capture->provenance.request);
  EXPECT_EQ(provenance["run"]["prompt"], capture->provenance.prompt);
  EXPECT_EQ(provenance["head"], "0.1");
  ASSERT_EQ(texts["pHYs"].size(), 9U);
  EXPECT_EQ(static_cast<unsigned char>(texts["pHYs"][2]) * 256 + static_cast<unsigned char>(texts["pHYs"][3]),
            7874);
}

TEST_F(Figures, an_svg_is_well_formed_and_holds_caption_and_provenance_even_with_hostile_texts) {
  auto capture = synthetic::random_capture({"<s>", "&<>\"'", "]]>", "\xff\xfe", " \x01"}, 1, 1, 1);
  capture->provenance.model_name = "a <model> & \"more\"";
  const MapFigure figure = whole(capture);
  ASSERT_TRUE(write_map_figure(figure, {}, file("map.svg")).ok());
  const std::string svg = bytes_of(file("map.svg"));
  std::string trouble;
  EXPECT_TRUE(well_formed(svg, &trouble)) << trouble;
  EXPECT_EQ(unescaped(between(svg, "<desc>", "</desc>")), map_caption(figure, {}));
  const auto provenance =
      nlohmann::json::parse(unescaped(between(svg, "<metadata>", "</metadata>")), nullptr, false);
  ASSERT_TRUE(provenance.is_object());
  EXPECT_EQ(provenance["run"]["request"], capture->provenance.request);
  EXPECT_NE(svg.find("image-rendering:pixelated"), std::string::npos);
  EXPECT_EQ(svg.find("<pattern"), std::string::npos) << "viewers blur patterns";
  EXPECT_NE(svg.find("data:image/png;base64"), std::string::npos) << "the map is one embedded picture";
}

TEST_F(Figures, a_pdf_starts_as_one_and_names_its_title_and_request) {
  const auto capture = synthetic::random_capture(synthetic::words(5), 1, 1, 1);
  ASSERT_TRUE(write_map_figure(whole(capture), {}, file("map.pdf")).ok());
  const std::string pdf = bytes_of(file("map.pdf"));
  EXPECT_EQ(pdf.substr(0, 5), "%PDF-");
  EXPECT_NE(pdf.find("%%EOF"), std::string::npos);
  EXPECT_NE(pdf.find("/Title"), std::string::npos);
  // PDF keeps such texts as UTF-16 in hexadecimal.
  std::string request;
  for (char c : capture->provenance.request) {
    char hex[8];
    std::snprintf(hex, sizeof hex, "00%02X", static_cast<unsigned>(c));
    request += hex;
  }
  const std::string keywords = between(pdf, "/Keywords", ">");
  EXPECT_NE(keywords.find(request), std::string::npos);
}

TEST_F(Figures, the_same_run_gives_the_same_bytes) {
  const auto capture = synthetic::random_capture(synthetic::words(6), 1, 1, 2);
  for (const char* name : {"a.png", "b.png", "a.svg", "b.svg", "a.pdf", "b.pdf"})
    ASSERT_TRUE(write_map_figure(whole(capture), {}, file(name)).ok());
  // Not EXPECT_EQ: it would print both files.
  EXPECT_TRUE(bytes_of(file("a.png")) == bytes_of(file("b.png")));
  EXPECT_TRUE(bytes_of(file("a.svg")) == bytes_of(file("b.svg")));
  EXPECT_TRUE(bytes_of(file("a.pdf")) == bytes_of(file("b.pdf")));
}

TEST_F(Figures, the_caption_tells_model_head_tokens_edits_mode_and_range) {
  auto capture = synthetic::random_capture(synthetic::words(24), 2, 4, 1);
  capture->provenance.edits = {"zero 0.2", "scale 1.1 by=0.5"};
  MapFigure figure = whole(capture, {LayerIndex{1}, HeadIndex{3}});
  FigureOptions options;
  options.scale.mode = SinkMode::logarithmic;
  options.caption = "My own words.";
  std::string caption = map_caption(figure, options);
  for (const char* part : {"head 1.3 of synthetic on 24 tokens", "zero 0.2, scale 1.1 by=0.5",
                           "viridis, log, 1e-04 to 1", "My own words.", "0123456789abcdef0123456789abcdef"})
    EXPECT_NE(caption.find(part), std::string::npos) << part << " in " << caption;
  figure.rows_begin = 4;
  options.scale.mode = SinkMode::hide_sinks;
  caption = map_caption(figure, options);
  EXPECT_NE(caption.find("queries 4 to 23, keys 0 to 23"), std::string::npos) << caption;
  EXPECT_NE(caption.find("hide sinks, keep scale"), std::string::npos) << caption;
  EXPECT_NE(caption.find("Hidden: the first key"), std::string::npos) << caption;
}

TEST_F(Figures, a_difference_is_red_blue_symmetric_and_white_where_nothing_changed) {
  synthetic::Pattern moved = known;
  moved[1] = {0.75, 0.25};
  const auto a = synthetic::capture_of({"a", "b", "c", "d"}, {known});
  const auto b = synthetic::capture_of({"a", "b", "c", "d"}, {moved});
  MapFigure figure = whole(b);
  const MapFigure base = whole(a);
  figure.difference_from = &base.map;
  FigureOptions options;
  options.scale.high = 0.5;
  ASSERT_TRUE(write_map_figure(figure, options, file("map.png")).ok());
  EXPECT_NE(map_caption(figure, options).find("red-blue, as is, -0.5 to 0.5"), std::string::npos);
  const cv::Mat picture = cv::imread(file("map.png").string(), cv::IMREAD_COLOR);
  const int cell = 60;
  const ColourScale scale{.palette = Palette::red_blue, .low = -0.5, .high = 0.5};
  const cv::Point red = find_block(picture, bgr(scale.colour(0.5)), cell);
  const cv::Point blue = find_block(picture, bgr(scale.colour(-0.5)), cell);
  ASSERT_GE(red.x, 0);
  ASSERT_GE(blue.x, 0);
  EXPECT_EQ(red.y, blue.y) << "both in row 1";
  EXPECT_GT(blue.x, red.x) << "key 0 gained, key 1 lost";
  EXPECT_EQ(picture.at<cv::Vec3b>(red.y - 30, red.x + 30), (cv::Vec3b{255, 255, 255}))
      << "cell (0, 0) did not change";
}

TEST_F(Figures, a_map_larger_than_the_page_is_drawn_in_blocks_and_says_so) {
  const auto capture = synthetic::random_capture(synthetic::words(600), 1, 1, 3, 2.0F);
  FigureOptions options;
  options.width_mm = 80.0;
  options.dpi = 72.0;
  ASSERT_TRUE(write_map_figure(whole(capture), options, file("map.png")).ok());
  auto texts = png_texts(bytes_of(file("map.png")));
  EXPECT_NE(texts["Description"].find("largest weight in a block of"), std::string::npos);
  EXPECT_GE(nlohmann::json::parse(texts["Provenance"])["block"], 8);
}

TEST_F(Figures, thumbnails_smaller_than_their_maps_are_drawn_in_blocks_and_say_so) {
  const auto capture = synthetic::random_capture(synthetic::words(300), 1, 4, 3, 2.0F);
  FigureOptions options;
  options.width_mm = 80.0;
  options.dpi = 72.0;
  ASSERT_TRUE(write_grid_figure(capture, kernel_sets().front(), nullptr, options, file("grid.png")).ok());
  auto texts = png_texts(bytes_of(file("grid.png")));
  EXPECT_NE(texts["Description"].find("largest weight in a block of"), std::string::npos)
      << texts["Description"];
}

TEST_F(Figures, the_grid_draws_maps_and_scores_in_every_format) {
  const auto capture = synthetic::random_capture(synthetic::words(12), 3, 4, 1);
  Field score{"s",
              "A score",
              "nats",
              ValueKind::magnitude,
              {{AxisKind::layer, "layer", {}}, {AxisKind::head, "head", {}}},
              HostTensor({3, 4}),
              ""};
  score.values.mutable_values()[5] = NAN;
  for (const char* name : {"grid.png", "grid.svg", "grid.pdf"}) {
    FigureOptions options;
    options.dark = true;
    for (const Field* field : {static_cast<const Field*>(nullptr), static_cast<const Field*>(&score)}) {
      const auto written = write_grid_figure(capture, kernel_sets().front(), field, options, file(name));
      ASSERT_TRUE(written.ok()) << written.error().to_string();
      EXPECT_GT(fs::file_size(file(name)), 1000U);
    }
  }
  std::string trouble;
  EXPECT_TRUE(well_formed(bytes_of(file("grid.svg")), &trouble)) << trouble;
}

TEST_F(Figures, a_score_cell_has_the_colour_of_its_value) {
  const auto capture = synthetic::random_capture(synthetic::words(4), 2, 2, 1);
  Field score{"s",
              "A score",
              "",
              ValueKind::probability,
              {{AxisKind::layer, "layer", {}}, {AxisKind::head, "head", {}}},
              HostTensor({2, 2}),
              ""};
  score.values.mutable_values()[3] = 1.0F;
  FigureOptions options;
  ASSERT_TRUE(write_grid_figure(capture, kernel_sets().front(), &score, options, file("grid.png")).ok());
  const cv::Mat picture = cv::imread(file("grid.png").string(), cv::IMREAD_COLOR);
  int low = 0, high = 0;
  for (const auto& pixel : cv::Mat_<cv::Vec3b>(picture)) {
    low += pixel == bgr(options.scale.colour(0.0)) ? 1 : 0;
    high += pixel == bgr(options.scale.colour(1.0)) ? 1 : 0;
  }
  EXPECT_GT(high, 2000);
  EXPECT_NEAR(static_cast<double>(low) / high, 3.0, 0.3) << "three heads at 0, one at 1";
}

TEST_F(Figures, a_score_of_the_wrong_shape_is_refused) {
  const auto capture = synthetic::random_capture(synthetic::words(4), 2, 2, 1);
  const Field score{"s",
                    "A score",
                    "",
                    ValueKind::probability,
                    {{AxisKind::layer, "layer", {}}, {AxisKind::head, "head", {}}},
                    HostTensor({2, 3}),
                    ""};
  const auto written = write_grid_figure(capture, kernel_sets().front(), &score, {}, file("grid.png"));
  ASSERT_FALSE(written.ok());
  EXPECT_NE(written.error().message.find("2 x 2"), std::string::npos);
}

TEST_F(Figures, the_comparison_is_drawn_in_every_format_with_and_without_common_tokens) {
  auto a = synthetic::random_capture(synthetic::words(9), 2, 3, 1),
       b = synthetic::random_capture(synthetic::words(9), 2, 3, 2);
  for (const auto& run : {a, b}) {
    run->last_logits = HostTensor({20});
    run->loss = {1, 2, 3, 1, 2, 3, 1, run == a ? 2.0F : NAN};
  }
  b->last_logits.mutable_values()[3] = 4.0F;
  for (const char* name : {"c.png", "c.svg", "c.pdf"}) {
    const auto comparison = compare(*a, *b, nullptr);
    ASSERT_TRUE(comparison.ok());
    const auto written = write_comparison_figure(*comparison, *a, *b, {}, file(name));
    ASSERT_TRUE(written.ok()) << written.error().to_string();
  }
  const std::string svg = bytes_of(file("c.svg"));
  std::string trouble;
  EXPECT_TRUE(well_formed(svg, &trouble)) << trouble;
  const auto provenance =
      nlohmann::json::parse(unescaped(between(svg, "<metadata>", "</metadata>")), nullptr, false);
  ASSERT_TRUE(provenance.is_object());
  EXPECT_GT(provenance["kl"].get<double>(), 0.0);
  EXPECT_TRUE(provenance.contains("run_b"));
  b->tokens[2].id = 999;
  const auto apart = compare(*a, *b, nullptr);
  ASSERT_TRUE(apart.ok());
  EXPECT_TRUE(write_comparison_figure(*apart, *a, *b, {}, file("apart.png")).ok());
}

TEST_F(Figures, csv_has_positions_tokens_and_numbers_that_read_back_exactly) {
  const auto capture = synthetic::capture_of({"a", " b,\"x\"", "c", "d"}, {known});
  MapFigure figure = whole(capture);
  figure.rows_begin = 1;
  figure.rows_end = 3;
  figure.columns_end = 2;
  ASSERT_TRUE(write_map_csv(figure, file("map.csv")).ok());
  std::istringstream lines(bytes_of(file("map.csv")));
  std::string line;
  std::getline(lines, line);
  EXPECT_EQ(line, "position,token,0,1");
  std::getline(lines, line);
  EXPECT_EQ(line, ",,a,\" b,\"\"x\"\"\"");
  std::getline(lines, line);
  const std::string start = "1,\" b,\"\"x\"\"\",";
  ASSERT_EQ(line.substr(0, start.size()), start);
  EXPECT_EQ(std::stof(line.substr(start.size())), figure.map.weight(1, 0).value());
  std::getline(lines, line);
  EXPECT_EQ(line.substr(0, 4), "2,c,");
  EXPECT_FALSE(std::getline(lines, line));
}

TEST_F(Figures, npy_has_the_documented_header_and_the_exact_numbers) {
  const auto capture = synthetic::random_capture(synthetic::words(7), 1, 1, 6);
  MapFigure figure = whole(capture);
  figure.rows_begin = 2;
  ASSERT_TRUE(write_map_npy(figure, file("map.npy")).ok());
  const std::string npy = bytes_of(file("map.npy"));
  ASSERT_EQ(npy.substr(0, 8), std::string("\x93NUMPY\x01\x00", 8));
  const size_t header = static_cast<unsigned char>(npy[8]) + 256U * static_cast<unsigned char>(npy[9]);
  EXPECT_EQ((10 + header) % 64, 0U);
  EXPECT_EQ(npy[10 + header - 1], '\n');
  EXPECT_NE(npy.substr(10, header).find("'descr': '<f4', 'fortran_order': False, 'shape': (5, 7)"),
            std::string::npos);
  ASSERT_EQ(npy.size(), 10 + header + 5 * 7 * 4);
  for (int64_t i = 0; i < 5; ++i)
    for (int64_t j = 0; j < 7; ++j) {
      float value = 0.0F;
      std::memcpy(&value, npy.data() + 10 + header + static_cast<size_t>(i * 7 + j) * 4, 4);
      EXPECT_NEAR(value, figure.map.weight(i + 2, j).value(), 1e-6);
    }
}

TEST_F(Figures, a_region_outside_the_map_is_refused_with_its_size) {
  const auto capture = synthetic::random_capture(synthetic::words(5), 1, 1, 1);
  MapFigure figure = whole(capture);
  figure.columns_end = 6;
  for (const auto& written : {write_map_figure(figure, {}, file("m.png")),
                              write_map_csv(figure, file("m.csv")), write_map_npy(figure, file("m.npy"))}) {
    ASSERT_FALSE(written.ok());
    EXPECT_NE(written.error().message.find("has 5 rows and columns"), std::string::npos);
  }
  EXPECT_TRUE(fs::is_empty(folder_));
}

TEST_F(Figures, the_narrowest_page_still_holds_every_figure) {
  auto a = synthetic::random_capture(std::vector<std::string>(40, " a-rather-long-token"), 2, 12, 1);
  a->provenance.edits.assign(30, "zero 1.1");
  a->last_logits = HostTensor({20});
  a->loss.assign(39, 1.0F);
  FigureOptions options;
  options.width_mm = 80.0;
  const auto comparison = compare(*a, *a, nullptr);
  ASSERT_TRUE(comparison.ok());
  EXPECT_TRUE(write_map_figure(whole(a), options, file("m.png")).ok());
  EXPECT_TRUE(write_grid_figure(a, kernel_sets().front(), nullptr, options, file("g.png")).ok());
  EXPECT_FALSE(write_comparison_figure(*comparison, *a, *a, options, file("c.png")).ok());
  options.width_mm = 130.0;
  EXPECT_TRUE(write_comparison_figure(*comparison, *a, *a, options, file("c.png")).ok());
  EXPECT_NE(map_caption(whole(a), options).find("and 22 more"), std::string::npos);
}

TEST_F(Figures, absurd_page_sizes_are_refused) {
  const auto capture = synthetic::random_capture(synthetic::words(5), 1, 1, 1);
  for (const auto& [width, dpi] :
       {std::pair{0.0, 200.0}, {NAN, 200.0}, {1e9, 200.0}, {160.0, 0.0}, {2000.0, 2000.0}}) {
    FigureOptions options;
    options.width_mm = width;
    options.dpi = dpi;
    EXPECT_FALSE(write_map_figure(whole(capture), options, file("m.png")).ok()) << width << " " << dpi;
  }
  EXPECT_TRUE(fs::is_empty(folder_));
}

TEST_F(Figures, a_folder_that_is_not_there_gives_an_error_and_leaves_nothing) {
  const auto capture = synthetic::random_capture(synthetic::words(5), 1, 1, 1);
  const auto written = write_map_figure(whole(capture), {}, folder_ / "missing" / "map.png");
  ASSERT_FALSE(written.ok());
  EXPECT_NE(written.error().to_string().find("missing"), std::string::npos);
  EXPECT_FALSE(write_map_npy(whole(capture), folder_ / "missing" / "map.npy").ok());
  EXPECT_TRUE(fs::is_empty(folder_));
}

TEST_F(Figures, a_cancelled_figure_leaves_the_old_file_as_it_was) {
  const auto capture = synthetic::random_capture(synthetic::words(5), 2, 2, 1);
  ASSERT_TRUE(write_map_figure(whole(capture), {}, file("m.png")).ok());
  const std::string before = bytes_of(file("m.png"));
  JobContext job;
  job.cancel.cancel();
  FigureOptions dark;
  dark.dark = true;
  const auto map = write_map_figure(whole(capture), dark, file("m.png"), job);
  const auto grid = write_grid_figure(capture, kernel_sets().front(), nullptr, {}, file("m.png"), job);
  ASSERT_FALSE(map.ok());
  EXPECT_EQ(map.error().code, ErrorCode::cancelled);
  EXPECT_EQ(grid.error().code, ErrorCode::cancelled);
  EXPECT_TRUE(bytes_of(file("m.png")) == before);
}

}  // namespace
}  // namespace saccade
