// neva: a scanpath that sees best: each fixation is where a picture that is sharp only there (and where it
// looked before) serves the model best.
//
// Where the paper descends along the gradient of the loss by the fixation, this looks at the loss itself, so
// that it works on every model that answers: on a grid, or descending along the sign of central differences.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <numeric>
#include <random>

#include "analysis/images/patch_field.h"
#include "analysis/methods/model_gaze.h"
#include "analysis/methods/path_results.h"
#include "analysis/methods/registry.h"
#include "analysis/scanpath/foveation.h"
#include "core/base/digest.h"
#include "core/run/similarity.h"

namespace saccade {
namespace {

constexpr int64_t grid_side = 12, refined_side = 3;
constexpr double step_size = 0.1, noise = 0.05, difference = 0.02;
constexpr int64_t descent_steps = 20;

MethodInfo make_info() {
  MethodInfo info;
  info.id = "neva";
  info.title = "Scanpath of a foveated model";
  info.summary =
      "Blurs the picture away from the fixations and looks for the next fixation that brings the answer back "
      "most: "
      "a class, the model's own features, or a caption.";
  info.citation =
      "Schwinn et al. 2022 (NeVA, arXiv 2204.09093); captions: Zanca et al. 2023 (NevaClip, arXiv "
      "2305.12380); "
      "grid search and differences in the place of gradients are own";
  info.parameters = {
      choice("search", "Search", "grid: 12 x 12 places, then 3 x 3 about the best; descent: 20 steps of 0.1.",
             {"grid", "descent"}),
      {"fixations", "Fixations", "Length of the path.", 5, 1, 100},
      {"class", "Class or token", "Whose probability counts; -1: the model's own answer.", -1, -1, 1e9},
      {"caption", "Caption", "Of a CLIP pair: a text the picture should match; empty: its own features.", ""},
      {"picture", "Picture", "Which of the run's pictures, from 0.", 0, 0, 1e6},
      {"spread", "Fovea",
       "s of exp(-distance^2 / s) on a picture of side 2; 0: .15 for classes, .2 for features.", 0.0, 0.0,
       100.0},
      {"memory", "Memory", "What is kept of former fixations with each; -1: .1 for classes, .7 for features.",
       -1.0, -1.0, 1.0},
      {"kernel", "Blur kernel", "Pixels, odd; 0: 5 for classes, 41 for features.", 0, 0, 501},
      {"sigma", "Blur sigma", "Pixels; 0: 5 for classes, 10 for features.", 0.0, 0.0, 200.0},
      {"seed", "Seed", "Of the descent's noise.", 0, 0, 1e9}};
  return info;
}

// What the loss compares with.
struct Aim {
  bool features = false;
  int32_t id = 0;                // of classes and tokens
  std::vector<float> direction;  // of features
  std::string text;              // "the class 'cat'"
};

Result<std::vector<float>> caption_features(const Model& pictures, const std::string& caption, int threads,
                                            const KernelSet* kernels) {
  SACCADE_TRY(const std::string where, text_tower_of(pictures));
  SACCADE_TRY(const auto model, Model::open(where));
  if (model->spec().pooling != Pooling::end_of_text)
    return make_error(
        ErrorCode::unsupported,
        fmt::format("captions are taken from CLIP's text tower, {} has another", pictures.name()));
  SACCADE_TRY(TokenSequence tokens, model->tokenizer().encode(caption, {}));
  SACCADE_TRY(const auto runner, Runner::create(model, {kernels, threads}));
  const RunRequest request = runner->request(std::move(tokens));
  SACCADE_TRY(const std::vector<HostTensor> made, runner->answers({&request, 1}, {}));
  return std::vector<float>(made.front().values().begin(), made.front().values().end());
}

Result<Aim> read_aim(const MethodInput& input) {
  const Model& model = *input.model;
  const HostTensor& logits = input.capture->last_logits;
  Aim aim;
  const auto first = model.tokenizer().token(0);
  aim.features = model.spec().is_picture_model() && (!first.ok() || first->text == "feature 0");
  const std::string caption = input.parameters["caption"].get<std::string>();
  const auto asked = input.parameters["class"].get<int64_t>();
  if (logits.empty()) return make_error(ErrorCode::invalid_argument, "the run kept no answer");
  if (!caption.empty()) {
    SACCADE_TRY(aim.direction, caption_features(model, caption, input.threads, input.kernels));
    if (static_cast<int64_t>(aim.direction.size()) != logits.size())
      return make_error(ErrorCode::invalid_argument,
                        fmt::format("a caption of {} features against pictures of {}", aim.direction.size(),
                                    logits.size()));
    aim.features = true;
    aim.text = fmt::format("the caption '{}'", caption);
    return aim;
  }
  if (aim.features) {
    if (asked >= 0)
      return make_error(
          ErrorCode::invalid_argument,
          fmt::format("{} answers with features, not with classes: leave class at -1", model.name()));
    aim.direction.assign(logits.values().begin(), logits.values().end());
    aim.text = "its own features of the sharp picture";
    return aim;
  }
  if (asked >= logits.size())
    return make_error(ErrorCode::invalid_argument,
                      fmt::format("class={}: the answer has 0 to {}", asked, logits.size() - 1));
  const auto values = logits.values();
  aim.id = asked >= 0 ? static_cast<int32_t>(asked)
                      : static_cast<int32_t>(std::max_element(values.begin(), values.end()) - values.begin());
  const auto token = model.tokenizer().token(aim.id);
  aim.text = fmt::format("'{}'", token.ok() ? display_text(*token) : std::to_string(aim.id));
  return aim;
}

double loss_of(const Aim& aim, const KeptAnswer& answer) {
  if (!aim.features) return answer.log_sum_exp - answer.logits[0];  // cross entropy, nats
  double ab = 0.0, aa = 0.0, bb = 0.0;
  for (size_t i = 0; i < answer.logits.size(); ++i) {
    ab += double{answer.logits[i]} * aim.direction[i];
    aa += double{answer.logits[i]} * answer.logits[i];
    bb += double{aim.direction[i]} * aim.direction[i];
  }
  return aa * bb > 0.0 ? 1.0 - ab / std::sqrt(aa * bb) : 1.0;
}

FoveationSettings settings_of(const nlohmann::json& p, bool features) {
  FoveationSettings settings{features ? 0.2 : 0.15, features ? 0.7 : 0.1, features ? 41 : 5,
                             features ? 10.0 : 5.0};
  if (p["spread"].get<double>() > 0.0) settings.spread = p["spread"].get<double>();
  if (p["memory"].get<double>() >= 0.0) settings.memory = p["memory"].get<double>();
  if (p["kernel"].get<int64_t>() > 0) settings.kernel = p["kernel"].get<int64_t>();
  if (p["sigma"].get<double>() > 0.0) settings.sigma = p["sigma"].get<double>();
  return settings;
}

// Goes through what was answered, in the order in which it was asked, as far as it goes. Outcome 0 is the
// picture that is blurred everywhere.
class Search {
 public:
  Search(const MethodInput& input, const Aim& aim) : input_(input), aim_(aim) {}

