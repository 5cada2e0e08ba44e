#include "analysis/methods/metric.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>

namespace saccade {
namespace {

struct Named {
  Metric metric;
  const char* name;
  const char* label;
  const char* unit;
};
constexpr std::array<Named, 6> metrics{
    {{Metric::logit_difference, "logit-difference", "logit difference", "logits"},
     {Metric::probability, "probability", "probability of the answer", ""},
     {Metric::loss, "loss", "loss of the answer", "nats"},
     {Metric::kl, "kl", "KL divergence from the baseline", "nats"},
     {Metric::accuracy, "accuracy", "accuracy", ""},
     {Metric::exact_match, "exact-match", "exact match", ""}}};

const Named& entry_of(Metric metric) {
  return *std::find_if(metrics.begin(), metrics.end(),
                       [&](const Named& named) { return named.metric == metric; });
}

}  // namespace

Result<Metric> parse_metric(const std::string& name) {
  std::string known;
  for (const Named& named : metrics) {
    if (name == named.name) return named.metric;
    known += (known.empty() ? "" : ", ") + std::string(named.name);
  }
  return make_error(ErrorCode::invalid_argument,
                    fmt::format("no metric is called '{}'; there are {}", name, known));
}

const char* unit_of(Metric metric) { return entry_of(metric).unit; }
const char* label_of(Metric metric) { return entry_of(metric).label; }

std::vector<int32_t> ids_of(const PromptPair& pair) {
  std::vector<int32_t> ids = pair.right;
  ids.insert(ids.end(), pair.wrong.begin(), pair.wrong.end());
  return ids;
}

double value_of(Metric metric, const KeptAnswer& answer, const PromptPair& pair) {
  const std::span<const float> right = std::span(answer.logits).first(pair.right.size()),
                               wrong = std::span(answer.logits).subspan(pair.right.size());
  const auto mean = [](std::span<const float> logits) {
    double sum = 0.0;
    for (const float logit : logits) sum += logit;
    return sum / static_cast<double>(logits.size());
  };
  double probability = 0.0;
  for (const float logit : right) probability += std::exp(logit - answer.log_sum_exp);
  switch (metric) {
    case Metric::logit_difference:
      return mean(right) - (wrong.empty() ? answer.log_sum_exp : mean(wrong));
    case Metric::probability:
      return probability;
    case Metric::loss:
      return -std::log(probability);
    case Metric::kl:
      return answer.kl;
    case Metric::accuracy:
      if (!wrong.empty())
        return *std::max_element(right.begin(), right.end()) > *std::max_element(wrong.begin(), wrong.end())
                   ? 1.0
                   : 0.0;
      [[fallthrough]];
    case Metric::exact_match:
      return std::find(pair.right.begin(), pair.right.end(), answer.top_id) != pair.right.end() ? 1.0 : 0.0;
  }
  return 0.0;
}

double value_of(Metric metric, const HostTensor& logits, const PromptPair& pair,
                const HostTensor* reference) {
  return value_of(metric, keep_answer(logits, ids_of(pair), reference), pair);
}

std::vector<ScalarTerm> scalar_of(Metric metric, const PromptPair& pair) {
  const double each = 1.0 / static_cast<double>(pair.right.size());
  switch (metric) {
    case Metric::logit_difference: {
      if (!pair.wrong.empty())
        return {{ScalarKind::logit, each, -1, pair.right},
                {ScalarKind::logit, -1.0 / static_cast<double>(pair.wrong.size()), -1, pair.wrong}};
      std::vector<ScalarTerm> terms;
      for (const int32_t id : pair.right) terms.push_back({ScalarKind::log_probability, each, -1, {id}});
      return terms;
    }
    case Metric::probability:
      return {{ScalarKind::probability, 1.0, -1, pair.right}};
    case Metric::loss:
      return {{ScalarKind::log_probability, -1.0, -1, pair.right}};
    case Metric::kl:
    case Metric::accuracy:
    case Metric::exact_match:
      return {};
  }
  return {};
}

double normalised_effect(double patched, double from, double to) {
  if (!(std::abs(to - from) >= least_metric_difference)) return std::numeric_limits<double>::quiet_NaN();
  return (patched - from) / (to - from);
}

}  // namespace saccade
