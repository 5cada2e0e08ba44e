// neva: a scanpath that sees best: each fixation is where a picture that is sharp only there (and where it
// looked before) serves the model best.
//
// The paper descends along the gradient of the loss by the fixation. That needs gradients down to the pixels;
// a grid of places, or descending along differences of the loss, work on every model that answers.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <numeric>

#include "analysis/images/patch_field.h"
#include "analysis/methods/model_gaze.h"
#include "analysis/methods/neva_search.h"
#include "analysis/methods/path_results.h"
#include "analysis/methods/registry.h"
#include "core/base/digest.h"

namespace saccade {
namespace {

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
      choice("search", "Search",
             "grid: 12 x 12 places, then 3 x 3 about the best; gradient: 20 steps of 0.1 down the loss "
             "(models of "
             "pictures alone); differences: the same with slopes from five answers.",
             {"grid", "gradient", "differences"}),
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

FoveationSettings settings_of(const nlohmann::json& p, bool features) {
  FoveationSettings settings{features ? 0.2 : 0.15, features ? 0.7 : 0.1, features ? 41 : 5,
                             features ? 10.0 : 5.0};
  if (p["spread"].get<double>() > 0.0) settings.spread = p["spread"].get<double>();
  if (p["memory"].get<double>() >= 0.0) settings.memory = p["memory"].get<double>();
  if (p["kernel"].get<int64_t>() > 0) settings.kernel = p["kernel"].get<int64_t>();
  if (p["sigma"].get<double>() > 0.0) settings.sigma = p["sigma"].get<double>();
  return settings;
}

Result<Foveation> foveation_of(const MethodInput& input, const neva::Aim& aim) {
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
    SACCADE_TRY(const neva::Aim aim, neva::read_aim(input));
    SACCADE_TRY(const Foveation foveation, foveation_of(input, aim));
    std::vector<Wanted> wanted;
    if (input.parameters["search"] == "gradient" && !input.model->spec().is_picture_model())
      return make_error(
          ErrorCode::unsupported,
          fmt::format("{} reads its pictures through a tower, which gradients do not go through; "
                      "use search=grid or differences",
                      input.model->name()));
    if (input.outcomes.empty()) {
      wanted.emplace_back(answer(input, aim, foveation.blurred(), "blurred"));
      return wanted;
    }
    neva::Search search(input, aim, foveation);
    SACCADE_TRY(const std::vector<neva::Ask> open, search.go());
    const std::vector<FoveaPoint> past = search.points();
    for (const neva::Ask& ask : open) {
      std::string name;
      for (const FoveaPoint& one : past) name += neva::name_of_point(one) + " ";
      AnswerWanted answered =
          answer(input, aim, foveation.seen(past, &ask.point), name + neva::name_of_point(ask.point));
      wanted.push_back(as_asked(input, ask, std::move(answered)));
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
    SACCADE_TRY(const neva::Aim aim, neva::read_aim(input));
    SACCADE_TRY(const Foveation foveation, foveation_of(input, aim));
    neva::Search search(input, aim, foveation);
    SACCADE_TRY(const std::vector<neva::Ask> still, search.go());
    const bool open = !still.empty();
    const KeptAnswer* blurred = answer_in(input.outcomes, 0);
    if (search.found().empty() || blurred == nullptr) return make_error(ErrorCode::cancelled, "cancelled");
    AnalysisResult result;
    result.method = info_.id;
    result.requests = {input.capture->provenance.request};
    result.partial = open;
    const double before = neva::loss_of(aim, *blurred);
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
  static Wanted as_asked(const MethodInput& input, const neva::Ask& ask, AnswerWanted answer) {
    if (ask.what == neva::AskFor::answer) return answer;
    RunRequest& request = answer.request;
    request.capture.attention = request.capture.residuals = request.capture.statistics =
        request.capture.loss = false;
    if (ask.what == neva::AskFor::gradient)
      return GradientWanted{{std::move(request), ask.scalar, {{HookSite::embed, -1}}, false}};
    PlacedImage& placed = request.tokens.images[input.parameters["picture"].get<size_t>()];
    auto named = std::make_shared<PreparedImage>(*placed.image);
    named->name = neva::name_of_point(ask.point);
    placed.image = std::move(named);
    return RunWanted{std::move(request)};
  }

  static AnswerWanted answer(const MethodInput& input, const neva::Aim& aim, HostTensor pixels,
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

  static Scanpath add_steps(const ImageRegion& region, const neva::Search& search, Table& steps) {
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
                               const Foveation& foveation, const neva::Search& search,
                               AnalysisResult& result) {
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

  static void add_grids(const MethodInput& input, const neva::Search& search, AnalysisResult& result) {
    if (search.grids().empty()) return;
    Field field = field_about("loss", "Loss with the next fixation there", ValueKind::magnitude,
                              {{AxisKind::step, "step", {}},
                               {AxisKind::other, "grid row", {}},
                               {AxisKind::other, "grid column", {}}});
    field.request = input.capture->provenance.request;
    field.values =
        HostTensor({static_cast<int64_t>(search.grids().size()), neva::grid_side, neva::grid_side}, false);
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
