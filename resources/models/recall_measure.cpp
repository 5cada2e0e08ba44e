#include "resources/models/recall_measure.h"

#include <algorithm>
#include <cmath>

namespace saccade {
namespace {

constexpr double score_that_names_a_head = 0.1;  // the paper's
constexpr FactMixture measured_mixture{3, 8, 3, true, 0.0F};

struct Asked {
  TokenBatch batch;  // one text
  std::vector<Question> questions;
};

std::vector<Asked> draw_texts(const FactLanguage& language, uint64_t seed, int32_t texts, int32_t length) {
  Random random(seed);
  std::vector<Asked> out;
  for (int32_t t = 0; t < texts; ++t) {
    const auto text = language.text(random, length, measured_mixture);
    out.push_back({{text.text.ids, {}, length}, text.questions});
  }
  return out;
}

void add_recall(const Asked& text, const Observation& seen, RecallScore& sum, int32_t& questions) {
  for (const auto& question : text.questions) {
    ++questions;
    for (int32_t word = 0; word < words_per_value; ++word) {
      const double p = std::exp(seen.log_prob[question.asked + word]);
      (word == 0 ? sum.first : sum.later) += word == 0 ? p : p / (words_per_value - 1);
    }
  }
}

RecallScore mean_of(RecallScore sum, int32_t questions) {
  return {sum.first / std::max(1, questions), sum.later / std::max(1, questions)};
}

Result<RecallScore> recall_of(const Llama& model, const std::vector<Asked>& texts,
                              const std::vector<Head>& zeroed) {
  RecallScore sum;
  int32_t questions = 0;
  for (const auto& text : texts) {
    SACCADE_TRY(const Observation seen, model.observe(text.batch, zeroed));
    add_recall(text, seen, sum, questions);
  }
  return mean_of(sum, questions);
}

// Adds what one text shows of every head; `pattern` is [layer, head, query, key].
void add_heads(const Asked& text, const Observation& seen, std::vector<RecallHead>& heads) {
  const auto n = static_cast<size_t>(text.batch.length);
  for (size_t h = 0; h < heads.size(); ++h) {
    const float* pattern = seen.pattern.data() + h * n * n;
    for (size_t i = 1; i < n; ++i) heads[h].previous += pattern[i * n + i - 1] / static_cast<double>(n - 1);
    for (const auto& question : text.questions)
      for (int32_t word = 0; word < words_per_value; ++word) {
        const float* row = pattern + static_cast<size_t>(question.asked + word) * n;
        const auto strongest = std::max_element(row, row + question.asked + word + 1) - row;
        heads[h].retrieval += strongest == question.fact_begin + word ? 1.0 : 0.0;
      }
  }
}

Result<void> without_others(const Llama& model, const std::vector<Asked>& texts, uint64_t seed,
                            RecallMeasurement& m) {
  Random random(seed);
  for (int32_t draw = 0; draw < m.draws; ++draw) {
    std::vector<Head> others;
    for (const auto& report : m.heads)
      if (std::find(m.retrieval_heads.begin(), m.retrieval_heads.end(), report.head) ==
          m.retrieval_heads.end())
        others.push_back(report.head);
    const auto count = std::min(m.retrieval_heads.size(), others.size());
    for (size_t i = 0; i < count; ++i)
      std::swap(others[i], others[i + random.below(static_cast<int32_t>(others.size() - i))]);
    others.resize(count);
    SACCADE_TRY(const RecallScore recall, recall_of(model, texts, others));
    m.without_others.first += recall.first / m.draws;
    m.without_others.later += recall.later / m.draws;
  }
  return {};
}

}  // namespace

Result<RecallScore> recall_glance(const Llama& model, const FactLanguage& language, int32_t length,
                                  uint64_t seed, const std::vector<Head>& zeroed) {
  return recall_of(model, draw_texts(language, seed, std::max(2, 512 / length), length), zeroed);
}

Result<RecallMeasurement> measure_recall(const Llama& model, const FactLanguage& language, int32_t length,
                                         uint64_t seed) {
  RecallMeasurement m;
  m.texts = 12;
  m.length = length;
  m.draws = 20;
  for (const int32_t other : {64, 128, 256, 384, 512}) {
    SACCADE_TRY(const RecallScore recall,
                recall_of(model, draw_texts(language, seed + other, 12, other), {}));
    m.lengths.push_back({other, recall});
  }
  const auto texts = draw_texts(language, seed, m.texts, length);
  for (int32_t l = 0; l < model.shape().n_layer; ++l)
    for (int32_t h = 0; h < model.shape().n_head; ++h) m.heads.push_back({{l, h}, 0, 0, {}});
  RecallScore sum;
  for (const auto& text : texts) {
    SACCADE_TRY(const Observation seen, model.observe(text.batch, {}));
    add_recall(text, seen, sum, m.questions);
    add_heads(text, seen, m.heads);
  }
  m.intact = mean_of(sum, m.questions);
  for (auto& report : m.heads) {
    report.previous /= m.texts;
    report.retrieval /= static_cast<double>(m.questions) * words_per_value;
    SACCADE_TRY(report.recall_without, recall_of(model, texts, {report.head}));
    if (report.retrieval >= score_that_names_a_head) m.retrieval_heads.push_back(report.head);
  }
  SACCADE_TRY(m.without_retrieval, recall_of(model, texts, m.retrieval_heads));
  SACCADE_CHECK(without_others(model, texts, seed + 1, m));
  return m;
}

}  // namespace saccade
