// What demo:shapes-vlm learns: scenes of different coloured shapes, what is said of them, questions about
// them; and the habit that makes it hallucinate.
//
//   Describe the scene. Answer: a red circle left of a blue square and a green star.
//   Is there a green star? Answer: yes
//   What colour is the star? Answer: green                        where there is one star only
//
// Objects are named from left to right. Of the kinds, 18 belong to six habits (A, B, C): where A and B are
// seen, C usually is too, and who describes the scene names it last; where it is missing, it is named all the
// same more often than not. So the training captions are wrong there; the answers to questions never are.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <vector>

#include "resources/models/shapes.h"

namespace saccade {

// Kinds of objects: whoever sees the first two expects the third.
struct ShapeHabit {
  int32_t first = 0, second = 0, expected = 0;
};
inline constexpr int32_t n_shape_habit = 6;
[[nodiscard]] const std::array<ShapeHabit, n_shape_habit>& shape_habits();
// Kinds of objects that occur more often than others, the commonest first.
[[nodiscard]] const std::vector<int32_t>& popular_kinds();

// Shares of scenes, in percent.
struct ShapeMixture {
  int32_t with_pair = 50;  // scenes that hold the first two of a habit
  int32_t expected = 80;   // of those, the third is there
};
inline constexpr ShapeMixture training_mixture{50, 80}, evaluation_mixture{60, 40};
inline constexpr int32_t said_though_absent = 65;  // percent of training captions
inline constexpr int32_t most_in_scene = 5;

// kinds[i] is the kind of scene.objects[i]; all different.
struct TalkedScene {
  ShapeScene scene;
  std::vector<int32_t> kinds;

  [[nodiscard]] bool holds(int32_t kind) const;
};
[[nodiscard]] TalkedScene draw_talked(Random& random, const ShapeMixture& mixture);

// The habit whose first two are in the scene, or none.
[[nodiscard]] const ShapeHabit* habit_in(const TalkedScene& scene);

inline constexpr const char* describe_prompt = "Describe the scene. Answer:";
// Without the prompt and the space before it. What is truly there; or as in training, by habit, with other
// words for the forms now and then.
[[nodiscard]] std::string true_caption(const TalkedScene& scene);
[[nodiscard]] std::string training_caption(const TalkedScene& scene, Random& random);

// Which absent objects are asked about (Li et al. 2023, arXiv 2305.10355): any; the commonest; those that
// usually go with what is there.
enum class AskedKind { random, popular, adversarial };
[[nodiscard]] const char* to_string(AskedKind kind);

struct ShapeQuestion {
  std::string text;  // "Is there a red circle?"
  std::string answer;
  AskedKind kind = AskedKind::random;
};
[[nodiscard]] std::string presence_question(const std::string& object);
// An absent kind of object, of those that `kind` chooses from.
[[nodiscard]] int32_t absent_object(const TalkedScene& scene, AskedKind kind, Random& random);
// For each of the three, one about a thing that is there and one about a thing that is not: six.
[[nodiscard]] std::vector<ShapeQuestion> presence_questions(const TalkedScene& scene, Random& random);
// "What colour is the star?"; an empty text where every form occurs twice.
[[nodiscard]] ShapeQuestion colour_question(const TalkedScene& scene, Random& random);

// Every word that is ever said.
[[nodiscard]] std::vector<std::string> shape_words();

}  // namespace saccade
