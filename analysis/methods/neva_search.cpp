#include "analysis/methods/neva_search.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <random>

#include "core/model/weight_reader.h"
#include "core/run/similarity.h"

namespace saccade::neva {
namespace {

constexpr int64_t refined_side = 3, descent_steps = 20;
constexpr double step_size = 0.1, noise = 0.05, difference = 0.02;

Result<std::vector<float>> caption_features(const MethodInput& input, const std::string& caption) {
  SACCADE_TRY(const std::string where, text_tower_of(*input.model));
  SACCADE_TRY(const auto model, Model::open(where));
  if (model->spec().pooling != Pooling::end_of_text)
    return make_error(
        ErrorCode::unsupported,
        fmt::format("captions are read by CLIP's text tower, {} has another", input.model->name()));
  SACCADE_TRY(TokenSequence tokens, model->tokenizer().encode(caption, {}));
  SACCADE_TRY(const auto runner, Runner::create(model, {input.kernels, input.threads}));
  const RunRequest request = runner->request(std::move(tokens));
  SACCADE_TRY(const std::vector<HostTensor> made, runner->answers({&request, 1}, {}));
  return std::vector<float>(made.front().values().begin(), made.front().values().end());
}

struct Cosine {
  double value = 0.0, square = 0.0, other_square = 0.0;  // of nothing: 0
};
Cosine cosine_of(std::span<const float> a, std::span<const float> b) {
  Cosine made;
  double product = 0.0;
  for (size_t i = 0; i < a.size(); ++i) {
    product += double{a[i]} * b[i];
    made.square += double{a[i]} * a[i];
    made.other_square += double{b[i]} * b[i];
  }
  const double lengths = made.square * made.other_square;
  made.value = lengths > 0.0 ? product / std::sqrt(lengths) : 0.0;
  return made;
}

std::vector<FoveaPoint> square(FoveaPoint centre, int64_t side, double spacing) {
  std::vector<FoveaPoint> places;
  const double half = 0.5 * static_cast<double>(side - 1);
  for (int64_t y = 0; y < side; ++y)
    for (int64_t x = 0; x < side; ++x)
      places.push_back({centre.x + (static_cast<double>(x) - half) * spacing,
                        centre.y + (static_cast<double>(y) - half) * spacing});
  return places;
}

std::vector<Ask> answers_at(const std::vector<FoveaPoint>& places) {
  std::vector<Ask> asked;
  for (const FoveaPoint& place : places) asked.push_back({AskFor::answer, place, {}});
  return asked;
}

}  // namespace

Result<Aim> read_aim(const MethodInput& input) {
  const Model& model = *input.model;
  const HostTensor& logits = input.capture->last_logits;
  if (logits.empty()) return make_error(ErrorCode::invalid_argument, "the run kept no answer");
  Aim aim;
  const auto first = model.tokenizer().token(0);
  aim.features = model.spec().is_picture_model() && (!first.ok() || first->text == "feature 0");
  const auto asked = input.parameters["class"].get<int64_t>();
  if (const auto caption = input.parameters["caption"].get<std::string>(); !caption.empty()) {
    SACCADE_TRY(aim.direction, caption_features(input, caption));
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
  return aim.features ? 1.0 - cosine_of(answer.logits, aim.direction).value
                      : answer.log_sum_exp - answer.logits[0];
}

double loss_of(const Aim& aim, std::span<const float> logits) {
  if (aim.features) return 1.0 - cosine_of(logits, aim.direction).value;
  double sum = 0.0;
  for (const float logit : logits) sum += std::exp(double{logit} - logits[static_cast<size_t>(aim.id)]);
  return std::log(sum);
}

std::vector<ScalarTerm> slope_of(const Aim& aim, std::span<const float> logits) {
  if (!aim.features) return {{ScalarKind::log_probability, -1.0, -1, {aim.id}}};
  // d (1 - cos) / d f = cos f / |f|^2 - t / (|f| |t|)
  const Cosine cosine = cosine_of(logits, aim.direction);
  const double lengths = std::sqrt(cosine.square * cosine.other_square);
  std::vector<ScalarTerm> terms;
  for (size_t i = 0; i < logits.size() && lengths > 0.0; ++i)
    terms.push_back({ScalarKind::logit,
                     cosine.value * logits[i] / cosine.square - aim.direction[i] / lengths,
                     -1,
                     {static_cast<int32_t>(i)}});
  return terms;
}

std::string name_of_point(const FoveaPoint& point) { return fmt::format("{:a} {:a}", point.x, point.y); }

FoveaPoint point_of_name(const std::string& name) {
  char* end = nullptr;
  const double x = std::strtod(name.c_str(), &end);
  return {x, std::strtod(end, nullptr)};
}

HostTensor pixel_gradient(const Model& model, std::span<const float> patches,
                          const std::vector<int64_t>& pixels) {
  const PatchSpec& p = model.spec().patches;
  const int64_t height = pixels[1], width = pixels[2], columns = width / p.width;
  const TensorView& tensor = *model.weights().get(Slot::patch_weight).tensor;
  std::vector<float> weight(static_cast<size_t>(tensor.elements()));
  widen(tensor, 0, tensor.elements(), weight.data());
  const int64_t d = model.spec().d_model, size = tensor.elements() / d;
  HostTensor made(pixels);
  std::vector<float> one(static_cast<size_t>(size));
  for (int64_t patch = 0; patch < static_cast<int64_t>(patches.size()) / d; ++patch) {
    std::fill(one.begin(), one.end(), 0.0F);
    for (int64_t k = 0; k < d; ++k) {
      const float slope = patches[static_cast<size_t>(patch * d + k)];
      const float* const row = weight.data() + k * size;
      for (int64_t i = 0; i < size; ++i) one[static_cast<size_t>(i)] += slope * row[i];
    }
    const float* from = one.data();
    for (int64_t c = 0; c < p.channels; ++c)
      for (int64_t y = 0; y < p.height; ++y, from += p.width)
        std::copy_n(from, p.width,
                    made.mutable_values().data() + (c * height + patch / columns * p.height + y) * width +
                        patch % columns * p.width);
  }
  return made;
}

Search::Search(const MethodInput& input, const Aim& aim, const Foveation& foveation)
    : input_(input), aim_(aim), foveation_(foveation) {}

std::vector<FoveaPoint> Search::points() const {
  std::vector<FoveaPoint> made;
  for (const Found& one : found_) made.push_back(one.point);
  return made;
}

Result<std::vector<Ask>> Search::go() {
  const std::string how = input_.parameters["search"].get<std::string>();
  while (found_.size() < input_.parameters["fixations"].get<size_t>()) {
    std::vector<Ask> open;
    if (how == "gradient") {
      SACCADE_TRY(open, by_gradients());
    } else {
      open = how == "grid" ? on_grid() : by_differences();
    }
    if (!open.empty()) return open;
  }
  return std::vector<Ask>();
}

// Takes the losses of so many places, or says that they are still to be asked for.
bool Search::take(const std::vector<FoveaPoint>& places, std::vector<double>& losses) {
  losses.clear();
  for (size_t i = 0; i < places.size(); ++i) {
    const KeptAnswer* answer = answer_in(input_.outcomes, next_ + i);
    if (answer == nullptr) return false;
    losses.push_back(loss_of(aim_, *answer));
  }
  next_ += places.size();
  return true;
}

std::vector<Ask> Search::on_grid() {
  constexpr double spacing = 2.0 / grid_side;
  std::vector<double> losses, fine;
  const std::vector<FoveaPoint> places = square({}, grid_side, spacing);
  if (!take(places, losses)) return answers_at(places);
  const auto best = std::min_element(losses.begin(), losses.end()) - losses.begin();
  const std::vector<FoveaPoint> near =
      square(places[static_cast<size_t>(best)], refined_side, spacing / refined_side);
  if (!take(near, fine)) return answers_at(near);
  const auto finest = std::min_element(fine.begin(), fine.end()) - fine.begin();
  grids_.push_back(std::move(losses));
  found_.push_back({near[static_cast<size_t>(finest)], fine[static_cast<size_t>(finest)]});
  return {};
}

// One step down; where the last one brought nothing, with noise.
FoveaPoint Search::moved(const FoveaPoint& from, const FoveaPoint& slope, bool better, int64_t step) const {
  std::mt19937_64 random(input_.parameters["seed"].get<uint64_t>() + 1'000'003 * (found_.size() + 1) +
                         1'009 * static_cast<uint64_t>(step));
  const auto jitter = [&] {
    return better ? 0.0 : noise * (2.0 * static_cast<double>(random() >> 11) * 0x1p-53 - 1.0);
  };
  const auto sign = [](double value) { return value > 0.0 ? 1.0 : value < 0.0 ? -1.0 : 0.0; };
  const double dx = jitter(), dy = jitter();
  return {std::clamp(from.x - step_size * sign(slope.x) + dx, -1.0, 1.0),
          std::clamp(from.y - step_size * sign(slope.y) + dy, -1.0, 1.0)};
}

std::vector<Ask> Search::by_differences() {
  FoveaPoint here;
  Found best{{}, INFINITY};
  std::vector<double> losses;
  for (int64_t step = 0; step < descent_steps; ++step) {
    const std::vector<FoveaPoint> places{here,
                                         {here.x + difference, here.y},
                                         {here.x - difference, here.y},
                                         {here.x, here.y + difference},
                                         {here.x, here.y - difference}};
    if (!take(places, losses)) return answers_at(places);
    const bool better = losses[0] < best.loss;
    if (better) best = {here, losses[0]};
    here = moved(here, {losses[1] - losses[2], losses[3] - losses[4]}, better, step);
  }
  found_.push_back(best);
  return {};
}

// A run and a gradient at each step. A step's place stands in its run's picture, so that only the last
// gradient is ever gone through.
Result<std::vector<Ask>> Search::by_gradients() {
  FoveaPoint here;
  Found best{{}, INFINITY};
  for (int64_t step = 0; step < descent_steps; ++step) {
    const Run* run = run_in(input_.outcomes, next_);
    if (run == nullptr) return std::vector<Ask>{{AskFor::run, here, {}}};
    here = point_of_name(run->request.tokens.images[input_.parameters["picture"].get<size_t>()].image->name);
    const auto logits = run->capture->last_logits.values();
    const double loss = loss_of(aim_, logits);
    const bool better = loss < best.loss;
    if (better) best = {here, loss};
    ++next_;
    if (step + 1 == descent_steps) break;
    const GradientCapture* gradient = gradient_in(input_.outcomes, next_);
    if (gradient == nullptr) {
      std::vector<ScalarTerm> scalar = slope_of(aim_, logits);
      if (scalar.empty())
        return make_error(ErrorCode::invalid_argument, "the features are all zero: they have no direction");
      return std::vector<Ask>{{AskFor::gradient, here, std::move(scalar)}};
    }
    ++next_;
    if (run_in(input_.outcomes, next_) != nullptr) continue;
    SACCADE_TRY(const FoveaPoint slope, slope_at(here, *gradient));
    here = moved(here, slope, better, step);
  }
  found_.push_back(best);
  return std::vector<Ask>();
}

Result<FoveaPoint> Search::slope_at(const FoveaPoint& point, const GradientCapture& gradient) const {
  const ImageRegion& region = input_.capture->images[input_.parameters["picture"].get<size_t>()];
  const HostTensor& embedded = gradient.gradients.at({HookSite::embed, -1});
  const int64_t d = embedded.shape()[1];
  const std::vector<float> patches = over_patches(region, embedded.values(), d);
  return foveation_.slope(points(), point,
                          pixel_gradient(*input_.model, patches, foveation_.blurred().shape()));
}

}  // namespace saccade::neva