  struct Found {
    FoveaPoint point;
    double loss = 0.0;
  };
  [[nodiscard]] const std::vector<Found>& found() const { return found_; }
  [[nodiscard]] const std::vector<std::vector<double>>& grids() const { return grids_; }  // [fixation][144]
  [[nodiscard]] std::vector<FoveaPoint> points() const {
    std::vector<FoveaPoint> made;
    for (const Found& one : found_) made.push_back(one.point);
    return made;
  }

  // The places to ask about next; empty: done.
  std::vector<FoveaPoint> go() {
    const auto fixations = input_.parameters["fixations"].get<size_t>();
    const bool grid = input_.parameters["search"] == "grid";
    while (found_.size() < fixations) {
      std::vector<FoveaPoint> open = grid ? on_grid() : descending();
      if (!open.empty()) return open;
    }
    return {};
  }

 private:
  // Takes the losses of so many places, or says that they are still to be asked for.
  bool take(const std::vector<FoveaPoint>& places, std::vector<double>& losses) {
    losses.clear();
    for (size_t i = 0; i < places.size(); ++i) {
      const KeptAnswer* answer = answer_in(input_.outcomes, next_ + i);
      if (answer == nullptr) return false;
      losses.push_back(loss_of(aim_, *answer));
    }
    next_ += places.size();
    return true;
  }

