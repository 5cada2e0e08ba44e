#include "analysis/head_lists.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <limits>
#include <nlohmann/json.hpp>
#include <numeric>

#include "core/base/files.h"

namespace saccade {
namespace {

using nlohmann::json;

Error bad(const std::filesystem::path& path, const std::string& what) {
  return make_error(ErrorCode::bad_format, fmt::format("{}: {}", path.string(), what));
}

// "11-15" as layer and head.
bool read_name(std::string_view name, int32_t& layer, int32_t& head) {
  const char* end = name.data() + name.size();
  const auto first = std::from_chars(name.data(), end, layer);
  if (first.ec != std::errc() || first.ptr == end || *first.ptr != '-' || layer < 0) return false;
  const auto second = std::from_chars(first.ptr + 1, end, head);
  return second.ec == std::errc() && second.ptr == end && head >= 0;
}

Result<std::vector<double>> samples_of(const json& list, const std::string& name,
                                       const std::filesystem::path& path) {
  std::vector<double> samples;
  if (!list.is_array()) return bad(path, fmt::format("'{}' is not a list of scores", name));
  for (const json& value : list) {
    if (!value.is_number() || !std::isfinite(value.get<double>()))
      return bad(path, fmt::format("'{}' has a score that is not a number", name));
    samples.push_back(value.get<double>());
  }
  return samples;
}

}  // namespace

Result<ScoresOfHeads> read_head_scores(const std::filesystem::path& path, const ModelSpec& spec) {
  SACCADE_TRY(const std::string text, read_text_file(path));
  const json document = json::parse(text, nullptr, false);
  if (!document.is_object() || document.empty())
    return bad(path, R"(expected head scores such as {"11-15": [0.9, 0.8]})");
  ScoresOfHeads scores(static_cast<size_t>(spec.n_heads_total()));
  int32_t layers = 0, heads = 0;
  for (const auto& [name, list] : document.items()) {
    int32_t layer = 0, head = 0;
    if (!read_name(name, layer, head)) return bad(path, fmt::format("'{}' is not LAYER-HEAD", name));
    layers = std::max(layers, layer + 1);
    heads = std::max(heads, head + 1);
    SACCADE_TRY(std::vector<double> samples, samples_of(list, name, path));
    if (layer < spec.n_layer && head < spec.n_head)
      scores[static_cast<size_t>(layer) * static_cast<size_t>(spec.n_head) + static_cast<size_t>(head)] =
          std::move(samples);
  }
  if (layers != spec.n_layer || heads != spec.n_head)
    return make_error(
        ErrorCode::invalid_argument,
        fmt::format("{} is of a model with {} layers of {} heads, this one has {} of {}: use the "
                    "file of this model",
                    path.string(), layers, heads, spec.n_layer, spec.n_head));
  return scores;
}

Result<void> write_head_scores(const std::filesystem::path& path, const ScoresOfHeads& scores,
                               const ModelSpec& spec) {
  const std::vector<double> means = means_of(scores);
  std::vector<size_t> order(scores.size());
  std::iota(order.begin(), order.end(), size_t{0});
  std::stable_sort(order.begin(), order.end(), [&](size_t a, size_t b) { return means[a] > means[b]; });
  nlohmann::ordered_json document;
  const auto heads = static_cast<size_t>(spec.n_head);
  for (const size_t at : order) document[fmt::format("{}-{}", at / heads, at % heads)] = scores[at];
  return write_text_file(path, document.dump() + "\n");
}

std::vector<double> means_of(const ScoresOfHeads& scores) {
  std::vector<double> means;
  for (const auto& samples : scores)
    means.push_back(samples.empty() ? 0.0
                                    : std::accumulate(samples.begin(), samples.end(), 0.0) /
                                          static_cast<double>(samples.size()));
  return means;
}

double deviation_of(std::span<const double> values) {
  const auto n = static_cast<double>(values.size());
  if (values.size() < 2) return std::numeric_limits<double>::quiet_NaN();
  const double mean = std::accumulate(values.begin(), values.end(), 0.0) / n;
  double squares = 0.0;
  for (const double value : values) squares += (value - mean) * (value - mean);
  return std::sqrt(squares / (n - 1.0));
}

}  // namespace saccade
