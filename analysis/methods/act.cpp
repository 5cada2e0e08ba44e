#include "analysis/methods/act.h"

#include <fmt/format.h>

#include <algorithm>

#include "core/model/visibility.h"

namespace saccade::act {

Result<Settings> Settings::for_tokens(int64_t n) const {
  Settings settings = *this;
  if (!relative) return settings;
  if (static_cast<double>(n) <= alpha)
    return make_error(
        ErrorCode::invalid_argument,
        fmt::format("alpha/N with alpha {} needs more than {} tokens, the run has {}; use rule=absolute",
                    alpha, alpha, n));
  settings.threshold = alpha / static_cast<double>(n);
  return settings;
}

std::vector<ParameterInfo> parameters() {
  return {choice("rule", "Threshold rule", "absolute: threshold; alpha-over-n: alpha / number of tokens.",
                 {"absolute", "alpha-over-n"}),
          {"threshold", "Threshold", "Mean weight above which a key is a sink.", 0.1, 0.0, 1.0},
          {"alpha", "Alpha", "Of the rule alpha-over-n.", 5.0, 0.0, 1000.0},
          {"least_rows", "Least rows", "Keys seen by fewer rows are no sinks: late columns average few.", 4,
           1, 100000},
          {"beta", "Beta", "What calibrated sinks keep of their weight.", 0.4, 0.0, 1.0}};
}

Settings read_settings(const nlohmann::json& parameters) {
  Settings settings;
  settings.relative = parameters["rule"].get<std::string>() == "alpha-over-n";
  settings.threshold = parameters["threshold"].get<double>();
  settings.alpha = parameters["alpha"].get<double>();
  settings.least_rows = parameters["least_rows"].get<int64_t>();
  settings.beta = parameters["beta"].get<double>();
  return settings;
}

std::vector<double> column_means(const ModelSpec& spec, int32_t layer, std::span<const float> received) {
  const auto n = static_cast<int64_t>(received.size());
  std::vector<double> means;
  for (int64_t j = 0; j < n; ++j)
    means.push_back(received[static_cast<size_t>(j)] /
                    static_cast<double>(queries_that_see(spec, layer, j, n)));
  return means;
}

HeadSinks sinks_of(const std::vector<double>& means, std::span<const float> received,
                   const Settings& settings) {
  HeadSinks sinks;
  const auto n = static_cast<int64_t>(means.size());
  for (int64_t j = 0; j < n; ++j) {
    if (!(means[static_cast<size_t>(j)] > settings.threshold) || n - j < settings.least_rows) continue;
    const double mass = received[static_cast<size_t>(j)] / static_cast<double>(n);
    sinks.keys.push_back(j);
    sinks.mass += mass;
    if (j >= settings.first_keys) {
      sinks.late_mass += mass;
      ++sinks.late;
    }
  }
  return sinks;
}

std::string edit_text(HeadId head, std::span<const int64_t> sinks, double beta) {
  std::string keys;
  for (const int64_t key : sinks)
    if (key > 0) keys += (keys.empty() ? "" : ",") + std::to_string(key);
  return keys.empty() ? "" : fmt::format("redistribute {} key={} to=rest by={}", to_string(head), keys, beta);
}

}  // namespace saccade::act
