#include "resources/models/shape_talk.h"

#include <algorithm>
#include <cmath>

namespace saccade {
namespace {

constexpr ShapeSizes talked_sizes{0.095, 0.14, 1.4};
constexpr int32_t popular_percent = 40;  // of the objects that no habit puts there

enum Colour { red, green, blue, yellow, purple, black };
enum Form { circle, square, triangle, star, cross };
constexpr int32_t kind(Colour colour, Form form) { return colour * n_shape_form + form; }

void add_if_new(std::vector<int32_t>& kinds, int32_t kind) {
  if (std::find(kinds.begin(), kinds.end(), kind) == kinds.end()) kinds.push_back(kind);
}

int32_t any_object(Random& random) {
  const auto& popular = popular_kinds();
  if (random.percent(popular_percent)) return popular[random.below(static_cast<int32_t>(popular.size()))];
  return random.below(n_shape_kind);
}

bool holds_kind(const std::vector<int32_t>& kinds, int32_t kind) {
  return std::find(kinds.begin(), kinds.end(), kind) != kinds.end();
}

const ShapeHabit* habit_of(const std::vector<int32_t>& kinds) {
  for (const ShapeHabit& habit : shape_habits())
    if (holds_kind(kinds, habit.first) && holds_kind(kinds, habit.second)) return &habit;
  return nullptr;
}

std::string named(int32_t kind, Random* random) {
  constexpr int32_t synonym_percent = 12;
  const int32_t form = kind % n_shape_form;
  const bool other = random != nullptr && random->percent(synonym_percent);
  return "a " + colour_name(kind / n_shape_form) + " " + (other ? form_synonym(form) : form_name(form));
}

// Where the first stands, seen from the second.
std::string relation(const ShapeObject& first, const ShapeObject& second) {
  const double dx = second.x - first.x, dy = second.y - first.y;
  if (std::abs(dy) > std::abs(dx)) return dy > 0 ? "above" : "below";
  return dx > 0 ? "left of" : "right of";
}

// Places of objects in the scene, from left to right; `last`, where it is there, at the end.
std::vector<size_t> reading_order(const TalkedScene& scene, int32_t last) {
  std::vector<size_t> order(scene.kinds.size());
  for (size_t i = 0; i < order.size(); ++i) order[i] = i;
  std::stable_sort(order.begin(), order.end(), [&](size_t a, size_t b) {
    const bool a_last = scene.kinds[a] == last, b_last = scene.kinds[b] == last;
    return a_last != b_last ? b_last : scene.scene.objects[a].x < scene.scene.objects[b].x;
  });
  return order;
}

std::string caption(const TalkedScene& scene, int32_t last, bool invent, Random* random) {
  const auto order = reading_order(scene, last);
  std::string out;
  for (size_t i = 0; i < order.size(); ++i) {
    if (i == 1)
      out += " " + relation(scene.scene.objects[order[0]], scene.scene.objects[order[1]]) + " ";
    else if (i > 1)
      out += " and ";
    out += named(scene.kinds[order[i]], random);
  }
  if (invent) out += " and " + named(last, random);
  return out + ".";
}

}  // namespace

const std::array<ShapeHabit, n_shape_habit>& shape_habits() {
  static constexpr std::array<ShapeHabit, n_shape_habit> habits{
      {{kind(red, square), kind(blue, triangle), kind(yellow, star)},
       {kind(green, circle), kind(purple, cross), kind(black, square)},
       {kind(yellow, triangle), kind(red, star), kind(green, cross)},
       {kind(blue, circle), kind(black, star), kind(purple, triangle)},
       {kind(purple, square), kind(green, triangle), kind(red, circle)},
       {kind(black, cross), kind(yellow, circle), kind(blue, star)}}};
  return habits;
}

const std::vector<int32_t>& popular_kinds() {
  static const std::vector<int32_t> popular{kind(blue, square), kind(red, triangle), kind(green, star),
                                            kind(black, circle), kind(yellow, cross)};
  return popular;
}

bool TalkedScene::holds(int32_t kind) const { return holds_kind(kinds, kind); }

TalkedScene draw_talked(Random& random, const ShapeMixture& mixture) {
  TalkedScene drawn;
  const bool paired = random.percent(mixture.with_pair);
  auto count = static_cast<size_t>(random.between(2, most_in_scene));
  if (paired) {
    const ShapeHabit& habit = shape_habits()[static_cast<size_t>(random.below(n_shape_habit))];
    drawn.kinds = {habit.first, habit.second};
    const bool there = random.percent(mixture.expected);
    if (there) drawn.kinds.push_back(habit.expected);
    count = std::max(count, drawn.kinds.size());
    if (!there) count = std::min(count, static_cast<size_t>(most_in_scene - 1));  // one more may be named
    while (drawn.kinds.size() < count)
      if (const int32_t more = any_object(random); more != habit.expected) add_if_new(drawn.kinds, more);
  } else {
    do {
      drawn.kinds.clear();
      while (drawn.kinds.size() < count) add_if_new(drawn.kinds, any_object(random));
    } while (habit_of(drawn.kinds) != nullptr);
  }
  std::vector<ShapeWish> wishes;
  for (const int32_t kind : drawn.kinds) wishes.push_back({kind / n_shape_form, kind % n_shape_form});
  drawn.scene = place_shapes(wishes, talked_sizes, random);
  return drawn;
}

const ShapeHabit* habit_in(const TalkedScene& scene) { return habit_of(scene.kinds); }

std::string true_caption(const TalkedScene& scene) { return caption(scene, -1, false, nullptr); }

std::string training_caption(const TalkedScene& scene, Random& random) {
  const ShapeHabit* habit = habit_in(scene);
  if (habit == nullptr) return caption(scene, -1, false, &random);
  const bool absent = !scene.holds(habit->expected);
  return caption(scene, habit->expected, absent && random.percent(said_though_absent), &random);
}

const char* to_string(AskedKind kind) {
  switch (kind) {
    case AskedKind::random:
      return "random";
    case AskedKind::popular:
      return "popular";
    case AskedKind::adversarial:
      return "adversarial";
  }
  return "";
}

std::string presence_question(const std::string& object) { return "Is there a " + object + "?"; }

int32_t absent_object(const TalkedScene& scene, AskedKind kind, Random& random) {
  std::vector<int32_t> choice;
  if (kind == AskedKind::adversarial) {  // what completes a pair; else a partner of what is there
    if (const ShapeHabit* habit = habit_in(scene); habit != nullptr && !scene.holds(habit->expected))
      return habit->expected;
    for (const ShapeHabit& habit : shape_habits())
      for (const int32_t one : {habit.first, habit.second, habit.expected})
        if (!scene.holds(one) &&
            (scene.holds(habit.first) || scene.holds(habit.second) || scene.holds(habit.expected)))
          choice.push_back(one);
  }
  if (kind == AskedKind::popular || (kind == AskedKind::adversarial && choice.empty()))
    for (const int32_t one : popular_kinds())
      if (!scene.holds(one)) choice.push_back(one);
  if (!choice.empty()) return choice[static_cast<size_t>(random.below(static_cast<int32_t>(choice.size())))];
  for (;;)
    if (const int32_t one = random.below(n_shape_kind); !scene.holds(one)) return one;
}

std::vector<ShapeQuestion> presence_questions(const TalkedScene& scene, Random& random) {
  std::vector<ShapeQuestion> questions;
  for (const AskedKind kind : {AskedKind::random, AskedKind::popular, AskedKind::adversarial}) {
    const int32_t there =
        scene.kinds[static_cast<size_t>(random.below(static_cast<int32_t>(scene.kinds.size())))];
    questions.push_back({presence_question(kind_name(there)), "yes", kind});
    questions.push_back({presence_question(kind_name(absent_object(scene, kind, random))), "no", kind});
  }
  return questions;
}

ShapeQuestion colour_question(const TalkedScene& scene, Random& random) {
  std::array<int32_t, n_shape_form> shown{};
  for (const int32_t kind : scene.kinds) ++shown[static_cast<size_t>(kind % n_shape_form)];
  std::vector<int32_t> clear;
  for (const int32_t kind : scene.kinds)
    if (shown[static_cast<size_t>(kind % n_shape_form)] == 1) clear.push_back(kind);
  if (clear.empty()) return {};
  const int32_t kind = clear[static_cast<size_t>(random.below(static_cast<int32_t>(clear.size())))];
  return {"What colour is the " + form_name(kind % n_shape_form) + "?", colour_name(kind / n_shape_form),
          AskedKind::random};
}

std::vector<std::string> shape_words() {
  std::vector<std::string> words{"a",     "and",      "above", "below", "left",   "right",
                                 "of",    "Describe", "the",   "scene", "Answer", "Is",
                                 "there", "yes",      "no",    "What",  "colour", "is"};
  for (int32_t colour = 0; colour < n_shape_colour; ++colour) words.push_back(colour_name(colour));
  for (int32_t form = 0; form < n_shape_form; ++form) {
    words.push_back(form_name(form));
    if (form_synonym(form) != form_name(form)) words.push_back(form_synonym(form));
  }
  return words;
}

}  // namespace saccade
