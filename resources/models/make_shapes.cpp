// saccade-make-shapes OUT_DIR [--count N] [--seed S] [--width W --height H]: draws scenes of coloured shapes
// as PNG files and writes OUT_DIR/objects.json, which says what is on them. Exit 0 done, 1 failed, 2 wrong
// usage.
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <filesystem>
#include <fstream>
#include <opencv2/imgcodecs.hpp>

#include "resources/models/evaluation_scenes.h"

namespace {

struct Settings {
  std::filesystem::path folder;
  int32_t count = 40, width = 64, height = 64;
  uint64_t seed = 1;
  bool counted = false;
};

std::string write_png(const saccade::ShapePicture& picture, const std::filesystem::path& path) {
  cv::Mat pixels(picture.height, picture.width, CV_8UC3);
  for (int32_t y = 0; y < picture.height; ++y)
    for (int32_t x = 0; x < picture.width; ++x) {
      const uint8_t* rgb = &picture.rgb[3 * (static_cast<size_t>(y) * picture.width + x)];
      pixels.at<cv::Vec3b>(y, x) = {rgb[2], rgb[1], rgb[0]};
    }
  try {
    if (cv::imwrite(path.string(), pixels, {cv::IMWRITE_PNG_COMPRESSION, 9})) return {};
  } catch (const cv::Exception& e) {
    return path.string() + ": " + e.what();
  }
  return path.string() + ": cannot write it; is the folder writable?";
}

std::vector<saccade::DescribedScene> draw_scenes(const Settings& settings) {
  std::vector<saccade::DescribedScene> scenes;
  if (settings.counted) {
    for (const auto& scene : saccade::counted_scenes(settings.count, settings.seed))
      scenes.push_back(saccade::describe(scene));
  } else {
    for (const auto& scene : saccade::evaluation_scenes(settings.count, settings.seed))
      scenes.push_back(saccade::describe(scene));
  }
  return scenes;
}

std::string make_shapes(const Settings& settings) {
  std::error_code failed;
  std::filesystem::create_directories(settings.folder, failed);
  const auto scenes = draw_scenes(settings);
  std::vector<std::string> files;
  for (size_t i = 0; i < scenes.size(); ++i) {
    files.push_back(fmt::format("{:04}.png", i + 1));
    const auto picture = saccade::draw_shapes(scenes[i].scene, settings.width, settings.height);
    if (std::string error = write_png(picture, settings.folder / files.back()); !error.empty()) return error;
  }
  const std::filesystem::path path = settings.folder / "objects.json";
  std::ofstream page(path, std::ios::binary | std::ios::trunc);
  page << saccade::objects_page(scenes, files, settings.width, settings.height);
  page.close();
  return page ? "" : path.string() + ": cannot write it; is the folder writable?";
}

}  // namespace

int main(int argc, char** argv) {
  Settings settings;
  CLI::App app{"Draws scenes of coloured shapes and says what is on them (objects.json)."};
  app.add_option("OUT_DIR", settings.folder, "folder to write")->required();
  app.add_option("--count", settings.count, "pictures")->capture_default_str()->check(CLI::Range(1, 9999));
  app.add_option("--seed", settings.seed, "seed of the scenes")->capture_default_str();
  app.add_option("--width", settings.width, "of a picture, pixels")
      ->capture_default_str()
      ->check(CLI::Range(16, 4096));
  app.add_option("--height", settings.height, "of a picture, pixels")
      ->capture_default_str()
      ->check(CLI::Range(16, 4096));
  app.add_flag("--counted", settings.counted, "scenes to count, instead of scenes to talk about");
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& e) {
    return app.exit(e) == 0 ? 0 : 2;
  }
  if (const std::string error = make_shapes(settings); !error.empty()) {
    fmt::print(stderr, "saccade-make-shapes: {}\n", error);
    return 1;
  }
  fmt::print("{} pictures and objects.json in {}\n", settings.count, settings.folder.string());
  return 0;
}
