#include "resources/models/evaluation_scenes.h"

#include <nlohmann/json.hpp>

namespace saccade {
namespace {

using Json = nlohmann::ordered_json;

Json picture_entry(const EvaluationScene& entry, const std::string& file, int32_t width, int32_t height) {
  const ShapePicture drawn = draw_shapes(entry.scene.scene, width, height);
  Json objects = Json::array(), boxes = Json::array(), questions = Json::array();
  for (size_t i = 0; i < entry.scene.kinds.size(); ++i) {
    const std::string name = kind_name(entry.scene.kinds[i]);
    const ShapeBox box = box_of(drawn, static_cast<int32_t>(i));
    objects.push_back(name);
    boxes.push_back({{"object", name}, {"box", {box.left, box.top, box.right, box.bottom}}});
  }
  for (const ShapeQuestion& question : entry.questions)
    questions.push_back(
        {{"text", question.text}, {"answer", question.answer}, {"kind", to_string(question.kind)}});
  return {{"file", file},
          {"objects", objects},
          {"boxes", boxes},
          {"captions", {true_caption(entry.scene)}},
          {"questions", questions}};
}

}  // namespace

std::vector<EvaluationScene> evaluation_scenes(int32_t count, uint64_t seed) {
  Random random(seed ^ 0xE7A1ULL);
  std::vector<EvaluationScene> scenes;
  for (int32_t i = 0; i < count; ++i) {
    EvaluationScene entry{draw_talked(random, evaluation_mixture), {}};
    entry.questions = presence_questions(entry.scene, random);
    scenes.push_back(std::move(entry));
  }
  return scenes;
}

std::string objects_page(const std::vector<EvaluationScene>& scenes, const std::vector<std::string>& files,
                         int32_t width, int32_t height) {
  Json objects = Json::object(), pictures = Json::array();
  for (int32_t kind = 0; kind < n_shape_kind; ++kind) {
    const std::string name = kind_name(kind), colour = colour_name(kind / n_shape_form);
    Json words = Json::array({name});
    if (const std::string other = colour + " " + form_synonym(kind % n_shape_form); other != name)
      words.push_back(other);
    objects[name] = words;
  }
  for (size_t i = 0; i < scenes.size(); ++i)
    pictures.push_back(picture_entry(scenes[i], files[i], width, height));
  return Json{{"objects", objects}, {"pictures", pictures}}.dump(1) + "\n";
}

}  // namespace saccade
