// Attributions over tokens as sentences, by templates alone: which words and phrases matter, and how much.
//
// e' = e / max |e|. A hit is a set of tokens inside a window whose mean e' exceeds theta and whose e' are all
// positive; theta = the mean of the top fraction of e' ("mean"), or three standard deviations ("deviation").
// Two searches slide over the tokens: spans (runs of odd length 3 .. window) and filters (every set of 2 to
// window - 2 tokens within `window`). Coverage of a set = its positive attribution over all positive
// attribution; hits below 10 % are dropped, single tokens too unless all are below. The five best hits of
// each search and the five best single tokens are united, neighbours merged into spans, and those kept whose
// coverage reaches the upper quartile. Source: Feldhus et al. 2023 (saliency map verbalisation, arXiv
// 2210.07222) and its code; coverage with inclusive ends.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

namespace saccade {

struct SaliencyOptions {
  bool by_deviation = false;
  double fraction = 0.4;
  int64_t window = 5;  // 3 to 8
};

struct SalientSpan {
  int64_t begin = 0, end = 0;  // tokens [begin, end)
  double coverage = 0.0;
};

// Strongest first, ties by position; empty where nothing is positive. NaN counts as 0.
[[nodiscard]] std::vector<SalientSpan> salient_spans(std::span<const double> attribution,
                                                     const SaliencyOptions& options);
[[nodiscard]] double coverage_of(std::span<const double> attribution, std::span<const int64_t> tokens);

// "word" for one token, "span" where a full stop is inside, else "phrase".
[[nodiscard]] const char* kind_of(const std::string& text, int64_t tokens);

// first and other hold "{kind}", "{text}" and "{share}":
//   The {kind} "{text}" is most important for the prediction ({share} %).
[[nodiscard]] std::string saliency_sentences(std::span<const SalientSpan> spans,
                                             std::span<const std::string> tokens, const std::string& first,
                                             const std::string& other);

}  // namespace saccade