  static std::vector<FoveaPoint> square(FoveaPoint centre, int64_t side, double spacing) {
    std::vector<FoveaPoint> places;
    const double half = 0.5 * static_cast<double>(side - 1);
    for (int64_t y = 0; y < side; ++y)
      for (int64_t x = 0; x < side; ++x)
        places.push_back({centre.x + (static_cast<double>(x) - half) * spacing,
                          centre.y + (static_cast<double>(y) - half) * spacing});
    return places;
  }

  std::vector<FoveaPoint> on_grid() {
    constexpr double spacing = 2.0 / grid_side;
    std::vector<double> losses;
    std::vector<FoveaPoint> places = square({}, grid_side, spacing);
    if (!take(places, losses)) return places;
    const auto best = std::min_element(losses.begin(), losses.end()) - losses.begin();
    std::vector<double> fine;
    std::vector<FoveaPoint> near =
        square(places[static_cast<size_t>(best)], refined_side, spacing / refined_side);
    if (!take(near, fine)) return near;
    const auto finest = std::min_element(fine.begin(), fine.end()) - fine.begin();
    grids_.push_back(std::move(losses));
    found_.push_back({near[static_cast<size_t>(finest)], fine[static_cast<size_t>(finest)]});
    return {};
  }

  std::vector<FoveaPoint> descending() {
    std::mt19937_64 random(input_.parameters["seed"].get<uint64_t>() + 1000003 * (found_.size() + 1));
    const auto jitter = [&] { return noise * (2.0 * static_cast<double>(random() >> 11) * 0x1p-53 - 1.0); };
    FoveaPoint here;
    Found best{{}, INFINITY};
    std::vector<double> losses;
    for (int64_t step = 0; step < descent_steps; ++step) {
      const std::vector<FoveaPoint> places{here,
                                           {here.x + difference, here.y},
                                           {here.x - difference, here.y},
                                           {here.x, here.y + difference},
                                           {here.x, here.y - difference}};
      if (!take(places, losses)) return places;
      const auto sign = [](double slope) { return slope > 0.0 ? 1.0 : slope < 0.0 ? -1.0 : 0.0; };
      const bool better = losses[0] < best.loss;
      if (better) best = {here, losses[0]};
      const double dx = better ? 0.0 : jitter(), dy = better ? 0.0 : jitter();
      here.x = std::clamp(here.x - step_size * sign(losses[1] - losses[2]) + dx, -1.0, 1.0);
      here.y = std::clamp(here.y - step_size * sign(losses[3] - losses[4]) + dy, -1.0, 1.0);
    }
    found_.push_back(best);
    return {};
  }

  const MethodInput& input_;
  const Aim& aim_;
  size_t next_ = 1;
  std::vector<Found> found_;
  std::vector<std::vector<double>> grids_;
};

Result<Foveation> foveation_of(const MethodInput& input, const Aim& aim) {
  SACCADE_TRY(const ImageRegion region,
              picture_region(*input.capture, input.parameters["picture"].get<int64_t>(), "neva"));
  const auto at = input.parameters["picture"].get<size_t>();
  if (at >= input.base.tokens.images.size() || !input.base.tokens.images[at].image)
    return make_error(
        ErrorCode::invalid_argument,
        fmt::format("the pixels of picture {} ('{}') are not at hand: run the model again", at, region.name));
  return Foveation(input.base.tokens.images[at].image->pixels, settings_of(input.parameters, aim.features));
}

class Neva final : public AnalysisMethod {
 public:
  [[nodiscard]] const MethodInfo& info() const override { return info_; }

