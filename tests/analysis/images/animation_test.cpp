#include "analysis/images/animation.h"

#include <gmock/gmock.h>

#include <filesystem>
#include <random>

#include "analysis/images/gif.h"
#include "core/base/files.h"

namespace saccade {
namespace {

using testing::HasSubstr;

std::span<const unsigned char> bytes_of(const std::string& text) {
  return {reinterpret_cast<const unsigned char*>(text.data()), text.size()};
}

// Frames of a square of one colour that walks over noise of `colours` greys.
Animation walking(int32_t width, int32_t height, int64_t count, int colours) {
  Animation animation{width, height, 10.0, count, {}};
  animation.frame = [=](int64_t frame) {
    Picture picture{width, height, std::vector<uint8_t>(static_cast<size_t>(width) * height * 3), {}};
    std::mt19937 random(7);
    for (size_t i = 0; i < picture.rgb.size(); i += 3) {
      const auto grey = static_cast<uint8_t>(random() % static_cast<unsigned>(colours) * 8);
      picture.rgb[i] = picture.rgb[i + 1] = picture.rgb[i + 2] = grey;
    }
    for (int32_t y = 1; y < 4; ++y)
      for (int32_t x = 0; x < 3; ++x) {
        const auto at = (static_cast<size_t>(y) * width + static_cast<size_t>((x + frame) % width)) * 3;
        picture.rgb[at] = 255;
        picture.rgb[at + 1] = 0;
        picture.rgb[at + 2] = 0;
      }
    return picture;
  };
  return animation;
}

// What the blocks of a GIF say, walked through by their lengths alone.
struct Blocks {
  int frames = 0, delay = 0, loops = 0;
  std::vector<std::array<int, 4>> rectangles;
  bool ended = false;
};
Blocks blocks_of(const std::string& gif) {
  const auto byte = [&](size_t at) { return static_cast<unsigned char>(gif[at]); };
  const auto two = [&](size_t at) { return byte(at) | byte(at + 1) << 8; };
  Blocks blocks;
  size_t at = 13 + 3 * (size_t{2} << (byte(10) & 7));
  const auto skip = [&] {
    while (byte(at) != 0) at += byte(at) + 1u;
    ++at;
  };
  while (at < gif.size()) {
    if (byte(at) == ';') {
      blocks.ended = at + 1 == gif.size();
      break;
    }
    if (byte(at) == '!') {
      if (byte(at + 1) == 0xF9) blocks.delay = two(at + 4);
      if (byte(at + 1) == 0xFF) ++blocks.loops;
      at += 2;
      skip();
    } else {
      ++blocks.frames;
      blocks.rectangles.push_back({two(at + 1), two(at + 3), two(at + 5), two(at + 7)});
      at += 11;
      skip();
    }
  }
  return blocks;
}

TEST(Gif, a_picture_of_few_colours_comes_back_to_the_bit) {
  const Animation animation = walking(41, 23, 1, 24);
  const auto gif = gif_of(animation, {});
  ASSERT_TRUE(gif.ok()) << gif.error().to_string();
  ASSERT_TRUE(is_gif(bytes_of(*gif)));
  const auto read = read_gif(bytes_of(*gif), 1 << 20);
  ASSERT_TRUE(read.ok()) << read.error().to_string();
  EXPECT_EQ(read->rgb, animation.frame(0).rgb);
}

// 4,096 codes are used up many times: the table is begun anew and the widths start over.
TEST(Gif, a_large_noisy_picture_comes_back_to_the_bit) {
  const Animation animation = walking(400, 300, 1, 32);
  const auto gif = gif_of(animation, {});
  ASSERT_TRUE(gif.ok());
  const auto read = read_gif(bytes_of(*gif), 1 << 20);
  ASSERT_TRUE(read.ok()) << read.error().to_string();
  EXPECT_EQ(read->rgb, animation.frame(0).rgb);
}

TEST(Gif, many_colours_become_the_nearest_of_256) {
  Animation animation{64, 64, 10.0, 1, {}};
  animation.frame = [](int64_t) {
    Picture picture{64, 64, {}, {}};
    for (int y = 0; y < 64; ++y)
      for (int x = 0; x < 64; ++x)
        for (const int value : {x * 4, y * 4, (x + y) * 2})
          picture.rgb.push_back(static_cast<uint8_t>(value));
    return picture;
  };
  const auto gif = gif_of(animation, {});
  ASSERT_TRUE(gif.ok());
  const auto read = read_gif(bytes_of(*gif), 1 << 20);
  ASSERT_TRUE(read.ok());
  const Picture given = animation.frame(0);
  double error = 0.0;
  for (size_t i = 0; i < given.rgb.size(); ++i) error += std::abs(int{given.rgb[i]} - int{read->rgb[i]});
  // 256 cells of a surface of 64 x 64 colours are 16 steps wide: a mean distance of a quarter of that.
  EXPECT_LT(error / static_cast<double>(given.rgb.size()), 8.0);
}

TEST(Gif, frames_hold_what_changed_and_play_for_ever_at_their_rate) {
  const auto gif = gif_of(walking(40, 20, 6, 16), {});
  ASSERT_TRUE(gif.ok());
  const Blocks blocks = blocks_of(*gif);
  EXPECT_TRUE(blocks.ended);
  EXPECT_EQ(blocks.frames, 6);
  EXPECT_EQ(blocks.loops, 1);
  EXPECT_EQ(blocks.delay, 10) << "hundredths of a second";
  EXPECT_EQ(blocks.rectangles[0], (std::array<int, 4>{0, 0, 40, 20}));
  EXPECT_EQ(blocks.rectangles[1], (std::array<int, 4>{0, 1, 4, 3})) << "the square's old and new place";
}

TEST(Animations, what_cannot_be_one_is_refused_and_writes_nothing) {
  const auto message = [](const auto& result) {
    return result.ok() ? std::string() : result.error().message;
  };
  Animation animation = walking(40, 20, 3, 8);
  animation.count = 0;
  EXPECT_THAT(message(gif_of(animation, {})), HasSubstr("without a frame"));
  animation = walking(40, 20, 3, 8);
  animation.frames_per_second = 0.0;
  EXPECT_THAT(message(gif_of(animation, {})), HasSubstr("frames per second"));
  animation = walking(40, 20, 3, 8);
  animation.width = 41;  // and the frames have 40
  EXPECT_THAT(message(gif_of(animation, {})), HasSubstr("40 x 20"));
  const std::filesystem::path file = std::filesystem::temp_directory_path() / "saccade-animation-test.gif";
  std::filesystem::remove(file);
  JobContext job;
  job.cancel.cancel();
  EXPECT_EQ(write_animation(walking(40, 20, 3, 8), file, job).error().code, ErrorCode::cancelled);
  EXPECT_FALSE(std::filesystem::exists(file));
  EXPECT_THAT(message(write_animation(walking(40, 20, 3, 8), "film.avi", {})), HasSubstr(".gif or an .mp4"));
}

TEST(Animations, an_mp4_begins_with_its_box_and_leaves_no_other_file) {
  const auto folder = std::filesystem::temp_directory_path() / "saccade-mp4-test";
  std::filesystem::remove_all(folder);
  std::filesystem::create_directories(folder);
  const auto written = write_animation(walking(65, 33, 5, 8), folder / "path.mp4", {});
  if (!written.ok() && written.error().code == ErrorCode::unsupported)
    GTEST_SKIP() << written.error().message;
  ASSERT_TRUE(written.ok()) << written.error().to_string();
  const auto file = read_text_file(folder / "path.mp4");
  ASSERT_TRUE(file.ok());
  EXPECT_EQ(file->substr(4, 4), "ftyp");
  EXPECT_EQ(std::distance(std::filesystem::directory_iterator(folder), {}), 1);
}

}  // namespace
}  // namespace saccade
