#include "analysis/methods/head_scores/basic.h"

#include <fmt/format.h>

#include <array>
#include <cmath>
#include <numeric>
#include <unordered_map>

#include "analysis/methods/head_fields.h"
#include "core/capture/attention_map.h"

namespace saccade::head_scores {
namespace {

// The target cells of one pattern, by row: the score of a head is the mass on them over all mass in their
// rows.
struct Target {
  const char* name;
  const char* label;
  bool exclusions;  // whether exclude_bos and exclude_self apply
  std::vector<int32_t> query, key;
  std::vector<int32_t> rows;  // those with a target cell
};

struct Exclude {
  bool bos = false, self = false;
};

// T[i,j] for previous token, duplicate (j < i, same token), induction (token j - 1 is token i, j <= i), first
// token and self.
std::vector<Target> make_targets(const std::vector<Token>& tokens, Exclude exclude) {
  std::vector<Target> targets{{"previous_token", "Previous token", true, {}, {}, {}},
                              {"first_token", "First token", false, {}, {}, {}},
                              {"duplicate_token", "Duplicate token", true, {}, {}, {}},
                              {"induction", "Induction (prefix matching)", true, {}, {}, {}},
                              {"self", "Self", false, {}, {}, {}}};
  const auto add = [&](Target& target, int32_t i, int32_t j) {
    if (target.exclusions && ((exclude.bos && j == 0) || (exclude.self && j == i))) return;
    target.query.push_back(i);
    target.key.push_back(j);
    if (target.rows.empty() || target.rows.back() != i) target.rows.push_back(i);
  };
  std::unordered_map<int32_t, std::vector<int32_t>> seen;  // token id -> positions before i
  for (int32_t i = 0; i < static_cast<int32_t>(tokens.size()); ++i) {
    if (i > 0) add(targets[0], i, i - 1);
    add(targets[1], i, 0);
    for (int32_t earlier : seen[tokens[static_cast<size_t>(i)].id]) {
      add(targets[2], i, earlier);
      add(targets[3], i, earlier + 1);  // earlier + 1 <= i
    }
    add(targets[4], i, i);
    seen[tokens[static_cast<size_t>(i)].id].push_back(i);
  }
  return targets;
}

// Sum of p over the cells, in chunks small enough to notice a cancel.
Result<double> mass_on(const AttentionMap& map, std::span<const int32_t> query, std::span<const int32_t> key,
                       const JobContext& job) {
  constexpr size_t chunk = 1 << 16;
  double sum = 0.0;
  for (size_t at = 0; at < query.size(); at += chunk) {
    SACCADE_CHECK(job.check());
    const size_t count = std::min(chunk, query.size() - at);
    SACCADE_TRY(const auto weights, map.weights_at(query.subspan(at, count), key.subspan(at, count)));
    sum = std::accumulate(weights.begin(), weights.end(), sum);
  }
  return sum;
}

// The `mul` score: sum(A * T) / sum(A) over the rows that have a target; NaN when no row has one.
Result<double> pattern_score(const AttentionMap& map, const Target& target, std::span<const float> lse,
                             Exclude exclude, const JobContext& job) {
  if (target.query.empty()) return nan;
  SACCADE_TRY(const double hit, mass_on(map, target.query, target.key, job));
  double all = 0.0;
  for (int32_t row : target.rows) all += std::isinf(lse[static_cast<size_t>(row)]) ? 0.0 : 1.0;
  if (target.exclusions && exclude.bos) {
    const std::vector<int32_t> zeros(target.rows.size(), 0);
    SACCADE_TRY(const double bos, mass_on(map, target.rows, zeros, job));
    all -= bos;
  }
  if (target.exclusions && exclude.self) {
    SACCADE_TRY(const double self, mass_on(map, target.rows, target.rows, job));
    all -= self;  // never the BOS cell again: row 0 has no target
  }
  return all > 1e-6 ? hit / all : 0.0;
}

struct Statistic {
  const char* name;
  const char* label;
  const char* unit;
  ValueKind kind;
  HostTensor HeadStatistics::*rows;
};
constexpr std::array<Statistic, 5> statistics{
    {{"entropy", "Entropy", "nats", ValueKind::magnitude, &HeadStatistics::entropy},
     {"sink_mass", "Mass on the first keys (sink)", "", ValueKind::probability, &HeadStatistics::sink_mass},
     {"local_mass", "Mass on nearby keys", "", ValueKind::probability, &HeadStatistics::local_mass},
     {"max_weight", "Largest weight", "", ValueKind::probability, &HeadStatistics::max_weight},
     {"mean_distance", "Mean distance", "tokens", ValueKind::magnitude, &HeadStatistics::mean_distance}}};

double mean(std::span<const float> values) {
  return std::accumulate(values.begin(), values.end(), 0.0) / static_cast<double>(values.size());
}

}  // namespace

Result<void> check_statistics(const Capture& capture) {
  if (capture.tokens.empty() || capture.layers.empty())
    return make_error(ErrorCode::invalid_argument, "the run has no tokens or no layers to score");
  for (size_t layer = 0; layer < capture.layers.size(); ++layer)
    for (const Statistic& statistic : statistics) {
      const HostTensor& rows = capture.layers[layer]->statistics.*statistic.rows;
      const int64_t expected = capture.spec.n_head * capture.n_token();
      if (rows.size() != expected)
        return make_error(
            ErrorCode::invalid_argument,
            fmt::format("layer {} kept {} numbers of {}, expected {} (heads x tokens); run again with "
                        "statistics captured",
                        layer, rows.size(), statistic.name, expected));
    }
  return {};
}

Result<void> add_basic_scores(const MethodInput& input, const Settings& settings, double to,
                              const JobContext& job, ScoreSheet& sheet) {
  const Capture& capture = *input.capture;
  for (const Statistic& statistic : statistics) {
    const size_t column = sheet.add(statistic.name, statistic.label, statistic.unit, statistic.kind);
    for (int64_t at = 0; at < sheet.count(); ++at) {
      const auto& layer = capture.layers[static_cast<size_t>(at / sheet.heads())];
      sheet.set(column, at, mean((layer->statistics.*statistic.rows).slice(at % sheet.heads())));
    }
  }
  const Exclude exclude{settings.exclude_first, settings.exclude_self};
  const auto targets = make_targets(capture.tokens, exclude);
  const size_t first = sheet.fields.size();
  for (const Target& target : targets) sheet.add(target.name, target.label, "", ValueKind::probability);
  return for_each_head(sheet.count(), input.threads, job, 0.0, to, [&](int64_t at, int) -> Result<void> {
    const HeadId head = head_at(at, sheet.heads());
    SACCADE_TRY(const AttentionMap map, AttentionMap::of(input.capture, head, *input.kernels));
    const auto lse = capture.layers[static_cast<size_t>(head.layer.value)]->lse.slice(head.head.value);
    for (size_t t = 0; t < targets.size(); ++t) {
      SACCADE_TRY(const double score, pattern_score(map, targets[t], lse, exclude, job));
      sheet.set(first + t, at, score);
    }
    return {};
  });
}

}  // namespace saccade::head_scores