  [[nodiscard]] Result<std::vector<Wanted>> plan(const MethodInput& input) const override {
    SACCADE_CHECK(require_model(input, "neva"));
    SACCADE_CHECK(picture_region(*input.capture, input.parameters["picture"].get<int64_t>(), "neva"));
    SACCADE_TRY(const Aim aim, read_aim(input));
    SACCADE_TRY(const Foveation foveation, foveation_of(input, aim));
    std::vector<Wanted> wanted;
    if (input.outcomes.empty()) {
      wanted.emplace_back(answer(input, aim, foveation.blurred(), "blurred"));
      return wanted;
    }
    Search search(input, aim);
    const std::vector<FoveaPoint> open = search.go(), past = search.points();
    for (const FoveaPoint& point : open) {
      std::string name;
      for (const FoveaPoint& one : past) name += fmt::format("{:a},{:a} ", one.x, one.y);
      name += fmt::format("{:a},{:a}", point.x, point.y);
      wanted.emplace_back(answer(input, aim, foveation.seen(past, &point), name));
    }
    return wanted;
  }

  [[nodiscard]] Result<AnalysisResult> compute(const MethodInput& given,
                                               const JobContext& job) const override {
    MethodInput input = given;
    SACCADE_TRY(input.parameters, complete_parameters(info_, given.parameters));
    SACCADE_CHECK(job.check());
    SACCADE_CHECK(require_model(input, "neva"));
    SACCADE_TRY(const ImageRegion region,
                picture_region(*input.capture, input.parameters["picture"].get<int64_t>(), "neva"));
    SACCADE_TRY(const Aim aim, read_aim(input));
    SACCADE_TRY(const Foveation foveation, foveation_of(input, aim));
    Search search(input, aim);
    const bool open = !search.go().empty();
    const KeptAnswer* blurred = answer_in(input.outcomes, 0);
    if (search.found().empty() || blurred == nullptr) return make_error(ErrorCode::cancelled, "cancelled");
    AnalysisResult result;
    result.method = info_.id;
    result.requests = {input.capture->provenance.request};
    result.partial = open;
    const double before = loss_of(aim, *blurred);
    Table steps{"steps", {"step", "patch", "row", "column", "x", "y", "loss"}, {}};
    Scanpath path = add_steps(region, search, steps);
    result.tables.push_back(std::move(steps));
    result.tables.push_back(fixations_table(input.capture->provenance.model_name, path));
    SACCADE_CHECK(add_seen(input, region, foveation, search, result));
    add_grids(input, search, result);
    const auto& last = search.found().back();
    result.findings.push_back(
        fmt::format("Seen blurred, the loss against {} is {:.3g} {}; after {} fixations {:.3g}.", aim.text,
                    before, aim.features ? "(1 - cos)" : "nats", search.found().size(), last.loss));
    const auto& first = search.found().front();
    result.findings.push_back(fmt::format("The first fixation is at x {:.0f}, y {:.0f} of a picture of {}.",
                                          path.fixations.front().x, path.fixations.front().y,
                                          to_string(path.size)));
    if (first.loss >= before)
      result.findings.emplace_back("The first fixation serves the model no better than the blurred picture.");
    result.parameters = std::move(input.parameters);
    return result;
  }

 private:
  static AnswerWanted answer(const MethodInput& input, const Aim& aim, HostTensor pixels,
                             const std::string& name) {
    AnswerWanted wanted;
    wanted.request = input.base;
    wanted.request.capture = CapturePlan{};
    PlacedImage& placed = wanted.request.tokens.images[input.parameters["picture"].get<size_t>()];
    auto image = std::make_shared<PreparedImage>(*placed.image);
    image->pixels = std::move(pixels);
    const FoveationSettings settings = settings_of(input.parameters, aim.features);
    image->digest = Digest()
                        .add("neva")
                        .add(placed.image->digest)
                        .add(fmt::format("{:a} {:a} {} {:a}", settings.spread, settings.memory,
                                         settings.kernel, settings.sigma))
                        .add(name)
                        .hex();
    placed.image = std::move(image);
    if (aim.features) {
      wanted.ids.resize(aim.direction.size());
      std::iota(wanted.ids.begin(), wanted.ids.end(), 0);
    } else {
      wanted.ids = {aim.id};
    }
    return wanted;
  }

