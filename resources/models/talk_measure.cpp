#include "resources/models/talk_measure.h"

#include <algorithm>

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

Result<void> measure_captions(const ShapesVlm& model, const TalkTokens& tokens,
                              const std::vector<EvaluationScene>& scenes, TalkMeasurement& m) {
  std::vector<Asked> asked;
  for (const auto& entry : scenes) asked.push_back({describe_prompt, &entry});
  SACCADE_TRY(m.said, ask(model, tokens, asked, caption_slot - 6, false));
  m.captions = score_captions(scenes, m.said);
  m.said.resize(std::min(m.said.size(), shown_captions));
  return {};
}

Result<void> measure_questions(const ShapesVlm& model, const TalkTokens& tokens,
                               const std::vector<EvaluationScene>& scenes, bool plain, TalkMeasurement& m) {
  std::vector<Asked> asked;
  for (const auto& entry : scenes)
    for (const auto& question : entry.questions) asked.push_back({question_prompt(question.text), &entry});
  SACCADE_TRY(const auto said, ask(model, tokens, asked, 1, plain));
  const PresenceScores scores = score_answers(scenes, said);
  if (plain)
    m.blank_accuracy = scores.all.accuracy;
  else
    m.presence = scores;
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
  return TalkGlance{m.captions.chair_i, m.captions.recall, m.presence.all.accuracy, m.colour};
}

}  // namespace saccade
