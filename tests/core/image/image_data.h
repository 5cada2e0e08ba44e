// Pictures and what Pillow and Transformers made of them (tests/data/make_image_processors.py wrote them).
#pragma once

#include <gtest/gtest.h>

#include <memory>
#include <string>

#include "core/image/picture.h"
#include "core/model/checkpoint.h"

namespace saccade::fixtures {

inline std::string image_data(const std::string& name) {
  return std::string(SACCADE_SOURCE_DIR) + "/tests/data/image_processors/" + name;
}

inline std::shared_ptr<const Checkpoint> image_numbers() {
  auto file = Checkpoint::open(image_data("expected.safetensors"));
  EXPECT_TRUE(file.ok()) << file.error().to_string();
  return file.ok() ? *file : nullptr;
}

// A tensor [height, width, 3] of bytes.
inline Picture picture_of(const Checkpoint& file, const std::string& name) {
  const TensorView* tensor = file.find(name);
  EXPECT_NE(tensor, nullptr) << name;
  Picture picture;
  if (!tensor) return picture;
  picture.height = static_cast<int32_t>(tensor->shape[0]);
  picture.width = static_cast<int32_t>(tensor->shape[1]);
  picture.name = name;
  const auto* bytes = reinterpret_cast<const uint8_t*>(tensor->data);
  picture.rgb.assign(bytes, bytes + tensor->elements());
  return picture;
}

}  // namespace saccade::fixtures
