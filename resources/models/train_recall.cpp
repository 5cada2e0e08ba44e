// saccade-train-recall OUT_DIR [--seed S] [--minutes M] [--steps N]: trains demo:recall and writes its
// folder.
//
// The schedule is counted in steps, never in time, so that a seed gives one model. Progress goes to stderr,
// what the heads do to stdout. Exit 0 done, 1 failed, 2 wrong usage.
#include <CLI/CLI.hpp>
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

TokenBatch draw_batch(const FactLanguage& language, Random& random, const Stage& stage) {
  TokenBatch batch;
  batch.length = stage.length;
  for (int32_t t = 0; t < tokens_per_step / batch.length; ++t) {
    const Text text = language.text(random, batch.length, stage.facts).text;
    batch.ids.insert(batch.ids.end(), text.ids.begin(), text.ids.end());
    batch.weight.insert(batch.weight.end(), text.weight.begin(), text.weight.end());
  }
  return batch;
}

Result<RecallTraining> train(Llama& model, const FactLanguage& language, const Settings& settings) {
  using Clock = std::chrono::steady_clock;
  const auto begin = Clock::now();
  RecallTraining record;
  record.seed = settings.seed;
  Random random(settings.seed);
  double sum = 0;
  for (int32_t step = 0; step < settings.steps; ++step) {
    const auto batch = draw_batch(language, random, stage_of(step, settings.steps));
    SACCADE_TRY(const double loss, model.train_step(batch, learning_rate(step, settings.steps)));
    sum += loss;
    record.tokens += static_cast<int64_t>(batch.ids.size());
    record.seconds = std::chrono::duration<double>(Clock::now() - begin).count();
    if (record.seconds > 60 * settings.minutes)
      return make_error(ErrorCode::cancelled, "not done after " + std::to_string(step + 1) + " of " +
                                                  std::to_string(settings.steps) +
                                                  " steps; allow more with --minutes");
    if ((step + 1) % steps_per_point != 0) continue;
    SACCADE_TRY(const RecallScore near, recall_glance(model, language, 128, seed_of_measurements));
    SACCADE_TRY(const RecallScore far, recall_glance(model, language, 512, seed_of_measurements));
    record.curve.push_back({step + 1, sum / steps_per_point, near, far});
    std::fprintf(stderr, "step %d  loss %.3f  128 tokens: %.2f %.2f  512 tokens: %.2f %.2f  %.0f s\n",
                 step + 1, sum / steps_per_point, near.first, near.later, far.first, far.later,
                 record.seconds);
    sum = 0;
  }
  return record;
}

Result<void> make_demo(const Settings& settings) {
  const FactLanguage language;
  if (const auto split = language.split_words(); !split.empty())
    return make_error(ErrorCode::internal, "the tokenizer splits \"" + split.front() + "\"");
  LlamaShape shape;
  shape.n_vocab = language.tokenizer().size();
  SACCADE_TRY(Llama model, Llama::create(shape, settings.seed));
  SACCADE_TRY(const RecallTraining record, train(model, language, settings));
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
  app.add_option("--steps", settings.steps, "length of the schedule")->capture_default_str();
  app.add_option("--minutes", settings.minutes, "give up, writing nothing, when it takes longer")
      ->capture_default_str();
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& e) {
    return app.exit(e) == 0 ? 0 : 2;
  }
  if (const auto done = saccade::make_demo(settings); !done.ok()) {
    std::fprintf(stderr, "saccade-train-recall: %s\n", done.error().to_string().c_str());
    return 1;
  }
  return 0;
}
