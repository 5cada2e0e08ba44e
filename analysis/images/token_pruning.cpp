#include "analysis/images/token_pruning.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "analysis/mechanisms/matrix.h"

namespace saccade {
namespace {

std::vector<int64_t> neighbours(int64_t token, int64_t height, int64_t width, bool strict) {
  const int64_t last = height * width - 1, column = token % width;
  std::vector<int64_t> found;
  for (const int64_t step : {int64_t{-1}, int64_t{1}, -width, width}) {
    if (strict && ((step == -1 && column == 0) || (step == 1 && column == width - 1))) continue;
    if (strict && (token + step < 0 || token + step > last)) continue;
    found.push_back(std::clamp<int64_t>(token + step, 0, last));
  }
  return found;
}

}  // namespace

const char* to_string(TokenRole role) {
  switch (role) {
    case TokenRole::dropped:
      return "dropped";
    case TokenRole::anchor:
      return "anchor";
    case TokenRole::buffer:
      return "buffer";
    case TokenRole::registers:
      return "register";
  }
  return "";
}

int64_t anchor_count(const PruneRule& rule) {
  return std::llround(rule.alpha * static_cast<double>(rule.budget) / 5.0);
}

std::vector<TokenRole> prune_tokens(std::span<const double> object, std::span<const double> output,
                                    int64_t height, int64_t width, const PruneRule& rule) {
  const int64_t n = height * width;
  std::vector<TokenRole> roles(static_cast<size_t>(n), TokenRole::dropped);
  int64_t left = std::min(rule.budget, n);
  const auto give = [&](int64_t token, TokenRole role) {
    TokenRole& now = roles[static_cast<size_t>(token)];
    if (left == 0 || now != TokenRole::dropped) return;
    now = role;
    --left;
  };
  const std::vector<int64_t> anchors = mechanisms::top_indices(object, anchor_count(rule));
  for (const int64_t token : anchors) give(token, TokenRole::anchor);
  for (const int64_t token : anchors)
    for (const int64_t beside : neighbours(token, height, width, rule.strict))
      give(beside, TokenRole::buffer);
  for (const int64_t token : mechanisms::top_indices(output, n)) give(token, TokenRole::registers);
  return roles;
}

double dispersion(std::span<const double> importance, int64_t width, double share) {
  const auto n = static_cast<int64_t>(importance.size());
  const auto top = mechanisms::top_indices(
      importance, std::max<int64_t>(2, static_cast<int64_t>(share * static_cast<double>(n))));
  double sum = 0.0;
  int64_t pairs = 0;
  for (size_t a = 0; a < top.size(); ++a)
    for (size_t b = a + 1; b < top.size(); ++b) {
      const int64_t rows = top[a] / width - top[b] / width, columns = top[a] % width - top[b] % width;
      sum += std::hypot(static_cast<double>(rows), static_cast<double>(columns));
      ++pairs;
    }
  return pairs > 0 ? sum / static_cast<double>(pairs) : std::numeric_limits<double>::quiet_NaN();
}

}  // namespace saccade
