#include "app/views/picture/scanpath_source.h"

#include <fmt/format.h>

#include <algorithm>

#include "analysis/scanpath/gaze_report.h"
#include "analysis/scanpath/winner_take_all.h"

namespace saccade {
namespace {

Error refuse(const QString& why) { return make_error(ErrorCode::invalid_argument, why.toStdString()); }

// A fixation on a patch stands in the middle of what is seen of it.
void place(Fixation& fixation, const ImageRegion& region, int64_t patch, PictureSize size) {
  const PatchRect rect = rect_of(region, patch);
  const auto middle = [](double begin, double length, int64_t most) {
    const double end = std::clamp(begin + length, 0.0, static_cast<double>(most));
    return (std::clamp(begin, 0.0, static_cast<double>(most)) + end) / 2.0;
  };
  fixation.x = middle(rect.x, rect.width, size.width);
  fixation.y = middle(rect.y, rect.height, size.height);
}

// One row of patches per step becomes one fixation.
Result<Scanpath> path_of_rows(const std::vector<std::vector<float>>& steps, const PictureScene& scene) {
  const ImageRegion& region = scene.map.region;
  const int64_t patches = int64_t{region.grid_height} * region.grid_width;
  HostTensor rows({static_cast<int64_t>(steps.size()), patches});
  auto out = rows.mutable_values().begin();
  for (const auto& step : steps) {
    if (static_cast<int64_t>(step.size()) != patches)
      return refuse(QObject::tr("This run kept no queries and keys: there is no path to draw."));
    out = std::copy(step.begin(), step.end(), out);
  }
  const PictureSize size = size_of(scene);
  SACCADE_TRY(AttentionScanpath made,
              attention_scanpath(rows, {region.grid_height, region.grid_width}, size));
  for (size_t i = 0; i < made.path.fixations.size(); ++i)
    place(made.path.fixations[i], region, made.steps[i].patch, size);
  return std::move(made.path);
}

Result<Scanpath> path_of_words(const Workbench& workbench, AttentionRows& rows, const PictureScene& scene) {
  const GeneratedText& text = workbench.text_shown();
  if (!text.run)
    return refuse(QObject::tr("Press Generate first: every word of the answer becomes a fixation."));
  const std::vector<HeadId> heads = heads_shown(workbench);
  std::vector<std::vector<float>> steps;
  for (int word = 0; word < static_cast<int>(text.tokens.size()); ++word) {
    LookedFrom from = looked_from_word(workbench, word);
    from.other = nullptr;  // a path is of one run
    steps.push_back(patches_of(rows, from, heads, scene.map.region));
  }
  return path_of_rows(steps, scene);
}

Result<Scanpath> path_of_layers(const Workbench& workbench, AttentionRows& rows, const PictureScene& scene) {
  LookedFrom from = looked_from(workbench, scene.map.region, -1);
  if (!from.capture) return refuse(QObject::tr("Run a prompt first: every layer becomes a fixation."));
  from.other = nullptr;
  std::vector<std::vector<float>> steps;
  for (int32_t l = 0; l < from.capture->spec.n_layer; ++l) {
    std::vector<HeadId> heads;
    for (int32_t h = 0; h < from.capture->spec.n_head; ++h) heads.push_back({LayerIndex{l}, HeadIndex{h}});
    steps.push_back(patches_of(rows, from, heads, scene.map.region));
  }
  return path_of_rows(steps, scene);
}

// On the grid's own resolution, a few elements per patch; the way back is the grid's place in the picture.
Result<Scanpath> path_of_winners(const PictureScene& scene) {
  if (scene.map.empty()) return refuse(QObject::tr("There is no map to follow: select a head."));
  if (scene.scale.low < 0.0)
    return refuse(QObject::tr("A difference has no highest place to look at: show A or B."));
  const ImageRegion& region = scene.map.region;
  constexpr int factor = 4;
  SaliencyMap map({int64_t{region.grid_width} * factor, int64_t{region.grid_height} * factor});
  const std::vector<float> values = smoothed(scene.map, factor);
  std::transform(values.begin(), values.end(), map.values.begin(),
                 [](float value) { return std::isfinite(value) ? double{value} : 0.0; });
  WinnerTakeAllOptions options;
  options.fixations = 10;
  options.least = 0.1;
  // A patch that was looked at is not looked at again at its other end.
  options.radius = factor * std::max(1.25, std::min(region.grid_width, region.grid_height) / 6.0);
  SACCADE_TRY(WinnerPath made, winner_take_all(map, options));
  const PatchRect grid = grid_rect(region);
  for (Fixation& fixation : made.path.fixations) {
    fixation.x = grid.x + fixation.x / (region.grid_width * factor) * grid.width;
    fixation.y = grid.y + fixation.y / (region.grid_height * factor) * grid.height;
  }
  return std::move(made.path);
}

}  // namespace

PictureSize size_of(const PictureScene& scene) {
  const ImageGeometry& g = scene.map.region.geometry;
  return scene.pixels ? PictureSize{scene.pixels->width, scene.pixels->height}
                      : PictureSize{g.original_width, g.original_height};
}

Result<Scanpath> model_path(ModelPath kind, const Workbench& workbench, AttentionRows& rows,
                            const PictureScene& scene) {
  if (!scene.there || scene.map.region.grid_width < 1)
    return refuse(QObject::tr("There is no picture that the model has seen."));
  Result<Scanpath> path = refuse(QObject::tr("no path"));
  std::string name;
  switch (kind) {
    case ModelPath::none:
      return path;
    case ModelPath::words:
      path = path_of_words(workbench, rows, scene);
      name = "the model, word by word";
      break;
    case ModelPath::layers:
      path = path_of_layers(workbench, rows, scene);
      name = "the model, layer by layer";
      break;
    case ModelPath::winners:
      path = path_of_winners(scene);
      name = "the shown map's highest places";
      break;
  }
  if (!path.ok()) return path;
  path->size = size_of(scene);
  path->subject = name;
  path->stimulus = scene.map.region.name;
  return path;
}

Result<std::vector<Scanpath>> people_on(const ScanpathSet& set, const std::string& picture,
                                        PictureSize size) {
  Result<ScanpathSet> chosen = select_stimulus(set, picture);
  if (!chosen.ok()) {
    if (set.stimuli().size() > 1) return std::move(chosen).error();
    chosen = set;
  }
  std::vector<Scanpath> paths;
  for (Scanpath path : chosen->paths) {
    if (path.fixations.empty()) continue;
    if (!path.size.known()) path.size = size;  // the report was made on this very picture, or says otherwise
    if (!(path.size == size)) {
      SACCADE_TRY(path, rescaled(path, size));
    }
    paths.push_back(std::move(path));
  }
  if (paths.empty())
    return make_error(ErrorCode::not_found, fmt::format("no fixation is on the picture '{}'", picture));
  return paths;
}

}  // namespace saccade
