#include "analysis/methods/saliency_text.h"

#include <fmt/format.h>

#include <algorithm>
#include <bit>
#include <cmath>
#include <numeric>
#include <set>

namespace saccade {
namespace {

constexpr size_t best_of_each = 5;
constexpr double least_coverage = 0.1;

using Tokens = std::vector<int64_t>;

struct Hit {
  Tokens tokens;
  double coverage = 0.0;
};

double threshold_of(const std::vector<double>& scaled, const SaliencyOptions& options) {
  const auto n = static_cast<double>(scaled.size());
  if (options.by_deviation) {
    const double mean = std::accumulate(scaled.begin(), scaled.end(), 0.0) / n;
    double squares = 0.0;
    for (const double value : scaled) squares += (value - mean) * (value - mean);
    return 3.0 * std::sqrt(squares / n);
  }
  std::vector<double> sorted(scaled);
  std::sort(sorted.begin(), sorted.end(), std::greater<>());
  const auto top = std::max<size_t>(1, static_cast<size_t>(options.fraction * n));
  return std::accumulate(sorted.begin(), sorted.begin() + static_cast<ptrdiff_t>(top), 0.0) /
         static_cast<double>(top);
}

class Search {
 public:
  Search(std::span<const double> attribution, std::vector<double> scaled, double threshold)
      : attribution_(attribution), scaled_(std::move(scaled)), threshold_(threshold) {}

  // A set of offsets, put at every place where it fits within `width`.
  void slide(const Tokens& offsets, int64_t width, std::vector<Hit>& hits) const {
    for (int64_t at = 0; at + width <= static_cast<int64_t>(scaled_.size()); ++at) {
      Tokens tokens;
      double sum = 0.0;
      bool positive = true;
      for (const int64_t offset : offsets) {
        const double value = scaled_[static_cast<size_t>(at + offset)];
        positive = positive && value > 0.0;
        sum += value;
        tokens.push_back(at + offset);
      }
      if (!positive || !(sum / static_cast<double>(offsets.size()) > threshold_)) continue;
      const double coverage = coverage_of(attribution_, tokens);
      if (coverage >= least_coverage) hits.push_back({std::move(tokens), coverage});
    }
  }

 private:
  std::span<const double> attribution_;
  std::vector<double> scaled_;
  double threshold_;
};

void unite_best(std::vector<Hit>& hits, std::set<int64_t>& into) {
  std::stable_sort(hits.begin(), hits.end(),
                   [](const Hit& a, const Hit& b) { return a.coverage > b.coverage; });
  for (size_t i = 0; i < std::min(best_of_each, hits.size()); ++i)
    into.insert(hits[i].tokens.begin(), hits[i].tokens.end());
}

double upper_quartile(const std::vector<SalientSpan>& spans) {
  std::vector<double> values;
  for (const SalientSpan& span : spans) values.push_back(span.coverage);
  std::sort(values.begin(), values.end());
  const double at = 0.75 * static_cast<double>(values.size() - 1);
  const auto low = static_cast<size_t>(at);
  const size_t high = std::min(low + 1, values.size() - 1);
  return values[low] + (at - static_cast<double>(low)) * (values[high] - values[low]);
}

std::string replaced(std::string text, const std::string& what, const std::string& with) {
  const size_t at = text.find(what);
  return at == std::string::npos ? text : text.replace(at, what.size(), with);
}

}  // namespace

double coverage_of(std::span<const double> attribution, std::span<const int64_t> tokens) {
  double all = 0.0, some = 0.0;
  for (const double value : attribution)
    if (value > 0.0) all += value;
  for (const int64_t token : tokens)
    if (const double value = attribution[static_cast<size_t>(token)]; value > 0.0) some += value;
  return all > 0.0 ? some / all : 0.0;
}

std::vector<SalientSpan> salient_spans(std::span<const double> attribution, const SaliencyOptions& options) {
  std::vector<double> clean(attribution.begin(), attribution.end());
  double largest = 0.0;
  for (double& value : clean) {
    if (std::isnan(value)) value = 0.0;
    largest = std::max(largest, std::abs(value));
  }
  if (std::none_of(clean.begin(), clean.end(), [](double value) { return value > 0.0; })) return {};
  std::vector<double> scaled(clean);
  for (double& value : scaled) value /= largest;
  const Search search(clean, scaled, threshold_of(scaled, options));
  std::vector<Hit> runs, filters, singles;
  for (int64_t length = 3; length <= options.window; length += 2) {
    Tokens run(static_cast<size_t>(length));
    std::iota(run.begin(), run.end(), int64_t{0});
    search.slide(run, length, runs);
  }
  for (uint32_t bits = 1; bits < (1U << options.window); ++bits) {
    const int ones = std::popcount(bits);
    if (ones < 2 || ones > options.window - 2) continue;
    Tokens offsets;
    for (int64_t bit = 0; bit < options.window; ++bit)
      if ((bits >> bit & 1U) != 0) offsets.push_back(bit);
    search.slide(offsets, options.window, filters);
  }
  for (int64_t token = 0; token < static_cast<int64_t>(clean.size()); ++token)
    if (clean[static_cast<size_t>(token)] > 0.0)
      singles.push_back({{token}, coverage_of(clean, std::vector<int64_t>{token})});
  const auto weak = [](const Hit& hit) { return hit.coverage < least_coverage; };
  if (!std::all_of(singles.begin(), singles.end(), weak)) std::erase_if(singles, weak);
  std::set<int64_t> united;
  for (auto* hits : {&runs, &filters, &singles}) unite_best(*hits, united);

  std::vector<SalientSpan> spans;
  for (const int64_t token : united) {
    if (spans.empty() || spans.back().end != token) spans.push_back({token, token, 0.0});
    spans.back().end = token + 1;
    spans.back().coverage += coverage_of(clean, std::vector<int64_t>{token});
  }
  const double least = upper_quartile(spans);
  std::erase_if(spans, [&](const SalientSpan& span) { return span.coverage < least; });
  std::stable_sort(spans.begin(), spans.end(),
                   [](const SalientSpan& a, const SalientSpan& b) { return a.coverage > b.coverage; });
  return spans;
}

const char* kind_of(const std::string& text, int64_t tokens) {
  if (tokens == 1) return "word";
  return text.find('.') != std::string::npos ? "span" : "phrase";
}

std::string saliency_sentences(std::span<const SalientSpan> spans, std::span<const std::string> tokens,
                               const std::string& first, const std::string& other) {
  std::string paragraph;
  for (const SalientSpan& span : spans) {
    std::string text;
    for (int64_t t = span.begin; t < span.end; ++t) text += tokens[static_cast<size_t>(t)];
    const size_t begin = text.find_first_not_of(" \n\t");
    text = begin == std::string::npos ? text : text.substr(begin, text.find_last_not_of(" \n\t") + 1 - begin);
    std::string sentence =
        replaced(paragraph.empty() ? first : other, "{kind}", kind_of(text, span.end - span.begin));
    sentence = replaced(sentence, "{share}", fmt::format("{:.0f}", 100.0 * span.coverage));
    paragraph += (paragraph.empty() ? "" : " ") + replaced(sentence, "{text}", text);
  }
  return paragraph;
}

}  // namespace saccade
