// saccade-train-recall OUT_DIR [--seed S] [--minutes M] [--steps N]: trains demo:recall and writes its
// folder.
//
// The schedule is counted in steps, never in time, so that a seed gives one model. Progress goes to stderr,
// what the heads do to stdout. Exit 0 done, 1 failed, 2 wrong usage.
#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdio>
#include <numbers>

#include "resources/models/export.h"
#include "resources/models/facts.h"
#include "resources/models/llama.h"
#include "resources/models/recall_measure.h"
#include "resources/models/recall_page.h"
#include "resources/models/trainer_main.h"

namespace saccade {
namespace {

struct Settings {
  std::filesystem::path folder;
  uint64_t seed = 1;
  double minutes = 120;
  int32_t steps = 2000;
};

constexpr int32_t tokens_per_step = 1024, steps_per_point = 100, measured_length = 256;
constexpr uint64_t seed_of_measurements = 0x5EED;  // kept away from the training texts' seeds

struct Stage {
  int32_t length = 0;
  FactMixture facts;
};

// First short texts, where looking up pays soonest; then more facts, and long texts.
Stage stage_of(int32_t step, int32_t steps) {
  const double done = static_cast<double>(step) / steps;
  const bool odd = step % 2 == 1;
  if (done < 0.3) return {64, {2, 3, 2, true, 0.0F}};
  if (done < 0.5) return {128, {2, odd ? 5 : 6, odd ? 4 : 5, odd, 0.0F}};
  if (done < 0.65) return {odd ? 256 : 128, {3, odd ? 12 : 6, odd ? 9 : 5, step % 4 < 2, 0.05F}};
  const bool longest = step % 3 == 0;
  return {longest ? 512 : 256, {1, longest ? 16 : 12, longest ? 14 : 9, step % 4 != 0, 0.05F}};
}

// Rises over 100 steps, stays, and falls along a cosine to a twentieth over the last 40 %.
double learning_rate(int32_t step, int32_t steps) {
  const double peak = 4e-3, lowest = 0.05, level_until = 0.6 * steps;
  const double warm = std::min(1.0, (step + 1) / 100.0);
  const double fall = std::max(0.0, (step - level_until) / (steps - level_until));
  return peak * warm * (lowest + (1 - lowest) * 0.5 * (1 + std::cos(std::numbers::pi * fall)));
}

// After the learning: the fading, then as many steps without; shares of the schedule.
constexpr double faded = 0.15, freed = 0.15;
constexpr int32_t retrieving_layer = 1;
constexpr double fade_per_step = 0.97, pruning_rate = 1e-3, guide_weight = 0.5;

// Level, and over the steps after the fading along a cosine to a twentieth.
double rate_while_pruning(int32_t step, int32_t fading, int32_t steps) {
  const double lowest = 0.05, fall = std::max(0.0, static_cast<double>(step - fading) / (steps - fading));
  return pruning_rate * (lowest + (1 - lowest) * 0.5 * (1 + std::cos(std::numbers::pi * fall)));
}

TokenBatch draw_batch(const FactLanguage& language, Random& random, const Stage& stage) {
  TokenBatch batch;
  batch.length = stage.length;
  for (int32_t t = 0; t < tokens_per_step / batch.length; ++t) {
    const auto [text, questions] = language.text(random, batch.length, stage.facts);
    const auto begin = batch.ids.size();
    batch.ids.insert(batch.ids.end(), text.ids.begin(), text.ids.end());
    batch.weight.insert(batch.weight.end(), text.weight.begin(), text.weight.end());
    batch.source.resize(batch.ids.size(), -1);
    for (const auto& question : questions)
      for (int32_t word = 0; word < words_per_value; ++word)
        batch.source[begin + question.asked + word] = question.fact_begin + word;
  }
  return batch;
}

class Trainer {
 public:
  Trainer(Llama& model, const FactLanguage& language, const Settings& settings)
      : model_(model), language_(language), settings_(settings), random_(settings.seed) {
    record_.seed = settings.seed;
  }

  Result<RecallTraining> run() {
    SACCADE_CHECK(learn());
    SACCADE_CHECK(prune());
    return record_;
  }

 private:
  Result<void> learn() {
    for (int32_t step = 0; step < settings_.steps; ++step)
      SACCADE_CHECK(this->step(learning_rate(step, settings_.steps), {}, {}));
    record_.learned_at = done_;
    return {};
  }

  // All heads of the layer that retrieves have learned the same. One KV group stays; what the others write
  // fades, and their queries and keys are then drawn anew. Everything trains on, a head of layer 0 missing in
  // every second step. Begins as from the folder that learning alone would write: rounded, texts from the
  // seed.
  Result<void> prune() {
    SACCADE_CHECK(model_.round_to_bfloat16());
    SACCADE_CHECK(model_.restart_optimizer());
    random_ = Random(settings_.seed);
    const auto fading = static_cast<int32_t>(faded * settings_.steps);
    const auto steps = fading + static_cast<int32_t>(freed * settings_.steps);
    SACCADE_TRY(const int32_t stays, strongest_group());
    record_.stay = heads_of(stays);
    const std::vector<Head> others = heads_except(stays);
    for (int32_t step = 0; step < steps; ++step) {
      std::vector<Head> missing;
      if (step % 2 == 0) missing.push_back({0, random_.below(model_.shape().n_head)});
      const double guided = std::max(0.0, guide_weight * (1.0 - static_cast<double>(step) / fading));
      SACCADE_CHECK(this->step(rate_while_pruning(step, fading, steps), missing, {record_.stay, guided}));
      if (step < fading) SACCADE_CHECK(model_.fade(others, fade_per_step));
      if (step + 1 != fading) continue;
      record_.faded_at = done_;
      for (int32_t group = 0; group < model_.shape().n_kv_head; ++group)
        if (group != stays) SACCADE_CHECK(model_.redraw(retrieving_layer, group));
    }
    return {};
  }

