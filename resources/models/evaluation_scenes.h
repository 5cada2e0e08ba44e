// The pictures the demos are measured with, drawn apart from training, and the page that says what is on
// them.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "resources/models/shape_talk.h"

namespace saccade {

struct EvaluationScene {
  TalkedScene scene;
  std::vector<ShapeQuestion> questions;
};

// The first ones of a seed are the same, however many are asked for.
[[nodiscard]] std::vector<EvaluationScene> evaluation_scenes(int32_t count, uint64_t seed);

// objects.json: {"objects": {name: [name, other words]}, "pictures": [{"file", "objects", "boxes":
// [{"object", "box": [left, top, right, bottom]}], "captions", "questions": [{"text", "answer", "kind"}]}]}.
// Boxes are in pixels of pictures of this size. files[i] is the name of scene i.
[[nodiscard]] std::string objects_page(const std::vector<EvaluationScene>& scenes,
                                       const std::vector<std::string>& files, int32_t width, int32_t height);

}  // namespace saccade
