#include "app/shell/finding.h"

#include <array>
#include <cmath>
#include <optional>

namespace saccade {
namespace {

struct Habit {
  const char* field;
  const char* says;
  const char* score;
};
// The first whose value passes the threshold and is the largest of these is said.
constexpr std::array<Habit, 6> habits{{
    {"induction", "looks back to the token after the previous occurrence", "induction score"},
    {"previous_token", "looks at the token just before", "mean attention"},
    {"duplicate_token", "looks at earlier copies of the same token", "mean attention"},
    {"first_token", "rests on the first token (a sink)", "mean attention"},
    {"self", "looks at the token itself", "mean attention"},
    {"local_mass", "stays within the last few tokens", "mean attention"},
}};
constexpr double clear = 0.4;

double value_of(const AnalysisResult& scores, const char* name, HeadId head) {
  const Field* field = scores.field(name);
  if (!field || field->values.shape().size() != 2) return NAN;
  const auto& shape = field->values.shape();
  if (head.layer.value >= shape[0] || head.head.value >= shape[1]) return NAN;
  return field->values.at({head.layer.value, head.head.value});
}

}  // namespace

QString describe_head(const AnalysisResult& scores, HeadId head) {
  const QString name = QString::fromStdString(to_string(head));
  const Habit* best = nullptr;
  double best_value = clear;
  for (const Habit& habit : habits)
    if (const double value = value_of(scores, habit.field, head); value > best_value) {
      best = &habit;
      best_value = value;
    }
  if (best)
    return QStringLiteral("Head %1 %2: %3 %4.")
        .arg(name, best->says, best->score, QString::number(best_value, 'f', 2));
  const double entropy = value_of(scores, "entropy", head);
  if (std::isfinite(entropy))
    return QStringLiteral(
               "Head %1 follows none of the named patterns here; its rows have %2 nats of entropy on "
               "average.")
        .arg(name, QString::number(entropy, 'f', 2));
  return {};
}

std::optional<HeadId> strongest_head(const AnalysisResult& scores, std::string_view name) {
  const Field* field = scores.field(name);
  if (!field || field->values.shape().size() != 2) return std::nullopt;
  std::optional<HeadId> best;
  float highest = -INFINITY;
  const auto& shape = field->values.shape();
  for (int32_t l = 0; l < shape[0]; ++l)
    for (int32_t h = 0; h < shape[1]; ++h)
      if (const float value = field->values.at({l, h}); value > highest) {
        highest = value;
        best = HeadId{LayerIndex{l}, HeadIndex{h}};
      }
  return best;
}

}  // namespace saccade