  static Scanpath add_steps(const ImageRegion& region, const Search& search, Table& steps) {
    const ImageGeometry& g = region.geometry;
    Scanpath path;
    path.size = original_size(region);
    path.stimulus = region.name;
    for (size_t i = 0; i < search.found().size(); ++i) {
      const auto& [point, loss] = search.found()[i];
      const double px = 0.5 * (point.x + 1.0) * g.width, py = 0.5 * (point.y + 1.0) * g.height;
      const auto row = std::clamp<int64_t>(static_cast<int64_t>(py / region.patch_height), 0,
                                           region.grid_height - 1),
                 column = std::clamp<int64_t>(static_cast<int64_t>(px / region.patch_width), 0,
                                              region.grid_width - 1);
      const double x = (px - g.offset_x) / g.scale_x, y = (py - g.offset_y) / g.scale_y;
      path.fixations.push_back({x, y, 250.0, 250.0 * static_cast<double>(i), {}});
      steps.rows.push_back(
          {static_cast<int64_t>(i), row * region.grid_width + column, row, column, x, y, loss});
    }
    return path;
  }

  // [step, patch row, patch column]: how sharp each patch was seen.
  static Result<void> add_seen(const MethodInput& input, const ImageRegion& region,
                               const Foveation& foveation, const Search& search, AnalysisResult& result) {
    const std::vector<FoveaPoint> points = search.points();
    std::vector<float> values;
    for (size_t i = 0; i < points.size(); ++i) {
      const HostTensor sharp = foveation.sharpness(std::span(points).first(i), &points[i]);
      const int64_t width = sharp.shape()[1];
      for (int64_t row = 0; row < region.grid_height; ++row)
        for (int64_t column = 0; column < region.grid_width; ++column) {
          double sum = 0.0;
          for (int64_t y = 0; y < region.patch_height; ++y)
            for (int64_t x = 0; x < region.patch_width; ++x)
              sum += sharp.data()[(row * region.patch_height + y) * width + column * region.patch_width + x];
          values.push_back(
              static_cast<float>(sum / (double{1.0} * region.patch_height * region.patch_width)));
        }
    }
    Field about = field_about("seen", "How sharp each patch is seen", ValueKind::probability,
                              {{AxisKind::step, "step", {}}});
    about.request = input.capture->provenance.request;
    SACCADE_TRY(Field field,
                patch_field(std::move(about), {static_cast<int64_t>(points.size())}, values, region));
    result.fields.push_back(std::move(field));
    return {};
  }

  static void add_grids(const MethodInput& input, const Search& search, AnalysisResult& result) {
    if (search.grids().empty()) return;
    Field field = field_about("loss", "Loss with the next fixation there", ValueKind::magnitude,
                              {{AxisKind::step, "step", {}},
                               {AxisKind::other, "grid row", {}},
                               {AxisKind::other, "grid column", {}}});
    field.request = input.capture->provenance.request;
    field.values = HostTensor({static_cast<int64_t>(search.grids().size()), grid_side, grid_side}, false);
    size_t at = 0;
    for (const std::vector<double>& grid : search.grids())
      for (const double loss : grid) field.values.mutable_values()[at++] = static_cast<float>(loss);
    result.fields.push_back(std::move(field));
  }

  MethodInfo info_ = make_info();
};

}  // namespace

std::unique_ptr<AnalysisMethod> make_neva() { return std::make_unique<Neva>(); }

}  // namespace saccade
