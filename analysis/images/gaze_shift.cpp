#include "analysis/images/gaze_shift.h"

#include <algorithm>
#include <array>
#include <cctype>
#include <cmath>
#include <numeric>
#include <string>

namespace saccade {
namespace {

// Articles, pronouns, prepositions, conjunctions, auxiliaries, question words.
constexpr std::array<std::string_view, 112> function_words{
    "a",       "about",  "above", "after",  "again", "all",     "also",  "am",     "an",     "and",
    "any",     "are",    "as",    "at",     "be",    "because", "been",  "before", "being",  "below",
    "between", "both",   "but",   "by",     "can",   "could",   "did",   "do",     "does",   "doing",
    "down",    "during", "each",  "for",    "from",  "had",     "has",   "have",   "having", "he",
    "her",     "here",   "hers",  "him",    "his",   "how",     "i",     "if",     "in",     "into",
    "is",      "it",     "its",   "just",   "may",   "me",      "might", "my",     "no",     "nor",
    "not",     "of",     "off",   "on",     "or",    "other",   "our",   "out",    "over",   "please",
    "s",       "shall",  "she",   "should", "so",    "some",    "such",  "t",      "than",   "that",
    "the",     "their",  "them",  "then",   "there", "these",   "they",  "this",   "those",  "through",
    "to",      "too",    "under", "until",  "up",    "us",      "very",  "was",    "we",     "were",
    "what",    "when",   "where", "which",  "while", "who",     "whom",  "why",    "will",   "with",
    "would",   "you"};

}  // namespace

std::vector<double> gaze_shift(const mechanisms::Matrix& rows, const std::vector<bool>& counted) {
  const bool any = std::find(counted.begin(), counted.end(), true) != counted.end();
  std::vector<double> shift(static_cast<size_t>(rows.columns), 0.0);
  double tokens = 0.0;
  for (int64_t t = 1; t < rows.rows; ++t) {
    if (any && !counted[static_cast<size_t>(t - 1)]) continue;
    tokens += 1.0;
    for (int64_t j = 0; j < rows.columns; ++j)
      shift[static_cast<size_t>(j)] += std::max(0.0, rows.at(t, j) - rows.at(t - 1, j));
  }
  for (double& value : shift) value /= std::max(tokens, 1.0);
  return shift;
}

std::vector<double> gaze_saliency(const std::vector<std::vector<double>>& heads) {
  if (heads.empty()) return {};
  std::vector<double> totals;
  for (const auto& head : heads) totals.push_back(std::accumulate(head.begin(), head.end(), 0.0));
  const auto best = mechanisms::top_indices(totals, (static_cast<int64_t>(heads.size()) + 1) / 2);
  std::vector<double> mean(heads[0].size(), 0.0);
  for (const int64_t h : best)
    for (size_t j = 0; j < mean.size(); ++j)
      mean[j] += heads[static_cast<size_t>(h)][j] / static_cast<double>(best.size());
  const auto n = static_cast<double>(mean.size());
  const double centre = std::accumulate(mean.begin(), mean.end(), 0.0) / n;
  double square = 0.0;
  for (const double value : mean) square += (value - centre) * (value - centre);
  const double reach = 3.0 * std::sqrt(square / n);
  for (double& value : mean) value = std::clamp(value, centre - reach, centre + reach);
  const auto [least, most] = std::minmax_element(mean.begin(), mean.end());
  const double from = *least, span = *most - *least;
  for (double& value : mean) value = span > 0.0 ? (value - from) / span : 0.0;
  return mean;
}

std::vector<double> amplification(std::span<const double> saliency, double alpha) {
  std::vector<double> factors;
  for (const double x : saliency) factors.push_back(std::exp(alpha * x));
  return factors;
}

double question_factor(std::span<const double> weights, std::span<const double> factors) {
  const double before = std::accumulate(weights.begin(), weights.end(), 0.0);
  return before > 0.0 ? mechanisms::dot(weights, factors) / before : 1.0;
}

bool is_content_word(std::string_view text) {
  std::string word;
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (byte >= 0x80 || std::isalpha(byte) != 0) word += static_cast<char>(std::tolower(byte));
  }
  return !word.empty() &&
         std::find(function_words.begin(), function_words.end(), word) == function_words.end();
}

}  // namespace saccade
