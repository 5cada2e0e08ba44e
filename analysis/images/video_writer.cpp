// MP4 files, through the module of pictures.
#include <fmt/format.h>

#include <memory>
#include <string>
#include <vector>

#include "analysis/images/animation.h"
#include "analysis/images/picture_library.h"
#include "core/base/files.h"

namespace saccade {
namespace {

Result<void> write_frames(const Animation& animation, const std::filesystem::path& path,
                          const JobContext& job) {
  SACCADE_TRY(const SaccadePictures* library, picture_library());
  const int32_t width = animation.width / 2 * 2, height = animation.height / 2 * 2;
  const std::unique_ptr<void, void (*)(void*)> film(
      library->open_film(path.c_str(), animation.frames_per_second, width, height), library->close_film);
  if (!film)
    return make_error(
        ErrorCode::unsupported,
        "this OpenCV writes no MP4 (neither H.264 nor MPEG-4, with FFmpeg): write a .gif instead");
  const size_t row_bytes = static_cast<size_t>(width) * 3;
  std::vector<uint8_t> bgr(row_bytes * static_cast<size_t>(height));
  std::string error;
  const auto fail = [](void* context, const char* message) { *static_cast<std::string*>(context) = message; };
  for (int64_t i = 0; i < animation.count; ++i) {
    SACCADE_CHECK(job.check());
    job.progress(static_cast<double>(i) / static_cast<double>(animation.count), "drawing frames");
    SACCADE_TRY(const Picture frame, frame_of(animation, i));
    uint8_t* to = bgr.data();
    for (int32_t y = 0; y < height; ++y) {
      const uint8_t* rgb = frame.rgb.data() + static_cast<size_t>(y) * static_cast<size_t>(frame.width) * 3;
      for (int32_t x = 0; x < width; ++x, rgb += 3, to += 3) {
        to[0] = rgb[2];
        to[1] = rgb[1];
        to[2] = rgb[0];
      }
    }
    if (!library->add_frame(film.get(), {bgr.data(), width, height, row_bytes}, fail, &error))
      return make_error(ErrorCode::io, fmt::format("{}: {}", path.string(), error));
  }
  return {};
}

}  // namespace

Result<void> write_mp4(const Animation& animation, const std::filesystem::path& path, const JobContext& job) {
  SACCADE_CHECK(check_animation(animation));
  return write_atomically(path, [&](const std::filesystem::path& temporary) -> Result<void> {
    // FFmpeg chooses the container by the ending.
    std::filesystem::path named = temporary;
    named += ".mp4";
    Result<void> written = write_frames(animation, named, job);
    std::error_code failed;
    if (written.ok()) std::filesystem::rename(named, temporary, failed);
    if (!written.ok() || failed) {
      std::error_code ignored;
      std::filesystem::remove(named, ignored);
    }
    if (failed) return make_error(ErrorCode::io, path.string() + ": " + failed.message());
    return written;
  });
}

bool is_animation_file(const std::filesystem::path& path) {
  return path.extension() == ".gif" || path.extension() == ".mp4";
}

Result<void> write_animation(const Animation& animation, const std::filesystem::path& path,
                             const JobContext& job) {
  if (path.extension() == ".gif") return write_gif(animation, path, job);
  if (path.extension() == ".mp4") return write_mp4(animation, path, job);
  return make_error(ErrorCode::invalid_argument,
                    fmt::format("{}: an animation is a .gif or an .mp4 file", path.string()));
}

}  // namespace saccade
