// MP4 through OpenCV's videoio: the one file that knows it.
#include <fmt/format.h>

#include <opencv2/core.hpp>
#include <opencv2/core/utils/logger.hpp>
#include <opencv2/videoio.hpp>

#include "analysis/images/animation.h"
#include "core/base/files.h"

namespace saccade {
namespace {

Result<void> open_writer(cv::VideoWriter& writer, const std::string& path, double rate, cv::Size size) {
  // What a codec says on standard error while it is tried is no news to anybody.
  const auto level = cv::utils::logging::setLogLevel(cv::utils::logging::LOG_LEVEL_SILENT);
  for (const char* code : {"avc1", "mp4v"})
    if (writer.open(path, cv::CAP_FFMPEG, cv::VideoWriter::fourcc(code[0], code[1], code[2], code[3]), rate,
                    size, true))
      break;
  cv::utils::logging::setLogLevel(level);
  if (writer.isOpened()) return {};
  return make_error(
      ErrorCode::unsupported,
      "this OpenCV writes no MP4 (neither H.264 nor MPEG-4, with FFmpeg): write a .gif instead");
}

Result<void> write_frames(const Animation& animation, const std::filesystem::path& path,
                          const JobContext& job) {
  const cv::Size size(animation.width / 2 * 2, animation.height / 2 * 2);
  cv::VideoWriter writer;
  SACCADE_CHECK(open_writer(writer, path.string(), animation.frames_per_second, size));
  cv::Mat bgr(size, CV_8UC3);
  for (int64_t i = 0; i < animation.count; ++i) {
    SACCADE_CHECK(job.check());
    job.progress(static_cast<double>(i) / static_cast<double>(animation.count), "drawing frames");
    SACCADE_TRY(const Picture frame, frame_of(animation, i));
    for (int y = 0; y < size.height; ++y)
      for (int x = 0; x < size.width; ++x) {
        const uint8_t* rgb =
            frame.rgb.data() +
            (static_cast<size_t>(y) * static_cast<size_t>(frame.width) + static_cast<size_t>(x)) * 3;
        bgr.at<cv::Vec3b>(y, x) = {rgb[2], rgb[1], rgb[0]};
      }
    writer.write(bgr);
  }
  writer.release();
  return {};
}

}  // namespace

Result<void> write_mp4(const Animation& animation, const std::filesystem::path& path, const JobContext& job) {
  SACCADE_CHECK(check_animation(animation));
  return write_atomically(path, [&](const std::filesystem::path& temporary) -> Result<void> {
    // FFmpeg chooses the container by the ending.
    std::filesystem::path named = temporary;
    named += ".mp4";
    Result<void> written;
    try {
      written = write_frames(animation, named, job);
    } catch (const cv::Exception& error) {
      written = make_error(ErrorCode::io, fmt::format("{}: {}", path.string(), error.err));
    }
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
