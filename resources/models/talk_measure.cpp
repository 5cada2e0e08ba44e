#include "resources/models/talk_measure.h"

#include <algorithm>
#include <sstream>

namespace saccade {
namespace {

constexpr int32_t together = 40;  // pictures answered at a time
constexpr size_t shown_captions = 6;

struct Asked {
  std::string prompt;
  const EvaluationScene* scene = nullptr;
};

ShapePicture picture_of(const EvaluationScene* entry, int32_t side) {
  return draw_shapes(entry != nullptr ? entry->scene.scene : ShapeScene{{}, {230, 230, 230}}, side, side);
}

// Prompts of one length; each with its picture, or with a plain one.
Result<std::vector<std::string>> ask(const ShapesVlm& model, const TalkTokens& tokens,
                                     const std::vector<Asked>& asked, int32_t count, bool plain) {
  std::vector<std::string> out;
  for (size_t begin = 0; begin < asked.size(); begin += together) {
    PictureBatch pictures;
    std::vector<std::vector<int32_t>> prompts;
    for (size_t i = begin; i < std::min(asked.size(), begin + together); ++i) {
      append_picture(pictures, picture_of(plain ? nullptr : asked[i].scene, model.shape().tower.image));
      prompts.push_back(tokens.prompt(asked[i].prompt));
    }
    SACCADE_TRY(const auto answers, model.answer(pictures, std::move(prompts), count));
    for (const auto& answer : answers) out.push_back(tokens.text(answer));
  }
  return out;
}

struct Counts {
  double right = 0, all = 0, yes = 0, true_yes = 0, positives = 0;

