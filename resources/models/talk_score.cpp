#include "resources/models/talk_score.h"

#include <algorithm>
#include <sstream>

namespace saccade {
namespace {

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

CaptionScore score_captions(const std::vector<EvaluationScene>& scenes,
                            const std::vector<std::string>& captions) {
  CaptionScore score;
  double named = 0, invented = 0, there = 0, seen = 0, by_habit = 0, with_invention = 0, gave_in = 0;
  for (size_t i = 0; i < scenes.size(); ++i) {
    const TalkedScene& scene = scenes[i].scene;
    const auto kinds = named_kinds(captions[i]);
    const ShapeHabit* habit = habit_in(scene);
    const int32_t missing = habit != nullptr && !scene.holds(habit->expected) ? habit->expected : -1;
    double wrong = 0;
    for (const int32_t kind : kinds) {
      wrong += scene.holds(kind) ? 0 : 1;
      by_habit += kind == missing ? 1 : 0;
      gave_in += kind == missing ? 1 : 0;
    }
    score.tempted += missing >= 0 ? 1 : 0;
    named += static_cast<double>(kinds.size());
    seen += static_cast<double>(kinds.size()) - wrong;
    there += static_cast<double>(scene.kinds.size());
    invented += wrong;
    with_invention += wrong > 0 ? 1 : 0;
  }
  score.chair_s = with_invention / static_cast<double>(scenes.size());
  score.chair_i = invented / std::max(1.0, named);
  score.recall = seen / std::max(1.0, there);
  score.by_habit = by_habit / std::max(1.0, invented);
  score.gave_in = gave_in / std::max(1, score.tempted);
  return score;
}

PresenceScores score_answers(const std::vector<EvaluationScene>& scenes,
                             const std::vector<std::string>& said) {
  std::array<Counts, 3> kinds;
  Counts all;
  size_t next = 0;
  for (const auto& entry : scenes)
    for (const auto& question : entry.questions) {
      kinds[static_cast<size_t>(question.kind)].add(said[next], question.answer);
      all.add(said[next++], question.answer);
    }
  PresenceScores scores;
  scores.all = all.score();
  for (size_t i = 0; i < kinds.size(); ++i) scores.by_kind[i] = kinds[i].score();
  return scores;
}

}  // namespace saccade
