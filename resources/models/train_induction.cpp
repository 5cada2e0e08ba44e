// saccade-train-induction OUT_DIR [--seed S] [--minutes M]: trains demo:induction and writes its folder.
//
// The schedule is counted in steps, never in time, so that a seed gives one model. Progress goes to stderr,
// what the heads do to stdout. Exit 0 done, 1 failed, 2 wrong usage.
#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdio>
#include <numbers>

#include "resources/models/export.h"
#include "resources/models/gpt2.h"
#include "resources/models/language.h"
#include "resources/models/measure.h"
#include "resources/models/page.h"
#include "resources/models/trainer_main.h"

namespace saccade {
namespace {

struct Settings {
  std::filesystem::path folder;
  uint64_t seed = 1;
  double minutes = 60;
};

constexpr int32_t steps = 2700, short_text_steps = 600, tokens_per_step = 2048, steps_per_point = 100;
constexpr uint64_t seed_of_measurements = 0x5EED;  // kept away from the training texts' seeds

// Short lists often repeated in short texts: there the first trace of induction pays soonest.
constexpr Mixture early_mixture{80, 8, 8, 10, 3, 0.1F, 5.0F};
constexpr Mixture late_mixture;

int32_t text_length(int32_t step) {
  if (step < short_text_steps) return 32;
  return step % 4 == 3 ? 256 : 96;
}

// Rises over 100 steps, stays, and falls along a cosine to a twentieth over the last 40 %.
double learning_rate(int32_t step) {
  const double peak = 4e-3, lowest = 0.05, level_until = 0.6 * steps;
  const double warm = std::min(1.0, (step + 1) / 100.0);
  const double fall = std::max(0.0, (step - level_until) / (steps - level_until));
  return peak * warm * (lowest + (1 - lowest) * 0.5 * (1 + std::cos(std::numbers::pi * fall)));
}

TokenBatch draw_batch(const Language& language, Random& random, int32_t step) {
  TokenBatch batch;
  batch.length = text_length(step);
  for (int32_t t = 0; t < tokens_per_step / batch.length; ++t) {
    const auto text =
        language.text(random, batch.length, step < short_text_steps ? early_mixture : late_mixture);
    batch.ids.insert(batch.ids.end(), text.ids.begin(), text.ids.end());
    batch.weight.insert(batch.weight.end(), text.weight.begin(), text.weight.end());
  }
  return batch;
}

Result<TrainingRecord> train(Gpt2& model, const Language& language, const Settings& settings) {
  using Clock = std::chrono::steady_clock;
  const auto begin = Clock::now();
  TrainingRecord record;
  record.seed = settings.seed;
  Random random(settings.seed);
  double sum = 0;
  for (int32_t step = 0; step < steps; ++step) {
    const auto batch = draw_batch(language, random, step);
    SACCADE_TRY(const double loss, model.train_step(batch, learning_rate(step)));
    sum += loss;
    record.tokens += static_cast<int64_t>(batch.ids.size());
    record.seconds = std::chrono::duration<double>(Clock::now() - begin).count();
    if (record.seconds > 60 * settings.minutes)
      return make_error(ErrorCode::cancelled, "not done after " + std::to_string(step + 1) + " of " +
                                                  std::to_string(steps) +
                                                  " steps; allow more with --minutes");
    if ((step + 1) % steps_per_point != 0) continue;
    SACCADE_TRY(const Glance seen, glance(model, language, seed_of_measurements));
    record.curve.push_back({step + 1, sum / steps_per_point, seen});
    std::fprintf(
        stderr, "step %d  loss %.3f  first copy %.2f  second copy %.3f  previous %.2f  induction %.2f\n",
        step + 1, sum / steps_per_point, seen.loss.first, seen.loss.second, seen.previous, seen.induction);
    sum = 0;
  }
  return record;
}

Result<void> make_demo(const Settings& settings) {
  const Language language;
  if (const auto split = language.split_words(); !split.empty())
    return make_error(ErrorCode::internal, "the tokenizer splits \"" + split.front() + "\"");
  Gpt2Shape shape;
  shape.n_vocab = language.tokenizer().size();
  SACCADE_TRY(Gpt2 model, Gpt2::create(shape, settings.seed));
  SACCADE_TRY(const TrainingRecord record, train(model, language, settings));
  SACCADE_TRY(const Measurement measurement, measure(model, language, seed_of_measurements + 1));
  SACCADE_TRY(const auto weights, model.weights());
  SACCADE_CHECK(write_model(settings.folder, shape, weights));
  SACCADE_CHECK(write_tokenizer(settings.folder, language.tokenizer(), shape.n_context));
  SACCADE_CHECK(write_file(settings.folder / "README.md", write_page(shape, language, record, measurement)));
  std::fputs(describe_heads(measurement).c_str(), stdout);
  return {};
}

}  // namespace
}  // namespace saccade

int main(int argc, char** argv) {
  saccade::Settings settings;
  CLI::App app{"Trains demo:induction and writes its folder."};
  app.add_option("OUT_DIR", settings.folder, "folder to write")->required();
  app.add_option("--seed", settings.seed, "seed of weights and texts")->capture_default_str();
  app.add_option("--minutes", settings.minutes, "give up, writing nothing, when it takes longer")
      ->capture_default_str();
  return saccade::trainer_main(app, argc, argv, "saccade-train-induction",
                               [&] { return saccade::make_demo(settings); });
}
