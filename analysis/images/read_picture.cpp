#include "analysis/images/read_picture.h"

#include <fmt/format.h>

#include <cstddef>
#include <fstream>
#include <optional>
#include <span>
#include <string_view>
#include <vector>

#include "analysis/images/gif.h"
#include "analysis/images/picture_library.h"

namespace saccade {
namespace {

constexpr int64_t most_pixels = int64_t{1} << 27;
constexpr int64_t most_bytes = int64_t{1} << 30;

using Bytes = std::vector<unsigned char>;

bool starts_with(const Bytes& bytes, std::string_view mark) {
  return bytes.size() >= mark.size() &&
         std::equal(mark.begin(), mark.end(), bytes.begin(),
                    [](char a, unsigned char b) { return static_cast<unsigned char>(a) == b; });
}

int64_t big_endian(std::span<const unsigned char> bytes) {
  int64_t value = 0;
  for (const unsigned char byte : bytes) value = value << 8 | byte;
  return value;
}

struct Size {
  int64_t width = 0, height = 0;
};

// The first frame header of a JPEG: markers 0xC0-0xCF but for three that are others.
std::optional<Size> jpeg_size(const Bytes& bytes) {
  size_t at = 2;
  while (at + 9 < bytes.size() && bytes[at] == 0xFF) {
    const unsigned char marker = bytes[at + 1];
    const std::span<const unsigned char> all(bytes);
    if (marker == 0xFF) {  // filling
      ++at;
      continue;
    }
    if (marker >= 0xC0 && marker <= 0xCF && marker != 0xC4 && marker != 0xC8 && marker != 0xCC)
      return Size{big_endian(all.subspan(at + 7, 2)), big_endian(all.subspan(at + 5, 2))};
    at += 2 + static_cast<size_t>(big_endian(all.subspan(at + 2, 2)));
  }
  return std::nullopt;
}

// What the header says, in the formats that compress well enough to hide an enormous picture.
std::optional<Size> declared_size(const Bytes& bytes) {
  const std::span<const unsigned char> all(bytes);
  if (starts_with(bytes, "\x89PNG") && bytes.size() >= 24)
    return Size{big_endian(all.subspan(16, 4)), big_endian(all.subspan(20, 4))};
  if (starts_with(bytes, "\xFF\xD8")) return jpeg_size(bytes);
  return std::nullopt;
}

Error refused(const std::filesystem::path& path, ErrorCode code, const std::string& why) {
  return make_error(code, fmt::format("{}: {}", path.string(), why));
}

Result<void> check_size(const std::filesystem::path& path, const Size& size) {
  if (size.width <= 0 || size.height <= 0)
    return refused(path, ErrorCode::bad_format,
                   fmt::format("{} x {} pixels: the picture is empty", size.width, size.height));
  if (size.width > most_pixels / size.height)
    return refused(path, ErrorCode::invalid_argument,
                   fmt::format("{} x {} pixels: at most {} pixels are read; make it smaller", size.width,
                               size.height, most_pixels));
  return {};
}

Result<Bytes> read_bytes(const std::filesystem::path& path) {
  std::error_code failed;
  if (!std::filesystem::is_regular_file(path, failed))
    return refused(path, ErrorCode::not_found, "there is no such picture file");
  const auto size = static_cast<int64_t>(std::filesystem::file_size(path, failed));
  if (failed) return refused(path, ErrorCode::io, failed.message());
  if (size == 0) return refused(path, ErrorCode::bad_format, "the file is empty");
  if (size > most_bytes)
    return refused(path, ErrorCode::invalid_argument, fmt::format("{} bytes: too large for a picture", size));
  Bytes bytes(static_cast<size_t>(size));
  std::ifstream file(path, std::ios::binary);
  if (!file.read(reinterpret_cast<char*>(bytes.data()), size))
    return refused(path, ErrorCode::io, "it cannot be read");
  return bytes;
}

// What the library hands over.
struct Decoded {
  Picture picture;
  std::string error;

  static void take(void* context, SaccadePixels pixels) {
    Picture& picture = static_cast<Decoded*>(context)->picture;
    picture.width = pixels.width;
    picture.height = pixels.height;
    picture.rgb.resize(static_cast<size_t>(pixels.width) * static_cast<size_t>(pixels.height) * 3);
    uint8_t* to = picture.rgb.data();
    for (int32_t y = 0; y < pixels.height; ++y) {
      const uint8_t* bgr = pixels.data + static_cast<size_t>(y) * pixels.row_bytes;
      for (int32_t x = 0; x < pixels.width; ++x, bgr += 3, to += 3) {
        to[0] = bgr[2];
        to[1] = bgr[1];
        to[2] = bgr[0];
      }
    }
  }
  static void fail(void* context, const char* message) { static_cast<Decoded*>(context)->error = message; }
};

}  // namespace

Result<Picture> read_picture(const std::filesystem::path& path) {
  SACCADE_TRY(const Bytes bytes, read_bytes(path));
  if (const auto size = declared_size(bytes)) SACCADE_CHECK(check_size(path, *size));
  if (is_gif(bytes)) {
    auto gif = read_gif(bytes, most_pixels);
    if (!gif.ok()) return refused(path, gif.error().code, gif.error().message);
    gif->name = path.filename().string();
    return gif;
  }
  SACCADE_TRY(const SaccadePictures* library, picture_library());
  Decoded decoded;
  library->decode(bytes.data(), bytes.size(), Decoded::take, Decoded::fail, &decoded);
  if (!decoded.error.empty())
    return refused(path, ErrorCode::bad_format, "it cannot be decoded: " + decoded.error);
  if (decoded.picture.rgb.empty())
    return refused(path, ErrorCode::bad_format,
                   starts_with(bytes, "RIFF") ? "it cannot be decoded; of WebP, animations are not read"
                                              : "it is no picture that can be decoded, or it is damaged");
  SACCADE_CHECK(check_size(path, {decoded.picture.width, decoded.picture.height}));
  decoded.picture.name = path.filename().string();
  return std::move(decoded.picture);
}

}  // namespace saccade
