#include "analysis/images/read_picture.h"

#include <gmock/gmock.h>

#include <cstdlib>
#include <fstream>

#include "core/base/files.h"
#include "core/model/checkpoint.h"

namespace saccade {
namespace {

using testing::HasSubstr;

const std::filesystem::path folder =
    std::filesystem::path(SACCADE_SOURCE_DIR) / "tests" / "data" / "pictures";

std::vector<std::string> files() {
  std::vector<std::string> names;
  const auto expected = Checkpoint::open(folder / "expected.safetensors");
  if (expected.ok())
    for (const auto& entry : (*expected)->tensors()) names.push_back(entry.first);
  return names;
}

class PictureFiles : public testing::TestWithParam<std::string> {};

// Lossless files to the bit; JPEG decoders may round differently, and turn CMYK into RGB with other
// roundings.
TEST_P(PictureFiles, have_the_pixels_that_pillow_reads) {
  const auto expected = Checkpoint::open(folder / "expected.safetensors");
  ASSERT_TRUE(expected.ok());
  const TensorView* pixels = (*expected)->find(GetParam());
  const auto picture = read_picture(folder / GetParam());
  ASSERT_TRUE(picture.ok()) << picture.error().to_string();
  EXPECT_EQ(picture->height, pixels->shape[0]);
  EXPECT_EQ(picture->width, pixels->shape[1]);
  EXPECT_EQ(picture->name, GetParam());
  const int tolerance = GetParam() == "cmyk.jpg" ? 4 : GetParam().ends_with(".jpg") ? 2 : 0;
  const auto* theirs = reinterpret_cast<const uint8_t*>(pixels->data);
  ASSERT_EQ(static_cast<int64_t>(picture->rgb.size()), pixels->elements());
  for (size_t i = 0; i < picture->rgb.size(); ++i)
    ASSERT_LE(std::abs(picture->rgb[i] - theirs[i]), tolerance) << "byte " << i;
}

INSTANTIATE_TEST_SUITE_P(Kinds, PictureFiles, testing::ValuesIn(files()), [](const auto& info) {
  std::string name = info.param;
  std::replace(name.begin(), name.end(), '.', '_');
  return name;
});

class BadPictures : public testing::Test {
 protected:
  void SetUp() override { std::filesystem::create_directories(scratch_); }
  void TearDown() override { std::filesystem::remove_all(scratch_); }
  std::filesystem::path write(const std::string& name, const std::string& bytes) const {
    std::ofstream(scratch_ / name, std::ios::binary) << bytes;
    return scratch_ / name;
  }
  static std::string message(const std::filesystem::path& path) {
    const auto picture = read_picture(path);
    EXPECT_FALSE(picture.ok());
    return picture.ok() ? "" : picture.error().to_string();
  }
  std::filesystem::path scratch_ = std::filesystem::path(testing::TempDir()) / "read_picture_test";
};

TEST_F(BadPictures, are_named_when_they_are_missing_empty_or_no_pictures) {
  EXPECT_THAT(message(scratch_ / "none.png"), HasSubstr("none.png: there is no such picture file"));
  EXPECT_THAT(message(scratch_), HasSubstr("there is no such picture file"));
  EXPECT_THAT(message(write("empty.png", "")), HasSubstr("the file is empty"));
  EXPECT_THAT(message(write("text.png", "not a picture at all")),
              HasSubstr("no picture that can be decoded"));
}

TEST_F(BadPictures, are_gifs_cut_anywhere_in_their_first_picture) {
  const auto gif = read_text_file(folder / "interlaced.gif");
  ASSERT_TRUE(gif.ok());
  ASSERT_TRUE(read_picture(folder / "interlaced.gif").ok());
  // Behind the last pixel come the end code, the last block's and the file's ends: a reader may miss those.
  for (size_t n = 4; n + 8 < gif->size(); ++n)
    EXPECT_THAT(message(write("cut.gif", gif->substr(0, n))), HasSubstr("cut.gif: the GIF is damaged")) << n;
}

TEST_F(BadPictures, are_gifs_whose_first_picture_is_empty_enormous_or_garbled) {
  const std::string screen("GIF89a\x04\x00\x04\x00\x00\x00\x00", 13);
  const auto frame = [&](const std::string& size, const std::string& data) {
    return write("bad.gif", screen + "," + std::string(4, '\0') + size + std::string(1, '\0') + data);
  };
  const std::string two("\x02\x00\x02\x00", 4);
  EXPECT_THAT(message(write("bad.gif", screen + ";")), HasSubstr("it has no picture"));
  EXPECT_THAT(message(frame(std::string(4, '\0'), "\x02")), HasSubstr("first picture is empty"));
  EXPECT_THAT(message(frame("\xFF\xFF\xFF\xFF", "\x02")), HasSubstr("65535 x 65535 pixels: at most"));
  EXPECT_THAT(message(frame(two, "\x0C")), HasSubstr("its colours have no width"));
  // Three bits a code: clear (4), then 7, which nothing has defined.
  EXPECT_THAT(message(frame(two, std::string("\x02\x01\x3C\x00", 4))), HasSubstr("cut short"));
}

TEST_F(BadPictures, are_refused_by_their_headers_before_they_are_decoded) {
  const auto png = read_text_file(folder / "colours.png");
  ASSERT_TRUE(png.ok());
  std::string huge = *png;
  huge.replace(16, 8, std::string("\x00\x01\x00\x00\x00\x01\x00\x00", 8));  // 65536 x 65536
  EXPECT_THAT(message(write("huge.png", huge)), HasSubstr("65536 x 65536 pixels: at most"));
  std::string none = *png;
  none.replace(16, 4, std::string(4, '\0'));
  EXPECT_THAT(message(write("none.png", none)), HasSubstr("0 x 16 pixels: the picture is empty"));
}

TEST_F(BadPictures, cut_in_their_header_are_refused) {
  const auto jpeg = read_text_file(folder / "colours.jpg");
  ASSERT_TRUE(jpeg.ok());
  EXPECT_THAT(message(write("cut.jpg", jpeg->substr(0, 30))), HasSubstr("damaged"));
}

}  // namespace
}  // namespace saccade
