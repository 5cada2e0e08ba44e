// Animations as files: GIF (GIF89a, written here) and MP4 (H.264 or MPEG-4 by OpenCV's videoio, loaded when
// one is written: it brings FFmpeg). Frames are asked for one after another and never all held. Files are
// written whole or not at all. Thread: any. Errors: no frames, sizes that do not fit, what the system says;
// cancelled.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <span>
#include <string>
#include <vector>

#include "core/base/job.h"
#include "core/image/picture.h"

namespace saccade {

struct Animation {
  int32_t width = 0, height = 0;
  double frames_per_second = 12.5;
  int64_t count = 0;                            // of frames
  std::function<Picture(int64_t frame)> frame;  // of width x height
};

// 256 colours for all frames, chosen by median cut (Heckbert 1982) from the first, the middle and the last;
// a frame holds only the rectangle that has changed; plays forever.
[[nodiscard]] Result<std::string> gif_of(const Animation& animation, const JobContext& job);
[[nodiscard]] Result<void> write_gif(const Animation& animation, const std::filesystem::path& path,
                                     const JobContext& job);
// Sides are made even by leaving out the last row or column, as the codecs want it.
[[nodiscard]] Result<void> write_mp4(const Animation& animation, const std::filesystem::path& path,
                                     const JobContext& job);
[[nodiscard]] bool is_animation_file(const std::filesystem::path& path);  // .gif, .mp4
[[nodiscard]] Result<void> write_animation(const Animation& animation, const std::filesystem::path& path,
                                           const JobContext& job);

// Refuses an animation without frames or with sides that no file can have.
[[nodiscard]] Result<void> check_animation(const Animation& animation);
// One frame, checked to have the animation's size.
[[nodiscard]] Result<Picture> frame_of(const Animation& animation, int64_t index);

}  // namespace saccade