  [[nodiscard]] std::vector<Head> heads_of(int32_t group) const {
    const int32_t size = model_.shape().n_head / model_.shape().n_kv_head;
    std::vector<Head> heads;
    for (int32_t head = group * size; head < (group + 1) * size; ++head)
      heads.push_back({retrieving_layer, head});
    return heads;
  }

  [[nodiscard]] std::vector<Head> heads_except(int32_t group) const {
    std::vector<Head> heads;
    for (int32_t other = 0; other < model_.shape().n_kv_head; ++other)
      for (const Head& head : other == group ? std::vector<Head>() : heads_of(other)) heads.push_back(head);
    return heads;
  }

  // The one that recalls best when the other groups of its layer are zeroed.
  Result<int32_t> strongest_group() {
    int32_t best = 0;
    double most = -1;
    for (int32_t group = 0; group < model_.shape().n_kv_head; ++group) {
      SACCADE_TRY(const RecallScore recall,
                  recall_glance(model_, language_, 128, seed_of_measurements, heads_except(group)));
      std::fprintf(stderr, "layer %d, KV group %d alone: %.3f %.3f\n", retrieving_layer, group, recall.first,
                   recall.later);
      if (recall.first + recall.later <= most) continue;
      most = recall.first + recall.later;
      best = group;
    }
    return best;
  }

  Result<void> step(double rate, const std::vector<Head>& missing, const Guide& guide) {
    const auto batch = draw_batch(language_, random_, stage_of(done_, settings_.steps));
    SACCADE_TRY(const double loss, model_.train_step(batch, rate, missing, guide));
    sum_ += loss;
    ++done_;
    record_.tokens += static_cast<int64_t>(batch.ids.size());
    record_.seconds = std::chrono::duration<double>(Clock::now() - begin_).count();
    if (record_.seconds > 60 * settings_.minutes)
      return make_error(ErrorCode::cancelled,
                        "not done after " + std::to_string(done_) + " steps; allow more with --minutes");
    if (done_ % steps_per_point != 0) return {};
    SACCADE_TRY(const RecallScore near, recall_glance(model_, language_, 128, seed_of_measurements));
    SACCADE_TRY(const RecallScore far, recall_glance(model_, language_, 512, seed_of_measurements));
    record_.curve.push_back({done_, sum_ / steps_per_point, near, far});
    std::fprintf(stderr, "step %d  loss %.3f  128 tokens: %.2f %.2f  512 tokens: %.2f %.2f  %.0f s\n", done_,
                 sum_ / steps_per_point, near.first, near.later, far.first, far.later, record_.seconds);
    sum_ = 0;
    return {};
  }

  using Clock = std::chrono::steady_clock;
  Llama& model_;
  const FactLanguage& language_;
  const Settings& settings_;
  Random random_;
  RecallTraining record_;
  Clock::time_point begin_ = Clock::now();
  int32_t done_ = 0;
  double sum_ = 0;  // of losses since the last point
};

Result<void> make_demo(const Settings& settings) {
  const FactLanguage language;
  if (const auto split = language.split_words(); !split.empty())
    return make_error(ErrorCode::internal, "the tokenizer splits \"" + split.front() + "\"");
  LlamaShape shape;
  shape.n_vocab = language.tokenizer().size();
  SACCADE_TRY(Llama model, Llama::create(shape, settings.seed));
  SACCADE_TRY(const RecallTraining record, Trainer(model, language, settings).run());
  SACCADE_CHECK(model.round_to_bfloat16());
  SACCADE_TRY(const auto weights, model.weights());
  SACCADE_CHECK(write_model(settings.folder, shape, weights));
  SACCADE_CHECK(write_tokenizer(settings.folder, language.tokenizer(), shape.n_context));
  SACCADE_TRY(const auto measured,
              measure_recall(model, language, measured_length, seed_of_measurements + 1));
  SACCADE_CHECK(
      write_file(settings.folder / "README.md", write_recall_page(shape, language, record, measured)));
  std::fputs(describe_recall(measured).c_str(), stdout);
  return {};
}

}  // namespace
}  // namespace saccade

int main(int argc, char** argv) {
  saccade::Settings settings;
  CLI::App app{"Trains demo:recall and writes its folder."};
  app.add_option("OUT_DIR", settings.folder, "folder to write")->required();
  app.add_option("--seed", settings.seed, "seed of weights and texts")->capture_default_str();
  app.add_option("--steps", settings.steps, "steps of learning; pruning adds 30 %")->capture_default_str();
  app.add_option("--minutes", settings.minutes, "give up, writing nothing, when it takes longer")
      ->capture_default_str();
  return saccade::trainer_main(app, argc, argv, "saccade-train-recall",
                               [&] { return saccade::make_demo(settings); });
}