  void add(const std::string& said, const std::string& answer) {
    ++all;
    right += said == answer ? 1 : 0;
    yes += said == "yes" ? 1 : 0;
    positives += answer == "yes" ? 1 : 0;
    true_yes += said == "yes" && answer == "yes" ? 1 : 0;
  }
  [[nodiscard]] PresenceScore score() const {
    const double n = std::max(1.0, all);
    return {right / n, 2 * true_yes / std::max(1.0, yes + positives), yes / n};
  }
};

Result<void> measure_captions(const ShapesVlm& model, const TalkTokens& tokens,
                              const std::vector<EvaluationScene>& scenes, TalkMeasurement& m) {
  std::vector<Asked> asked;
  for (const auto& entry : scenes) asked.push_back({describe_prompt, &entry});
  SACCADE_TRY(m.captions, ask(model, tokens, asked, caption_slot - 6, false));
  double named = 0, invented = 0, there = 0, seen = 0, by_habit = 0, with_invention = 0, gave_in = 0;
  for (size_t i = 0; i < scenes.size(); ++i) {
    const TalkedScene& scene = scenes[i].scene;
    const auto kinds = named_kinds(m.captions[i]);
    const ShapeHabit* habit = habit_in(scene);
    const int32_t missing = habit != nullptr && !scene.holds(habit->expected) ? habit->expected : -1;
    double wrong = 0;
    for (const int32_t kind : kinds) {
      wrong += scene.holds(kind) ? 0 : 1;
      by_habit += kind == missing ? 1 : 0;
      gave_in += kind == missing ? 1 : 0;
    }
    m.tempted += missing >= 0 ? 1 : 0;
    named += static_cast<double>(kinds.size());
    seen += static_cast<double>(kinds.size()) - wrong;
    there += static_cast<double>(scene.kinds.size());
    invented += wrong;
    with_invention += wrong > 0 ? 1 : 0;
  }
  m.chair_s = with_invention / static_cast<double>(scenes.size());
  m.chair_i = invented / std::max(1.0, named);
  m.recall = seen / std::max(1.0, there);
  m.by_habit = by_habit / std::max(1.0, invented);
  m.gave_in = gave_in / std::max(1, m.tempted);
  m.captions.resize(std::min(m.captions.size(), shown_captions));
  return {};
}

Result<void> measure_questions(const ShapesVlm& model, const TalkTokens& tokens,
                               const std::vector<EvaluationScene>& scenes, bool plain, TalkMeasurement& m) {
  std::vector<Asked> asked;
  std::vector<const ShapeQuestion*> questions;
  for (const auto& entry : scenes)
    for (const auto& question : entry.questions) {
      asked.push_back({question_prompt(question.text), &entry});
      questions.push_back(&question);
    }
  SACCADE_TRY(const auto said, ask(model, tokens, asked, 1, plain));
  std::array<Counts, 3> kinds;
  Counts all;
  for (size_t i = 0; i < said.size(); ++i) {
    kinds[static_cast<size_t>(questions[i]->kind)].add(said[i], questions[i]->answer);
    all.add(said[i], questions[i]->answer);
  }
  if (plain) {
    m.blank_accuracy = all.score().accuracy;
    return {};
  }
  m.presence_all = all.score();
  for (size_t i = 0; i < kinds.size(); ++i) m.presence[i] = kinds[i].score();
  return {};
}

Result<void> measure_colours(const ShapesVlm& model, const TalkTokens& tokens,
                             const std::vector<EvaluationScene>& scenes, TalkMeasurement& m) {
  Random random(scenes.size());
  std::vector<Asked> asked;
  std::vector<std::string> right;
  for (const auto& entry : scenes)
    if (const ShapeQuestion question = colour_question(entry.scene, random); !question.text.empty()) {
      asked.push_back({question_prompt(question.text), &entry});
      right.push_back(question.answer);
    }
  SACCADE_TRY(const auto said, ask(model, tokens, asked, 1, false));
  for (size_t i = 0; i < said.size(); ++i)
    m.colour += (said[i] == right[i] ? 1.0 : 0.0) / static_cast<double>(said.size());
  return {};
}

}  // namespace

std::vector<int32_t> named_kinds(const std::string& caption) {
  std::string letters = caption;
  std::replace(letters.begin(), letters.end(), '.', ' ');
  std::istringstream words(letters);
  std::vector<int32_t> kinds;
  int32_t colour = -1;
  for (std::string word; words >> word;) {
    int32_t next = -1;
    for (int32_t i = 0; i < n_shape_colour; ++i)
      if (word == colour_name(i)) next = i;
    for (int32_t form = 0; form < n_shape_form && colour >= 0; ++form) {
      if (word != form_name(form) && word != form_synonym(form)) continue;
      const int32_t kind = kind_of(colour, form);
      if (std::find(kinds.begin(), kinds.end(), kind) == kinds.end()) kinds.push_back(kind);
    }
    colour = next;
  }
  return kinds;
}

Result<TalkMeasurement> measure_talk(const ShapesVlm& model, const TalkTokens& tokens,
                                     const std::vector<EvaluationScene>& scenes) {
  TalkMeasurement m;
  m.pictures = static_cast<int32_t>(scenes.size());
  SACCADE_CHECK(measure_captions(model, tokens, scenes, m));
  SACCADE_CHECK(measure_questions(model, tokens, scenes, false, m));
  SACCADE_CHECK(measure_questions(model, tokens, scenes, true, m));
  SACCADE_CHECK(measure_colours(model, tokens, scenes, m));
  return m;
}

Result<TalkGlance> glance_talk(const ShapesVlm& model, const TalkTokens& tokens, uint64_t seed) {
  const auto scenes = evaluation_scenes(40, seed);
  TalkMeasurement m;
  SACCADE_CHECK(measure_captions(model, tokens, scenes, m));
  SACCADE_CHECK(measure_questions(model, tokens, scenes, false, m));
  SACCADE_CHECK(measure_colours(model, tokens, scenes, m));
  return TalkGlance{m.chair_i, m.recall, m.presence_all.accuracy, m.colour};
}

}  // namespace saccade
