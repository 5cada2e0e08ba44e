// head-table: one number per head for each simple thing heads are known to do.
#include <fmt/format.h>

#include <array>
#include <cmath>
#include <limits>
#include <numeric>
#include <unordered_map>

#include "analysis/methods/head_fields.h"
#include "analysis/methods/registry.h"
#include "core/capture/attention_map.h"

namespace saccade {
namespace {

constexpr double nan = std::numeric_limits<double>::quiet_NaN();

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

Field make_field(const char* name, const char* label, const char* unit, ValueKind kind,
                 const Capture& capture) {
  return head_field(name, label, unit, kind, static_cast<int64_t>(capture.layers.size()), capture.spec.n_head,
                    capture.provenance.request);
}

double mean(std::span<const float> values) {
  return std::accumulate(values.begin(), values.end(), 0.0) / static_cast<double>(values.size());
}

Result<void> check_capture(const Capture& capture) {
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

struct Best {
  HeadId head;
  double value = nan;
};

Best strongest(const Field& field) {
  Best best;
  const auto heads = field.values.shape()[1];
  for (int64_t at = 0; at < field.values.size(); ++at) {
    const double value = field.values.data()[at];
    if (std::isnan(value) || value <= best.value) continue;
    best = {head_at(at, heads), value};
  }
  return best;
}

// One sentence per question, and an honest one where no head stands out.
std::string finding(const AnalysisResult& result, const char* name, const char* what, const char* does,
                    double threshold) {
  const Best best = strongest(*result.field(name));
  if (std::isnan(best.value))
    return fmt::format("No token of this prompt repeats, so {} cannot be measured.", what);
  if (best.value < threshold)
    return fmt::format("No head stands out for {}: the strongest, {}, reaches {:.2f} (threshold {:.2f}).",
                       what, to_string(best.head), best.value, threshold);
  return fmt::format("Head {} {}: {} score {:.2f}.", to_string(best.head), does, what, best.value);
}

class HeadTable final : public AnalysisMethod {
 public:
  HeadTable() {
    info_.id = "head-table";
    info_.title = "Scores of every head";
    info_.summary =
        "Entropy, sink, locality, and how much of each head's attention lies on the previous, the first, the "
        "same "
        "or the induction token.";
    info_.citation =
        "pattern scores: sum(A*T)/sum(A) as in TransformerLens's head detector; prefix matching: Olsson et "
        "al. 2022 "
        "(arXiv 2209.11895); statistics: own";
    info_.parameters = {
        {"exclude_bos", "Leave out the first key",
         "Take the first key out of the previous, duplicate and induction scores and share out the rest.",
         false},
        {"exclude_self", "Leave out the diagonal",
         "Take each token's look at itself out of the previous, duplicate and induction scores.", false},
        {"threshold", "Threshold", "From which score a head is named in the findings.", 0.4, 0.0, 1.0}};
  }

  [[nodiscard]] const MethodInfo& info() const override { return info_; }

  [[nodiscard]] Result<AnalysisResult> compute(const MethodInput& input,
                                               const JobContext& job) const override {
    SACCADE_TRY(auto parameters, complete_parameters(info_, input.parameters));
    if (!input.capture || input.kernels == nullptr)
      return make_error(ErrorCode::invalid_argument, "head-table needs a run and a kernel set");
    const Capture& capture = *input.capture;
    SACCADE_CHECK(check_capture(capture));
    const Exclude exclude{parameters["exclude_bos"].get<bool>(), parameters["exclude_self"].get<bool>()};
    AnalysisResult result;
    result.method = info_.id;
    result.requests = {capture.provenance.request};
    add_statistics(capture, result);
    SACCADE_CHECK(add_patterns(input, exclude, job, result));
    const double threshold = parameters["threshold"].get<double>();
    result.findings = {
        finding(result, "induction", "induction", "looks at the token after the previous occurrence",
                threshold),
        finding(result, "previous_token", "previous-token", "looks at the token before", threshold),
        finding(result, "sink_mass", "sink", "rests on the first keys", threshold)};
    result.tables.push_back(heads_table(result.fields));
    result.parameters = std::move(parameters);
    return result;
  }

 private:
  static void add_statistics(const Capture& capture, AnalysisResult& result) {
    for (const Statistic& statistic : statistics) {
      Field field = make_field(statistic.name, statistic.label, statistic.unit, statistic.kind, capture);
      auto values = field.values.mutable_values();
      size_t at = 0;
      for (const auto& layer : capture.layers)
        for (int32_t head = 0; head < capture.spec.n_head; ++head)
          values[at++] = static_cast<float>(mean((layer->statistics.*statistic.rows).slice(head)));
      result.fields.push_back(std::move(field));
    }
  }

  static Result<void> add_patterns(const MethodInput& input, Exclude exclude, const JobContext& job,
                                   AnalysisResult& result) {
    const Capture& capture = *input.capture;
    const auto targets = make_targets(capture.tokens, exclude);
    std::vector<Field> fields;
    for (const Target& target : targets)
      fields.push_back(make_field(target.name, target.label, "", ValueKind::probability, capture));
    const auto layers = static_cast<int32_t>(capture.layers.size());
    const int32_t heads = capture.spec.n_head;
    for (int32_t at = 0; at < layers * heads; ++at) {
      const HeadId head{LayerIndex{at / heads}, HeadIndex{at % heads}};
      SACCADE_CHECK(job.check());
      job.progress(static_cast<double>(at) / (layers * heads), "head " + to_string(head));
      SACCADE_TRY(const AttentionMap map, AttentionMap::of(input.capture, head, *input.kernels));
      const auto lse = capture.layers[static_cast<size_t>(head.layer.value)]->lse.slice(head.head.value);
      for (size_t t = 0; t < targets.size(); ++t) {
        SACCADE_TRY(const double score, pattern_score(map, targets[t], lse, exclude, job));
        fields[t].values.mutable_values()[static_cast<size_t>(at)] = static_cast<float>(score);
      }
    }
    job.progress(1.0, "scores of every head");
    for (Field& field : fields) result.fields.push_back(std::move(field));
    return {};
  }

  MethodInfo info_;
};

}  // namespace

std::unique_ptr<AnalysisMethod> make_head_table() { return std::make_unique<HeadTable>(); }

}  // namespace saccade
