// saccade-train-shapes-vit OUT_DIR [--seed S] [--steps N] [--minutes M]: trains demo:shapes-vit and writes
// its folder.
//
// The schedule is counted in steps, never in time, so that a seed gives one model. Progress goes to stderr,
// how well it sees to stdout. Exit 0 done, 1 failed, 2 wrong usage.
#include <fmt/format.h>

#include <array>
#include <chrono>
#include <cmath>
#include <numbers>

#include "resources/models/export.h"
#include "resources/models/shapes_export.h"
#include "resources/models/shapes_vit.h"
#include "resources/models/trainer_main.h"

namespace saccade {
namespace {

struct Settings {
  std::filesystem::path folder;
  uint64_t seed = 1;
  double minutes = 60;
  int32_t steps = 4000;
};

constexpr int32_t pictures_per_step = 48, steps_per_point = 250;
constexpr int32_t measured_pictures = 2000, glanced_pictures = 400;
constexpr uint64_t seed_of_measurements = 0x5EED;  // kept away from the training pictures' seeds

// Rises over 200 steps, then falls along a cosine to a fiftieth.
double learning_rate(int32_t step, int32_t steps) {
  const double peak = 2e-3, lowest = 0.02, warm = std::min(1.0, (step + 1) / 200.0);
  const double fall = static_cast<double>(step) / steps;
  return peak * warm * (lowest + (1 - lowest) * 0.5 * (1 + std::cos(std::numbers::pi * fall)));
}

CountedBatch draw_batch(Random& random, int32_t pictures, int32_t side) {
  CountedBatch batch;
  for (int32_t i = 0; i < pictures; ++i) {
    const CountedScene drawn = draw_counted(random);
    append_picture(batch.pictures, draw_shapes(drawn.scene, side, side));
    batch.kind.push_back(drawn.kind);
    batch.count.push_back(drawn.count);
  }
  return batch;
}

struct Accuracy {
  double all = 0, colour = 0, form = 0, count = 0;  // shares of the pictures
  std::array<double, most_counted> by_count{};      // all three right, by the number shown
};

Result<Accuracy> measure(const ShapesVit& model, uint64_t seed, int32_t pictures) {
  Random random(seed);
  Accuracy right;
  std::array<double, most_counted> shown{};
  for (int32_t done = 0; done < pictures; done += 100) {
    const CountedBatch batch = draw_batch(random, 100, model.shape().image);
    SACCADE_TRY(const std::vector<int32_t> answers, model.classify(batch.pictures));
    for (size_t i = 0; i < answers.size(); ++i) {
      const int32_t kind = answers[i] / most_counted, count = answers[i] % most_counted + 1;
      const auto number = static_cast<size_t>(batch.count[i] - 1);
      right.colour += kind / n_shape_form == batch.kind[i] / n_shape_form ? 1.0 : 0.0;
      right.form += kind % n_shape_form == batch.kind[i] % n_shape_form ? 1.0 : 0.0;
      right.count += count == batch.count[i] ? 1.0 : 0.0;
      const double all = answers[i] == count_class(batch.kind[i], batch.count[i]) ? 1.0 : 0.0;
      right.all += all;
      right.by_count[number] += all;
      shown[number] += 1.0;
    }
  }
  for (double* share : {&right.all, &right.colour, &right.form, &right.count}) *share /= pictures;
  for (size_t i = 0; i < shown.size(); ++i) right.by_count[i] /= std::max(1.0, shown[i]);
  return right;
}

struct Point {
  int32_t step = 0;
  double loss = 0;
  Accuracy seen;
};
struct Training {
  std::vector<Point> curve;
  double seconds = 0;
};

Result<Training> train(ShapesVit& model, const Settings& settings) {
  Training record;
  Random random(settings.seed);
  const auto begin = std::chrono::steady_clock::now();
  double sum = 0;
  for (int32_t step = 0; step < settings.steps; ++step) {
    const CountedBatch batch = draw_batch(random, pictures_per_step, model.shape().image);
    SACCADE_TRY(const double loss, model.train_step(batch, learning_rate(step, settings.steps)));
    sum += loss;
    record.seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
    if (record.seconds > 60 * settings.minutes)
      return make_error(ErrorCode::cancelled,
                        fmt::format("not done after {} steps; allow more with --minutes", step));
    if ((step + 1) % steps_per_point != 0) continue;
    SACCADE_TRY(const Accuracy seen, measure(model, seed_of_measurements, glanced_pictures));
    record.curve.push_back({step + 1, sum / steps_per_point, seen});
    fmt::print(stderr,
               "step {}  loss {:.3f}  right {:.3f}  colour {:.3f}  form {:.3f}  count {:.3f}  {:.0f} s\n",
               step + 1, sum / steps_per_point, seen.all, seen.colour, seen.form, seen.count, record.seconds);
    sum = 0;
  }
  return record;
}

std::string describe_accuracy(const Accuracy& seen) {
  std::string out = fmt::format(
      "## How well it sees\n\n"
      "{} pictures drawn apart from training. Colour, form and count right: {:.3f} (chance {:.3f}). By "
      "itself: "
      "colour {:.3f},\nform {:.3f}, count {:.3f}.\n\n| shapes that count | all right |\n|--:|--:|\n",
      measured_pictures, seen.all, 1.0 / n_count_class, seen.colour, seen.form, seen.count);
  for (size_t i = 0; i < seen.by_count.size(); ++i)
    out += fmt::format("| {} | {:.3f} |\n", i + 1, seen.by_count[i]);
  return out;
}

std::string write_page(const TowerShape& s, const Training& training, const Accuracy& seen,
                       const Settings& settings) {
  const int64_t parameters = s.parameters() + int64_t{n_count_class} * (s.d_model + 1);
  std::string out = fmt::format(
      "# demo:shapes-vit\n\n"
      "A ViT of {} layers x {} heads (d_model {}, d_mlp {}, pictures of {} x {} in patches of {} x {}, CLS; "
      "{:.2f} "
      "M\nparameters in float32) that says what it sees: {} classes from \"{}\" to \"{}\".\n"
      "`saccade-train-shapes-vit` made this folder and wrote this page; the measurements below are of these "
      "weights.\n\n"
      "## Data\n\n"
      "`counting.cpp` draws one to {} shapes of one of {} colours and {} forms, and up to {} grey shapes of "
      "any form, "
      "which do\nnot count. Places, sizes, turns, a common stretch, shades and the background are drawn anew "
      "for "
      "every picture.\n\n"
      "## Training\n\n"
      "AdamW, {} steps of {} pictures, {:.0f} seconds on one CPU thread of a shared machine, seed {}. In "
      "training "
      "the classifier\nis the sum of three (colour, form, count); the file holds the sum. Accuracy on {} "
      "fresh "
      "pictures:\n\n"
      "| step | loss | all right | colour | form | count |\n|--:|--:|--:|--:|--:|--:|\n",
      s.n_layer, s.n_head, s.d_model, s.d_mlp, s.image, s.image, s.patch, s.patch,
      static_cast<double>(parameters) / 1e6, n_count_class, count_label(0), count_label(n_count_class - 1),
      most_counted, n_shape_colour, n_shape_form, most_grey, settings.steps, pictures_per_step,
      training.seconds, settings.seed, glanced_pictures);
  for (const Point& point : training.curve)
    out += fmt::format("| {} | {:.3f} | {:.3f} | {:.3f} | {:.3f} | {:.3f} |\n", point.step, point.loss,
                       point.seen.all, point.seen.colour, point.seen.form, point.seen.count);
  return out + "\n" + describe_accuracy(seen) +
         fmt::format(
             "\n## Making it again\n\n"
             "    ninja -C build/release saccade-train-shapes-vit\n"
             "    build/release/bin/saccade-train-shapes-vit OUT_DIR --seed {} --steps {}\n",
             settings.seed, settings.steps);
}

Result<void> make_demo(const Settings& settings) {
  const TowerShape shape;
  SACCADE_TRY(ShapesVit model, ShapesVit::create(shape, settings.seed));
  SACCADE_TRY(const Training record, train(model, settings));
  SACCADE_TRY(const auto weights, model.weights());
  SACCADE_CHECK(write_shapes_vit(settings.folder, shape, weights));
  SACCADE_TRY(const Accuracy seen, measure(model, seed_of_measurements + 1, measured_pictures));
  SACCADE_CHECK(write_file(settings.folder / "README.md", write_page(shape, record, seen, settings)));
  fmt::print("{}", describe_accuracy(seen));
  return {};
}

}  // namespace
}  // namespace saccade

int main(int argc, char** argv) {
  saccade::Settings settings;
  CLI::App app{"Trains demo:shapes-vit and writes its folder."};
  app.add_option("OUT_DIR", settings.folder, "folder to write")->required();
  app.add_option("--seed", settings.seed, "seed of weights and pictures")->capture_default_str();
  app.add_option("--steps", settings.steps, "steps of learning")->capture_default_str();
  app.add_option("--minutes", settings.minutes, "give up, writing nothing, when it takes longer")
      ->capture_default_str();
  return saccade::trainer_main(app, argc, argv, "saccade-train-shapes-vit",
                               [&] { return saccade::make_demo(settings); });
}
