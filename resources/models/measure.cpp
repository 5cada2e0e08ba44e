#include "resources/models/measure.h"

#include <algorithm>
#include <cmath>

namespace saccade {
namespace {

constexpr double score_that_names_a_head = 0.5;

TokenBatch repeated_batch(const Language& language, uint64_t seed, int32_t texts, int32_t half) {
  Random random(seed);
  TokenBatch batch{{}, {}, 1 + 2 * half};
  for (int32_t t = 0; t < texts; ++t) {
    const auto ids = language.repeated_words(random, half);
    batch.ids.insert(batch.ids.end(), ids.begin(), ids.end());
  }
  return batch;
}

CopyLoss copy_loss(const Observation& seen, int32_t texts, int32_t half) {
  CopyLoss loss;
  for (int32_t t = 0; t < texts; ++t) {
    const float* row = seen.log_prob.data() + static_cast<size_t>(t) * 2 * half;
    for (int32_t i = 0; i < half; ++i) loss.first -= row[i] / (static_cast<double>(texts) * half);
    for (int32_t i = half + 1; i < 2 * half; ++i)
      loss.second -= row[i] / (static_cast<double>(texts) * (half - 1));
  }
  return loss;
}

// Queries of "previous", "self" and "first" are all words; of the other two the words of the second copy, for
// "induction" without the last, whose successor in the first copy is the second copy itself.
void add_scores(HeadReport& report, const float* pattern, int32_t half, double texts) {
  const int32_t n = 1 + 2 * half;
  const auto p = [&](int32_t query, int32_t key) { return static_cast<double>(pattern[query * n + key]); };
  for (int32_t i = 1; i < n; ++i) {
    report.previous += p(i, i - 1) / (texts * (n - 1));
    report.self += p(i, i) / (texts * (n - 1));
    report.first += p(i, 0) / (texts * (n - 1));
  }
  for (int32_t i = half + 1; i < n; ++i) {
    report.duplicate += p(i, i - half) / (texts * half);
    if (i + 1 < n) report.induction += p(i, i - half + 1) / (texts * (half - 1));
  }
}

std::vector<HeadReport> head_scores(const Gpt2Shape& shape, const Observation& seen, int32_t texts,
                                    int32_t half) {
  const size_t n = 1 + 2 * static_cast<size_t>(half);
  std::vector<HeadReport> heads;
  for (int32_t l = 0; l < shape.n_layer; ++l) {
    for (int32_t h = 0; h < shape.n_head; ++h) {
      HeadReport report;
      report.head = {l, h};
      for (int32_t t = 0; t < texts; ++t) {
        const size_t map = (static_cast<size_t>(l) * texts + t) * shape.n_head + h;
        add_scores(report, seen.pattern.data() + map * n * n, half, texts);
      }
      heads.push_back(report);
    }
  }
  return heads;
}

Result<Giving> measure_giving(const Gpt2& model, const std::vector<GivingPrompt>& prompts,
                              const std::vector<Head>& zeroed) {
  Giving giving;
  const auto share = 1.0 / static_cast<double>(prompts.size());
  for (const auto& prompt : prompts) {
    const TokenBatch batch{prompt.ids, {}, static_cast<int32_t>(prompt.ids.size())};
    SACCADE_TRY(const Observation seen, model.observe(batch, zeroed));
    const double right = seen.last_log_prob[prompt.receiver], wrong = seen.last_log_prob[prompt.giver];
    giving.probability += share * std::exp(right);
    giving.difference += share * (right - wrong);
    giving.accuracy += right > wrong ? share : 0.0;
  }
  return giving;
}

// Everything that is measured on the repeated words.
struct Bench {
  const Gpt2& model;
  TokenBatch batch;
  int32_t texts, half;

  [[nodiscard]] Result<CopyLoss> loss(const std::vector<Head>& zeroed) const {
    SACCADE_TRY(const Observation seen, model.observe(batch, zeroed));
    return copy_loss(seen, texts, half);
  }
};

std::vector<Head> heads_of_layer(const Gpt2Shape& shape, int32_t layer) {
  std::vector<Head> out;
  for (int32_t h = 0; h < shape.n_head; ++h) out.push_back({layer, h});
  return out;
}

}  // namespace

Result<Glance> glance(const Gpt2& model, const Language& language, uint64_t seed) {
  const int32_t texts = 16, half = 50;
  SACCADE_TRY(const Observation seen, model.observe(repeated_batch(language, seed, texts, half), {}));
  Glance out;
  out.loss = copy_loss(seen, texts, half);
  for (const auto& report : head_scores(model.shape(), seen, texts, half)) {
    out.previous = std::max(out.previous, report.previous);
    out.induction = std::max(out.induction, report.induction);
  }
  return out;
}

Result<Measurement> measure(const Gpt2& model, const Language& language, uint64_t seed) {
  Measurement m;
  m.texts = 64;
  m.half = 50;
  m.giving_prompts = 200;
  const Bench bench{model, repeated_batch(language, seed, m.texts, m.half), m.texts, m.half};
  SACCADE_TRY(const Observation seen, model.observe(bench.batch, {}));
  m.intact = copy_loss(seen, m.texts, m.half);
  m.heads = head_scores(model.shape(), seen, m.texts, m.half);

  Random random(seed + 1);
  std::vector<GivingPrompt> prompts;
  for (int32_t i = 0; i < m.giving_prompts; ++i) prompts.push_back(language.giving_prompt(random));
  SACCADE_TRY(m.giving, measure_giving(model, prompts, {}));

  for (auto& report : m.heads) {
    SACCADE_TRY(report.loss_without, bench.loss({report.head}));
    SACCADE_TRY(report.giving_without, measure_giving(model, prompts, {report.head}));
    if (report.previous > score_that_names_a_head) m.previous_heads.push_back(report.head);
    if (report.induction > score_that_names_a_head) m.induction_heads.push_back(report.head);
  }
  SACCADE_TRY(m.without_previous, bench.loss(m.previous_heads));
  SACCADE_TRY(m.without_induction, bench.loss(m.induction_heads));
  for (int32_t l = 0; l < model.shape().n_layer; ++l) {
    SACCADE_TRY(const CopyLoss loss, bench.loss(heads_of_layer(model.shape(), l)));
    m.without_layer.push_back(loss);
  }
  return m;
}

}  // namespace saccade
