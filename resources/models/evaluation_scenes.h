// The pictures the demos are measured with, drawn apart from training, and the page that says what is on
// them.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "resources/models/counting.h"
#include "resources/models/shape_talk.h"

namespace saccade {

struct EvaluationScene {
  TalkedScene scene;
  std::vector<ShapeQuestion> questions;
};

// The first ones of a seed are the same, however many are asked for.
[[nodiscard]] std::vector<EvaluationScene> evaluation_scenes(int32_t count, uint64_t seed);
[[nodiscard]] std::vector<CountedScene> counted_scenes(int32_t count, uint64_t seed);

// A scene and what a page says of it. names[i] belongs to scene.objects[i]; empty: it is not spoken of.
struct DescribedScene {
  ShapeScene scene;
  std::vector<std::string> names;
  std::string caption;
  std::vector<ShapeQuestion> questions;
};
[[nodiscard]] DescribedScene describe(const EvaluationScene& scene);
[[nodiscard]] DescribedScene describe(const CountedScene& scene);  // "3 red circles"; grey is not spoken of

// objects.json: {"objects": {name: [name, other words]}, "pictures": [{"file", "objects", "boxes":
// [{"object", "box": [left, top, right, bottom]}], "captions", "questions": [{"text", "answer", "kind"}]}]}.
// Boxes are in pixels of pictures of this size. files[i] is the name of scene i.
[[nodiscard]] std::string objects_page(const std::vector<DescribedScene>& scenes,
                                       const std::vector<std::string>& files, int32_t width, int32_t height);

}  // namespace saccade
