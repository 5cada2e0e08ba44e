#include "analysis/images/picture_module.h"

#include <memory>
#include <opencv2/core.hpp>
#include <opencv2/core/utils/logger.hpp>
#include <opencv2/imgcodecs.hpp>
#include <opencv2/videoio.hpp>

namespace {

void decode(const uint8_t* bytes, size_t size, SaccadePictures::Take take, SaccadePictures::Report failed,
            void* context) {
  try {
    const cv::Mat file(1, static_cast<int>(size), CV_8UC1, const_cast<uint8_t*>(bytes));
    const cv::Mat decoded = cv::imdecode(file, cv::IMREAD_COLOR);
    if (!decoded.empty() && decoded.type() == CV_8UC3)
      take(context, {decoded.data, decoded.cols, decoded.rows, decoded.step});
  } catch (const std::exception& error) {
    failed(context, error.what());
  }
}

void* open_film(const char* path, double frames_per_second, int32_t width, int32_t height) {
  try {
    auto writer = std::make_unique<cv::VideoWriter>();
    // What a codec says on standard error while it is tried is no news to anybody.
    const auto level = cv::utils::logging::setLogLevel(cv::utils::logging::LOG_LEVEL_SILENT);
    for (const char* code : {"avc1", "mp4v"})
      if (writer->open(path, cv::CAP_FFMPEG, cv::VideoWriter::fourcc(code[0], code[1], code[2], code[3]),
                       frames_per_second, cv::Size(width, height), true))
        break;
    cv::utils::logging::setLogLevel(level);
    return writer->isOpened() ? writer.release() : nullptr;
  } catch (const std::exception&) {
    return nullptr;
  }
}

bool add_frame(void* film, SaccadePixels pixels, SaccadePictures::Report failed, void* context) {
  try {
    const cv::Mat frame(pixels.height, pixels.width, CV_8UC3, const_cast<uint8_t*>(pixels.data),
                        pixels.row_bytes);
    static_cast<cv::VideoWriter*>(film)->write(frame);
    return true;
  } catch (const std::exception& error) {
    failed(context, error.what());
    return false;
  }
}

void close_film(void* film) {
  const std::unique_ptr<cv::VideoWriter> writer(static_cast<cv::VideoWriter*>(film));
  try {
    writer->release();
  } catch (const std::exception&) {  // NOLINT(bugprone-empty-catch): what could be written was
  }
}

constexpr SaccadePictures functions{saccade_pictures_version, decode, open_film, add_frame, close_film};

}  // namespace

extern "C" __attribute__((visibility("default"))) const SaccadePictures* saccade_pictures() {
  return &functions;
}
