// Tiny random models that read pictures, and what Transformers computed (tests/data/make_vision_goldens.py).
#pragma once

#include <span>

#include "core/model/image_input.h"
#include "tests/core/run/fixtures.h"

namespace saccade::fixtures {

inline std::filesystem::path vision_golden(const std::string& variant) {
  return std::filesystem::path(SACCADE_SOURCE_DIR) / "tests" / "data" / "vision_goldens" / variant;
}

struct Numbers {
  std::shared_ptr<const Checkpoint> file;

  explicit Numbers(const std::string& variant) {
    auto opened = Checkpoint::open(vision_golden(variant) / "expected.safetensors");
    EXPECT_TRUE(opened.ok()) << opened.error().to_string();
    if (opened.ok()) file = *opened;
  }
  [[nodiscard]] bool has(const std::string& name) const { return file->find(name) != nullptr; }
  [[nodiscard]] std::span<const float> floats(const std::string& name) const {
    const TensorView* tensor = file->find(name);
    if (!tensor) return {};
    return {reinterpret_cast<const float*>(tensor->data), static_cast<size_t>(tensor->elements())};
  }
  [[nodiscard]] std::vector<int32_t> ids(const std::string& name) const {
    const TensorView* tensor = file->find(name);
    if (!tensor) return {};
    const auto* values = reinterpret_cast<const int64_t*>(tensor->data);
    return {values, values + tensor->elements()};
  }
  // The picture as it enters, past the processor; a second one is "pixels.1".
  [[nodiscard]] std::shared_ptr<const PreparedImage> image(const std::string& pixels = "pixels") const {
    const TensorView* tensor = file->find(pixels);
    auto image = std::make_shared<PreparedImage>();
    image->pixels = HostTensor(tensor->shape, false);
    std::ranges::copy(floats(pixels), image->pixels.mutable_values().begin());
    ImageGeometry& g = image->geometry;
    g.original_height = g.height = static_cast<int32_t>(tensor->shape[1]);
    g.original_width = g.width = static_cast<int32_t>(tensor->shape[2]);
    image->name = image->digest = "golden " + pixels;
    return image;
  }
  [[nodiscard]] std::vector<std::shared_ptr<const PreparedImage>> images() const {
    std::vector<std::shared_ptr<const PreparedImage>> all{image()};
    for (std::string more = "pixels.1"; has(more); more = "pixels." + std::to_string(all.size()))
      all.push_back(image(more));
    return all;
  }
};

// The picture itself, of models whose own processor is to make the numbers.
inline std::shared_ptr<const PreparedImage> processed(const Opened& opened, const Numbers& numbers) {
  const TensorView* tensor = numbers.file->find("picture");
  Picture picture;
  picture.height = static_cast<int32_t>(tensor->shape[0]);
  picture.width = static_cast<int32_t>(tensor->shape[1]);
  picture.name = "golden";
  const auto* bytes = reinterpret_cast<const uint8_t*>(tensor->data);
  picture.rgb.assign(bytes, bytes + tensor->elements());
  auto made = prepare_image(*opened.model, picture);
  EXPECT_TRUE(made.ok()) << made.error().to_string();
  return made.ok() ? *made : nullptr;
}

// The request of a variant's pictures; a decoder's ids hold one placeholder for every position, or its prompt
// one for the picture.
inline RunRequest vision_request(const Opened& opened, const Numbers& numbers) {
  TokenSequence text;
  const int32_t placeholder = opened.model->spec().tower.image_token_id;
  const bool tiled = numbers.has("picture");
  std::vector<int32_t> ids = numbers.ids(tiled ? "prompt" : "ids");
  ids.erase(
      std::unique(ids.begin(), ids.end(), [&](int32_t a, int32_t b) { return a == placeholder && b == a; }),
      ids.end());
  if (!ids.empty()) {
    auto made = opened.model->tokenizer().sequence(ids);
    EXPECT_TRUE(made.ok());
    text = std::move(*made);
  }
  auto placed = place_images(*opened.model, std::move(text),
                             tiled ? std::vector{processed(opened, numbers)} : numbers.images());
  EXPECT_TRUE(placed.ok()) << placed.error().to_string();
  if (placed.ok() && tiled) {
    EXPECT_EQ(placed->ids(), numbers.ids("ids"));
  }
  if (placed.ok() && numbers.has("generated_from")) placed->generated_from = numbers.ids("generated_from")[0];
  return opened.runner->request(placed.ok() ? std::move(*placed) : TokenSequence());
}

}  // namespace saccade::fixtures
