// visual-search: target search by eye on a model's patch features, sight growing coarser away from the fovea.
#include "analysis/scanpath/visual_search.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <sstream>

#include "analysis/images/patch_field.h"
#include "analysis/images/read_picture.h"
#include "analysis/methods/model_gaze.h"
#include "analysis/methods/path_results.h"
#include "analysis/methods/registry.h"
#include "analysis/scanpath/object_boxes.h"
#include "core/model/image_input.h"

namespace saccade {
namespace {

constexpr double longest_side = 256.0;  // of the search in pixels: patches are coarser than that

MethodInfo make_info() {
  MethodInfo info;
  info.id = "visual-search";
  info.title = "Search for a target by eye";
  info.summary =
      "Compares every patch with the target's features as seen from each fixation, sharp there and coarser "
      "away "
      "from it, and moves to the best match until the target is under the eye.";
  info.citation =
      "Gupta et al. 2021 (visual search asymmetry, NeurIPS, arXiv 2106.02953): weighted maps, differences of "
      "Gaussians, infinite inhibition of return; patch features with eccentric averaging are own";
  info.parameters = {
      {"target", "Target", "left,top,right,bottom in pixels of the picture: where the target is.", ""},
      {"target_picture", "Target picture",
       "Or a picture of the target; then the box says only when it is found.", ""},
      {"picture", "Picture", "Which of the run's pictures is searched, from 0.", 0, 0, 1e6},
      {"levels", "Levels",
       "Residuals that are compared, 0 = before the first layer, -1 = after the last; several "
       "joined by commas.",
       "-1"},
      {"centre", "Centre features", "Subtracts the mean of all patches first (own).", false},
      {"slope", "Eccentricity", "How fast sight grows coarse, patches per patch.", 0.16, 0.0, 10.0},
      {"inhibition", "Inhibition", "Side of the square that is not looked at again, in patches.", 3.0, 0.1,
       1000.0},
      {"fixations", "Fixations at most", "The search is given up then.", 30, 1, 10000},
      {"near", "Near sigma", "Of the difference of Gaussians, in patches; 0: none.", 0.0, 0.0, 100.0},
      {"far", "Far sigma", "Of the difference of Gaussians, in patches.", 2.0, 0.0, 100.0}};
  info.parameters[1].is_file = true;
  return info;
}

// Patches as [row, column, feature] at one level of a run.
Result<HostTensor> features_at(const Capture& capture, const ImageRegion& region, int64_t level) {
  const auto layers = static_cast<int64_t>(capture.layers.size());
  const int64_t at = level < 0 ? layers + 1 + level : level;
  if (at < 0 || at > layers)
    return make_error(
        ErrorCode::invalid_argument,
        fmt::format("levels: there is no level {}; 0 to {}, or -1 for the last", level, layers));
  const HostTensor& residual =
      at < layers ? capture.layers[static_cast<size_t>(at)]->resid_pre : capture.final_resid;
  if (residual.empty())
    return make_error(ErrorCode::invalid_argument,
                      fmt::format("the run kept no residual at level {}; run it again with residuals", at));
  const int64_t width = residual.shape()[1];
  HostTensor made({region.grid_height, region.grid_width, width}, false);
  std::ranges::copy(over_patches(region, residual.values(), width), made.mutable_values().begin());
  return made;
}

std::vector<double> mean_feature(const HostTensor& features, const std::vector<int64_t>& patches) {
  const int64_t width = features.shape()[2];
  std::vector<double> mean(static_cast<size_t>(width), 0.0);
  for (const int64_t patch : patches)
    for (int64_t c = 0; c < width; ++c)
      mean[static_cast<size_t>(c)] +=
          features.data()[patch * width + c] / static_cast<double>(patches.size());
  return mean;
}

std::vector<int64_t> all_patches(const HostTensor& features) {
  std::vector<int64_t> patches(static_cast<size_t>(features.shape()[0] * features.shape()[1]));
  for (size_t i = 0; i < patches.size(); ++i) patches[i] = static_cast<int64_t>(i);
  return patches;
}

void subtract(HostTensor& features, const std::vector<double>& mean) {
  for (int64_t i = 0; i < features.size(); ++i)
    features.mutable_values()[static_cast<size_t>(i)] -=
        static_cast<float>(mean[static_cast<size_t>(i) % mean.size()]);
}

struct Setup {
  ImageRegion region;
  std::vector<int64_t> levels;
  std::optional<ObjectBox> box;  // pixels of the original picture
  bool from_picture = false;
};

Result<Setup> read_setup(const MethodInput& input) {
  const auto& p = input.parameters;
  if (!input.capture || input.capture->layers.empty())
    return make_error(ErrorCode::invalid_argument, "visual-search needs a run with captured layers");
  Setup setup;
  SACCADE_TRY(setup.region, picture_region(*input.capture, p["picture"].get<int64_t>(), "visual-search"));
  setup.from_picture = !p["target_picture"].get<std::string>().empty();
  if (const std::string text = p["target"].get<std::string>(); !text.empty()) {
    SACCADE_TRY(const auto boxes, read_boxes(text, original_size(setup.region)));
    if (boxes.size() != 1)
      return make_error(ErrorCode::invalid_argument,
                        fmt::format("target: {} boxes, expected one", boxes.size()));
    setup.box = boxes.front();
    setup.box->name = "target";
  } else if (!setup.from_picture) {
    return make_error(ErrorCode::invalid_argument,
                      "visual-search needs a target: target=left,top,right,bottom in pixels, or "
                      "target_picture=FILE");
  }
  std::istringstream levels(p["levels"].get<std::string>());
  for (std::string part; std::getline(levels, part, ',');) {
    char* end = nullptr;
    setup.levels.push_back(std::strtol(part.c_str(), &end, 10));
    if (part.empty() || *end != '\0')
      return make_error(ErrorCode::invalid_argument,
                        fmt::format("levels='{}': expected numbers joined by commas, like 4,8,-1",
                                    p["levels"].get<std::string>()));
  }
  if (setup.levels.empty()) return make_error(ErrorCode::invalid_argument, "levels is empty; -1 is the last");
  return setup;
}

// The patches whose centres are in the box; of a box between centres, the nearest one.
std::vector<int64_t> patches_in(const ImageRegion& region, const ObjectBox& box) {
  std::vector<int64_t> patches;
  int64_t nearest = 0;
  double least = INFINITY;
  for (int64_t patch = 0; patch < region.patches(); ++patch) {
    const Fixation centre = patch_fixation(region, patch, 0.0, 0);
    if (centre.x >= box.left && centre.x < box.right && centre.y >= box.top && centre.y < box.bottom)
      patches.push_back(patch);
    const double distance =
        std::hypot(centre.x - 0.5 * (box.left + box.right), centre.y - 0.5 * (box.top + box.bottom));
    if (distance < least) {
      least = distance;
      nearest = patch;
    }
  }
  if (patches.empty()) patches.push_back(nearest);
  return patches;
}

struct Level {
  HostTensor features;
  std::vector<float> target;
};

class VisualSearchMethod final : public AnalysisMethod {
 public:
  [[nodiscard]] const MethodInfo& info() const override { return info_; }

