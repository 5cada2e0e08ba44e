// OpenCV's readers of picture files and its writer of films behind a table of functions, in a module of its
// own: they bring some two hundred libraries, which only a program that meets a picture loads. Only plain
// data crosses this line, and nothing throws. A private header.
#pragma once

#include <cstddef>
#include <cstdint>

extern "C" {

// Rows of blue, green and red bytes, `row_bytes` apart.
struct SaccadePixels {
  const uint8_t* data;
  int32_t width, height;
  size_t row_bytes;
};

struct SaccadePictures {
  uint32_t version;  // saccade_pictures_version of the module
  // Each is called at most once, before the call returns, with what `context` the caller gave.
  using Report = void (*)(void* context, const char* message);
  using Take = void (*)(void* context, SaccadePixels pixels);

  // `take` is not called for what is no picture; `failed` with what the library says, if it says something.
  void (*decode)(const uint8_t* bytes, size_t size, Take take, Report failed, void* context);
  // H.264 or MPEG-4 in MP4; null where neither can be written.
  void* (*open_film)(const char* path, double frames_per_second, int32_t width, int32_t height);
  bool (*add_frame)(void* film, SaccadePixels pixels, Report failed, void* context);
  void (*close_film)(void* film);
};

constexpr uint32_t saccade_pictures_version = 1;
}
