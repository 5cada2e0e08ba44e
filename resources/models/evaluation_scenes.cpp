#include "resources/models/evaluation_scenes.h"

#include <algorithm>
#include <nlohmann/json.hpp>

namespace saccade {
namespace {

using Json = nlohmann::ordered_json;

Json picture_entry(const DescribedScene& entry, const std::string& file, int32_t width, int32_t height) {
  const ShapePicture drawn = draw_shapes(entry.scene, width, height);
  Json objects = Json::array(), boxes = Json::array(), questions = Json::array();
  for (size_t i = 0; i < entry.names.size(); ++i) {
    const std::string& name = entry.names[i];
    if (name.empty()) continue;
    const ShapeBox box = box_of(drawn, static_cast<int32_t>(i));
    if (std::find(objects.begin(), objects.end(), name) == objects.end()) objects.push_back(name);
    boxes.push_back({{"object", name}, {"box", {box.left, box.top, box.right, box.bottom}}});
  }
  for (const ShapeQuestion& question : entry.questions)
    questions.push_back(
        {{"text", question.text}, {"answer", question.answer}, {"kind", to_string(question.kind)}});
  return {{"file", file},
          {"objects", objects},
          {"boxes", boxes},
          {"captions", {entry.caption}},
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

std::vector<CountedScene> counted_scenes(int32_t count, uint64_t seed) {
  Random random(seed ^ 0xC0DEULL);
  std::vector<CountedScene> scenes;
  for (int32_t i = 0; i < count; ++i) scenes.push_back(draw_counted(random));
  return scenes;
}

DescribedScene describe(const EvaluationScene& scene) {
  DescribedScene out{scene.scene.scene, {}, true_caption(scene.scene), scene.questions};
  for (const int32_t kind : scene.scene.kinds) out.names.push_back(kind_name(kind));
  return out;
}

DescribedScene describe(const CountedScene& scene) {
  DescribedScene out{scene.scene, {}, count_label(count_class(scene.kind, scene.count)), {}};
  for (size_t i = 0; i < scene.scene.objects.size(); ++i)
    out.names.push_back(i < static_cast<size_t>(scene.count) ? kind_name(scene.kind) : "");
  return out;
}

std::string objects_page(const std::vector<DescribedScene>& scenes, const std::vector<std::string>& files,
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