  [[nodiscard]] Result<std::vector<Wanted>> plan(const MethodInput& input) const override {
    std::vector<Wanted> wanted;
    SACCADE_TRY(const Setup setup, read_setup(input));
    if (!setup.from_picture || !input.outcomes.empty()) return wanted;
    SACCADE_CHECK(require_model(input, "target_picture"));
    if (!input.model->spec().is_picture_model())
      return make_error(ErrorCode::unsupported,
                        fmt::format("{} reads text too: its target is given as a box", input.model->name()));
    SACCADE_TRY(const Picture picture, read_picture(input.parameters["target_picture"].get<std::string>()));
    SACCADE_TRY(const auto prepared, prepare_image(*input.model, picture));
    RunRequest request = input.base;
    SACCADE_TRY(request.tokens, place_images(*input.model, TokenSequence(), {prepared}));
    request.capture = CapturePlan{};
    request.capture.attention = request.capture.statistics = request.capture.loss = false;
    wanted.emplace_back(RunWanted{std::move(request)});
    return wanted;
  }

  [[nodiscard]] Result<AnalysisResult> compute(const MethodInput& given,
                                               const JobContext& job) const override {
    MethodInput input = given;
    SACCADE_TRY(input.parameters, complete_parameters(info_, given.parameters));
    const auto& p = input.parameters;
    SACCADE_TRY(const Setup setup, read_setup(input));
    SACCADE_TRY(const std::vector<Level> levels, read_levels(input, setup));
    const ImageRegion& region = setup.region;
    // The search goes on the patches' own frame, in pixels of a picture of at most longest_side.
    const double patch = std::max(
        2.0, std::floor(longest_side / static_cast<double>(std::max(region.grid_height, region.grid_width))));
    const PictureSize size{static_cast<int64_t>(patch) * region.grid_width,
                           static_cast<int64_t>(patch) * region.grid_height};
    VisualSearchOptions options;
    options.fixations = p["fixations"].get<int64_t>();
    options.inhibition = p["inhibition"].get<double>() * patch;
    options.near_sigma = p["near"].get<double>() * patch;
    options.far_sigma = p["far"].get<double>() * patch;
    std::vector<float> seen;  // [step, patch]
    const auto map_at = [&](const Fixation& fixation) -> Result<SaliencyMap> {
      SACCADE_CHECK(job.check());
      job.progress(static_cast<double>(seen.size()) /
                       static_cast<double>(options.fixations * region.grid_height * region.grid_width),
                   "the picture as seen from the next fixation");
      SACCADE_TRY(const SaliencyMap map,
                  match_from(levels, fixation.y / patch - 0.5, fixation.x / patch - 0.5,
                             p["slope"].get<double>(), region));
      seen.insert(seen.end(), map.values.begin(), map.values.end());
      return stretched(map, size);
    };
    const ObjectBox box = box_in_search(setup, patch);
    SACCADE_TRY(SearchPath search, visual_search(size, box, options, map_at));
    return results(input, setup, std::move(search), patch, seen);
  }

