// saccade-train-shapes-vlm OUT_DIR [--seed S] [--naming-steps N] [--steps N] [--minutes M]: trains
// demo:shapes-vlm and writes its folder.
//
// The schedule is counted in steps, never in time, so that a seed gives one model. Progress goes to stderr,
// what it sees and invents to stdout. Exit 0 done, 1 failed, 2 wrong usage.
#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <numbers>

#include "resources/models/export.h"
#include "resources/models/shapes_export.h"
#include "resources/models/talk_page.h"
#include "resources/models/trainer_main.h"

namespace saccade {
namespace {

struct Settings {
  std::filesystem::path folder;
  uint64_t seed = 1;
  double minutes = 90;
  int32_t naming_steps = 400, steps = 2000;
};

constexpr int32_t naming_pictures = 32, talking_pictures = 16, steps_per_point = 250, measured_pictures = 300;
constexpr uint64_t seed_of_measurements = 0x5EED;  // kept away from the training scenes' seeds
constexpr uint64_t seed_of_shipped = 1;            // of resources/pictures/shapes
constexpr int32_t shipped_pictures = 40;

// Rises over 100 steps, then falls along a cosine to a fiftieth.
double learning_rate(int32_t step, int32_t steps) {
  const double peak = 2.5e-3, lowest = 0.02, warm = std::min(1.0, (step + 1) / 100.0);
  const double fall = static_cast<double>(step) / steps;
  return peak * warm * (lowest + (1 - lowest) * 0.5 * (1 + std::cos(std::numbers::pi * fall)));
}

class Trainer {
 public:
  Trainer(ShapesVlm& model, const TalkTokens& tokens, const Settings& settings)
      : model_(model), tokens_(tokens), settings_(settings), random_(settings.seed) {
    record_.seed = settings.seed;
    record_.naming_steps = settings.naming_steps;
    record_.naming_pictures = naming_pictures;
    record_.steps = settings.steps;
    record_.pictures = talking_pictures;
  }

  Result<TalkTraining> run() {
    SACCADE_CHECK(name());
    SACCADE_CHECK(talk());
    return record_;
  }

 private:
  Result<void> name() {
    for (int32_t step = 0; step < settings_.naming_steps; ++step) {
      PictureBatch pictures;
      PatchNames names;
      for (int32_t i = 0; i < naming_pictures; ++i) {
        const TowerShape& tower = model_.shape().tower;
        const TalkedScene scene = draw_talked(random_, training_mixture);
        const ShapePicture picture = draw_shapes(scene.scene, tower.image, tower.image);
        append_picture(pictures, picture);
        append_names(names, scene, picture, tower.patch);
      }
      SACCADE_TRY(const VlmLoss loss,
                  model_.train_naming(pictures, names, learning_rate(step, 2 * settings_.naming_steps)));
      record_.naming_loss += (loss.naming - record_.naming_loss) * (step == 0 ? 1.0 : 0.05);
      SACCADE_CHECK(in_time());
      if ((step + 1) % 100 == 0)
        fmt::print(stderr, "naming {}  loss {:.3f}  {:.0f} s\n", step + 1, record_.naming_loss,
                   record_.seconds);
    }
    return {};
  }

  Result<void> talk() {
    VlmLoss sum;
    for (int32_t step = 0; step < settings_.steps; ++step) {
      const TalkBatch batch = draw_talk(random_, tokens_, model_.shape(), talking_pictures);
      SACCADE_TRY(const VlmLoss loss, model_.train_talking(batch, learning_rate(step, settings_.steps)));
      sum.naming += loss.naming / steps_per_point;
      sum.talking += loss.talking / steps_per_point;
      SACCADE_CHECK(in_time());
      if ((step + 1) % steps_per_point != 0) continue;
      SACCADE_TRY(const TalkGlance seen, glance_talk(model_, tokens_, seed_of_measurements));
      record_.curve.push_back({step + 1, sum, seen});
      fmt::print(
          stderr,
          "step {}  naming {:.3f}  talking {:.3f}  CHAIR_I {:.3f}  named {:.3f}  yes/no {:.3f}  colour "
          "{:.3f}  {:.0f} s\n",
          step + 1, sum.naming, sum.talking, seen.chair_i, seen.recall, seen.presence, seen.colour,
          record_.seconds);
      sum = {};
    }
    return {};
  }

  Result<void> in_time() {
    record_.seconds = std::chrono::duration<double>(Clock::now() - begin_).count();
    if (record_.seconds > 60 * settings_.minutes)
      return make_error(ErrorCode::cancelled, "not done in time; allow more with --minutes");
    return {};
  }

  using Clock = std::chrono::steady_clock;
  ShapesVlm& model_;
  const TalkTokens& tokens_;
  const Settings& settings_;
  Random random_;
  TalkTraining record_;
  Clock::time_point begin_ = Clock::now();
};

Result<void> make_demo(const Settings& settings) {
  const TalkTokens tokens;
  if (const auto split = tokens.split_words(); !split.empty())
    return make_error(ErrorCode::internal, "the tokenizer splits \"" + split.front() + "\"");
  const VlmShape shape = vlm_shape(tokens);
  SACCADE_TRY(ShapesVlm model, ShapesVlm::create(shape, settings.seed));
  SACCADE_TRY(const TalkTraining record, Trainer(model, tokens, settings).run());
  SACCADE_CHECK(model.round_to_bfloat16());
  SACCADE_TRY(const auto weights, model.weights());
  SACCADE_CHECK(write_shapes_vlm(settings.folder, shape, tokens, weights));
  SACCADE_TRY(const auto many,
              measure_talk(model, tokens, evaluation_scenes(measured_pictures, seed_of_measurements + 1)));
  SACCADE_TRY(const auto shipped,
              measure_talk(model, tokens, evaluation_scenes(shipped_pictures, seed_of_shipped)));
  SACCADE_CHECK(write_file(settings.folder / "README.md", write_talk_page(shape, record, many, shipped)));
  fmt::print("{}", describe_talk(many, shipped));
  return {};
}

}  // namespace
}  // namespace saccade

int main(int argc, char** argv) {
  saccade::Settings settings;
  CLI::App app{"Trains demo:shapes-vlm and writes its folder."};
  app.add_option("OUT_DIR", settings.folder, "folder to write")->required();
  app.add_option("--seed", settings.seed, "seed of weights and scenes")->capture_default_str();
  app.add_option("--naming-steps", settings.naming_steps, "steps of tower and projector alone")
      ->capture_default_str();
  app.add_option("--steps", settings.steps, "steps of everything")->capture_default_str();
  app.add_option("--minutes", settings.minutes, "give up, writing nothing, when it takes longer")
      ->capture_default_str();
  return saccade::trainer_main(app, argc, argv, "saccade-train-shapes-vlm",
                               [&] { return saccade::make_demo(settings); });
}