 private:
  static Result<std::vector<Level>> read_levels(const MethodInput& input, const Setup& setup) {
    std::vector<Level> levels;
    for (const int64_t at : setup.levels) {
      Level level;
      SACCADE_TRY(level.features, features_at(*input.capture, setup.region, at));
      const std::vector<double> mean = mean_feature(level.features, all_patches(level.features));
      const bool centre = input.parameters["centre"].get<bool>();
      if (centre) subtract(level.features, mean);
      std::vector<double> target;
      if (setup.from_picture) {
        const auto run = capture_in(input.outcomes, 0);
        if (!run) return make_error(ErrorCode::cancelled, "cancelled");
        SACCADE_TRY(HostTensor other, features_at(*run, run->images.at(0), at));
        if (centre) subtract(other, mean);
        target = mean_feature(other, all_patches(other));
      } else {
        target = mean_feature(level.features, patches_in(setup.region, *setup.box));
      }
      level.target.assign(target.begin(), target.end());
      levels.push_back(std::move(level));
    }
    return levels;
  }

  // Row and column of the fixation in patches, from the centre of patch 0,0.
  static Result<SaliencyMap> match_from(const std::vector<Level>& levels, double row, double column,
                                        double slope, const ImageRegion& region) {
    std::vector<SaliencyMap> maps;
    for (const Level& level : levels) {
      SACCADE_TRY(const HostTensor eccentric, eccentric_features(level.features, row, column, slope));
      SACCADE_TRY(SaliencyMap map, match_map(eccentric, level.target));
      maps.push_back(std::move(map));
    }
    if (maps.size() == 1) return std::move(maps.front());
    return combined_search_map(maps, {region.grid_width, region.grid_height});
  }

  // The box in the search's pixels; one that nothing touches where there is none.
  static ObjectBox box_in_search(const Setup& setup, double patch) {
    if (!setup.box) return {"none", -2e6, -2e6, -1e6, -1e6};
    const ImageGeometry& g = setup.region.geometry;
    const auto x = [&](double at) {
      return (at * g.scale_x + g.offset_x) * patch / setup.region.patch_width;
    };
    const auto y = [&](double at) {
      return (at * g.scale_y + g.offset_y) * patch / setup.region.patch_height;
    };
    return {"target", x(setup.box->left), y(setup.box->top), x(setup.box->right), y(setup.box->bottom)};
  }

  Result<AnalysisResult> results(MethodInput& input, const Setup& setup, SearchPath search, double patch,
                                 const std::vector<float>& seen) const {
    const ImageRegion& region = setup.region;
    AnalysisResult result;
    result.method = info_.id;
    result.requests = {input.capture->provenance.request};
    Table steps{"steps", {"step", "patch", "row", "column", "x", "y"}, {}};
    Scanpath path;
    path.size = original_size(region);
    path.stimulus = region.name;
    const ImageGeometry& g = region.geometry;
    for (size_t i = 0; i < search.path.fixations.size(); ++i) {
      Fixation fixation = search.path.fixations[i];
      const auto row = std::min<int64_t>(static_cast<int64_t>(fixation.y / patch), region.grid_height - 1),
                 column = std::min<int64_t>(static_cast<int64_t>(fixation.x / patch), region.grid_width - 1);
      fixation.x = (fixation.x / patch * region.patch_width - g.offset_x) / g.scale_x;
      fixation.y = (fixation.y / patch * region.patch_height - g.offset_y) / g.scale_y;
      steps.rows.push_back(
          {static_cast<int64_t>(i), row * region.grid_width + column, row, column, fixation.x, fixation.y});
      path.fixations.push_back(fixation);
    }
    if (!seen.empty()) {
      Field about = field_about("match", "Match with the target as seen from each fixation",
                                ValueKind::signed_difference, {{AxisKind::step, "step", {}}});
      about.request = input.capture->provenance.request;
      SACCADE_TRY(Field maps,
                  patch_field(std::move(about), {static_cast<int64_t>(seen.size()) / (region.patches())},
                              seen, region));
      result.fields.push_back(std::move(maps));
    }
    result.tables.push_back(std::move(steps));
    result.tables.push_back(fixations_table(input.capture->provenance.model_name, path));
    result.findings.push_back(
        search.found
            ? fmt::format("The target is found with {} fixations, the first on the centre.", search.fixations)
        : setup.box ? fmt::format("The target is not found in {} fixations.", search.fixations)
                    : fmt::format("{} fixations; without a box nothing says when the target is found.",
                                  search.fixations));
    result.parameters = std::move(input.parameters);
    return result;
  }

  MethodInfo info_ = make_info();
};

}  // namespace

std::unique_ptr<AnalysisMethod> make_visual_search() { return std::make_unique<VisualSearchMethod>(); }

}  // namespace saccade
