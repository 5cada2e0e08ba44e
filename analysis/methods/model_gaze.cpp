#include "analysis/methods/model_gaze.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <numeric>

#include "analysis/flow/target.h"
#include "analysis/images/patch_field.h"
#include "analysis/methods/path_results.h"
#include "analysis/scanpath/winner_take_all.h"

namespace saccade {
namespace {

constexpr double dwell_ms = 250.0;

struct Steps {
  std::shared_ptr<const Capture> capture;
  std::vector<int64_t> queries;  // of tokens and generated
  std::vector<std::string> names;
};

Result<Steps> steps_of(const MethodInput& input, const std::string& over, const ImageRegion& region) {
  Steps steps;
  steps.capture = input.capture;
  const int64_t n = input.capture->n_token();
  if (over == "generated") {
    const Generation* made = generation_in(input.outcomes, 0);
    const auto run = capture_in(input.outcomes, 1);
    if (made == nullptr || !run) return make_error(ErrorCode::cancelled, "cancelled");
    steps.capture = run;
    for (size_t i = 0; i < made->tokens.size(); ++i) {
      steps.queries.push_back(n - 1 + static_cast<int64_t>(i));
      steps.names.push_back(display_text(made->tokens[i]));
    }
  } else if (over == "tokens") {
    const auto regions = regions_of(n, input.capture->images);
    for (int64_t i = region.end(); i < n; ++i)
      if (regions[static_cast<size_t>(i)] == TokenRegion::txt) {
        steps.queries.push_back(i);
        steps.names.push_back(display_text(input.capture->tokens[static_cast<size_t>(i)]));
      }
  }
  if (over != "layers" && steps.queries.empty())
    return make_error(ErrorCode::invalid_argument,
                      over == "tokens"
                          ? "there is no text behind the picture whose tokens could be steps; use "
                            "over=layers"
                          : "nothing was generated: the model ended at once");
  return steps;
}

void add_row(std::span<const float> row, const ImageRegion& region, double weight, std::span<float> to) {
  for (size_t j = 0; j < to.size(); ++j)
    to[j] += static_cast<float>(weight) * row[static_cast<size_t>(region.position(static_cast<int64_t>(j)))];
}

// [layer that acts, patch]: what the target's rows give the patches.
Result<HostTensor> layer_rows(const FusedMaps& maps, const PathTarget& target, const ImageRegion& region,
                              std::vector<std::string>& names, const JobContext& job) {
  std::vector<int32_t> layers;
  for (int32_t l = 0; l < maps.layers(); ++l)
    if (maps.acts(l)) layers.push_back(l);
  HostTensor rows({static_cast<int64_t>(layers.size()), region.patches()});
  std::vector<float> row(static_cast<size_t>(maps.size()));
  for (size_t s = 0; s < layers.size(); ++s) {
    SACCADE_CHECK(job.check());
    names.push_back(fmt::format("layer {}", layers[s]));
    const auto to = rows.mutable_values().subspan(s * rows.slice(0).size(), rows.slice(0).size());
    for (int64_t i = 0; i < maps.size(); ++i) {
      const double weight = target.start[static_cast<size_t>(i)];
      if (weight == 0.0) continue;
      SACCADE_CHECK(maps.rows(layers[s], i, i + 1, row));
      add_row(row, region, weight, to);
    }
  }
  return rows;
}

Result<HostTensor> query_rows(const FusedMaps& maps, const std::vector<int64_t>& queries,
                              const ImageRegion& region, const JobContext& job) {
  HostTensor rows({static_cast<int64_t>(queries.size()), region.patches()});
  std::vector<float> row(static_cast<size_t>(maps.size()));
  double acting = 0.0;
  for (int32_t l = 0; l < maps.layers(); ++l) acting += maps.acts(l) ? 1.0 : 0.0;
  for (size_t s = 0; s < queries.size(); ++s) {
    SACCADE_CHECK(job.check());
    const auto to = rows.mutable_values().subspan(s * rows.slice(0).size(), rows.slice(0).size());
    for (int32_t l = 0; l < maps.layers(); ++l) {
      if (!maps.acts(l)) continue;
      SACCADE_CHECK(maps.rows(l, queries[s], queries[s] + 1, row));
      add_row(row, region, 1.0 / acting, to);
    }
  }
  return rows;
}

// One map, the sum of all steps without their sinks, whose peaks follow one another.
Result<AttentionScanpath> winners(const ModelGaze& gaze, const nlohmann::json& p, PatchGrid grid) {
  const AttentionScanpath& steps = gaze.scanpath;
  SaliencyMap map({grid.columns, grid.rows});
  for (int64_t s = 0; s < gaze.rows.shape()[0]; ++s)
    for (size_t j = 0; j < map.values.size(); ++j) map.values[j] += gaze.rows.slice(s)[j];
  for (const int64_t sink : steps.sinks) map.values[static_cast<size_t>(sink)] = 0.0;
  SACCADE_TRY(map, blurred(map, p["sigma"].get<double>()));
  WinnerTakeAllOptions options;
  options.fixations = p["fixations"].get<int64_t>();
  options.radius = p["radius"].get<double>();
  SACCADE_TRY(const WinnerPath walked, winner_take_all(map, options));
  const double total = std::accumulate(map.values.begin(), map.values.end(), 0.0);
  double entropy = 0.0;
  for (const double value : map.values)
    entropy -= value > 0.0 ? value / total * std::log(value / total) : 0.0;
  AttentionScanpath made;
  made.sinks = steps.sinks;
  made.findings = steps.findings;
  for (size_t i = 0; i < walked.steps.size(); ++i) {
    const Pixel at = walked.steps[i].pixel;
    const int64_t patch = at.y * grid.columns + at.x;
    made.steps.push_back(
        {static_cast<int64_t>(i), patch, total, map.values[static_cast<size_t>(patch)] / total, entropy});
  }
  return made;
}

}  // namespace

std::vector<ParameterInfo> model_gaze_parameters() {
  std::vector<ParameterInfo> parameters{
      choice(
          "over", "Steps",
          "layers: a fixation per layer; tokens: per token of text behind the picture; generated: per token "
          "of the model's answer.",
          {"layers", "tokens", "generated"}),
      query_parameter(),
      {"generate", "Generated tokens", "Of over=generated: at most so many.", 16, 1, 1000},
      {"picture", "Picture", "Which of the run's pictures, from 0.", 0, 0, 1e6}};
  for (ParameterInfo& parameter : fusion_parameters()) parameters.push_back(std::move(parameter));
  for (ParameterInfo& parameter : std::vector<ParameterInfo>{
           {"sink_times", "Sinks", "Patches above so many times the median are left out; 0: none is.", 10.0,
            0.0, 1e6},
           {"sigma", "Smoothing", "Standard deviation, in patches.", 0.7, 0.0, 1000.0},
           {"inhibition", "Inhibition of return", "What was looked at counts less for some steps.", false},
           choice("choose", "Fixations",
                  "step: the highest patch of every step; winner-take-all: of the sum of all steps, one peak "
                  "after another.",
                  {"step", "winner-take-all"}),
           {"fixations", "Fixations at most", "Of winner-take-all.", 10, 1, 10000},
           {"radius", "Inhibited radius", "Of winner-take-all, in patches.", 1.5, 0.1, 1000.0}})
    parameters.push_back(std::move(parameter));
  return parameters;
}

Result<std::vector<Wanted>> plan_model_gaze(const MethodInput& input) {
  std::vector<Wanted> wanted;
  if (input.parameters["over"] != "generated" || input.outcomes.size() >= 2) return wanted;
  SACCADE_CHECK(require_model(input, "over=generated"));
  if (const ModelSpec& spec = input.model->spec(); !spec.causal || spec.pooling != Pooling::none)
    return make_error(ErrorCode::unsupported,
                      fmt::format("{} does not generate; use over=layers", input.model->name()));
  if (input.outcomes.empty()) {
    SamplingOptions options;
    options.max_tokens = input.parameters["generate"].get<int>();
    wanted.emplace_back(GenerationWanted{input.base, options});
    return wanted;
  }
  const Generation* made = generation_in(input.outcomes, 0);
  if (made == nullptr || made->tokens.empty()) return wanted;
  RunRequest request = input.base;
  request.tokens.tokens.insert(request.tokens.tokens.end(), made->tokens.begin(), made->tokens.end());
  request.capture = CapturePlan{};
  request.capture.residuals = request.capture.statistics = request.capture.loss = false;
  wanted.emplace_back(RunWanted{std::move(request)});
  return wanted;
}

PictureSize original_size(const ImageRegion& region) {
  return {region.geometry.original_width, region.geometry.original_height};
}

Fixation patch_fixation(const ImageRegion& region, int64_t patch, double dwell, int64_t step) {
  const PatchRect rect = rect_of(region, patch);
  return {
      rect.x + 0.5 * rect.width, rect.y + 0.5 * rect.height, dwell, static_cast<double>(step) * dwell, {}};
}

Result<ModelGaze> model_gaze(const MethodInput& input, const JobContext& job) {
  const auto& p = input.parameters;
  if (!input.capture || input.capture->layers.empty())
    return make_error(ErrorCode::invalid_argument, "a model's scanpath needs a run with captured layers");
  ModelGaze gaze;
  SACCADE_TRY(gaze.region, picture_region(*input.capture, p["picture"].get<int64_t>(), "a model's scanpath"));
  const std::string over = p["over"].get<std::string>();
  if (over == "generated" && generation_in(input.outcomes, 0) != nullptr &&
      generation_in(input.outcomes, 0)->tokens.empty())
    return make_error(ErrorCode::invalid_argument, "nothing was generated: the model ended at once");
  SACCADE_TRY(Steps steps, steps_of(input, over, gaze.region));
  MethodInput looked_at = input;
  looked_at.capture = steps.capture;
  SACCADE_TRY(const FusedMaps maps, fused_maps(looked_at));
  gaze.request = steps.capture->provenance.request;
  if (over == "layers") {
    SACCADE_TRY(const PathTarget target, path_target(*steps.capture, p["query"].get<int64_t>()));
    SACCADE_TRY(gaze.rows, layer_rows(maps, target, gaze.region, steps.names, job));
    gaze.findings.push_back(fmt::format("Steps are the layers, read at {}.", target.text));
  } else {
    SACCADE_TRY(gaze.rows, query_rows(maps, steps.queries, gaze.region, job));
    gaze.findings.push_back(fmt::format("Steps are {} {} tokens, {} heads together.", steps.names.size(),
                                        over == "tokens" ? "read" : "generated", maps.n_chosen()));
  }
  gaze.steps = std::move(steps.names);
  AttentionScanpathOptions options;
  options.sink_times = p["sink_times"].get<double>();
  options.sigma = p["sigma"].get<double>();
  options.inhibition = p["inhibition"].get<bool>();
  options.dwell_ms = dwell_ms;
  const PatchGrid grid{gaze.region.grid_height, gaze.region.grid_width};
  const PictureSize processed{int64_t{gaze.region.grid_width} * std::max(gaze.region.patch_width, 1),
                              int64_t{gaze.region.grid_height} * std::max(gaze.region.patch_height, 1)};
  SACCADE_TRY(gaze.scanpath, attention_scanpath(gaze.rows, grid, processed, options));
  if (p["choose"] == "winner-take-all") {
    SACCADE_TRY(gaze.scanpath, winners(gaze, p, grid));
  }
  // From patches to pixels of the picture as it is, whatever the processor cut off or padded.
  Scanpath& path = gaze.scanpath.path;
  path = {};
  path.size = original_size(gaze.region);
  path.stimulus = gaze.region.name;
  int64_t outside = 0;
  for (const AttentionStep& step : gaze.scanpath.steps) {
    path.fixations.push_back(patch_fixation(gaze.region, step.patch, dwell_ms, step.step));
    outside += path.size.holds(path.fixations.back().x, path.fixations.back().y) ? 0 : 1;
  }
  for (const std::string& finding : gaze.scanpath.findings) gaze.findings.push_back(finding);
  if (outside > 0)
    gaze.findings.push_back(
        fmt::format("{} of {} fixations lie on what the processor added around the picture.", outside,
                    path.fixations.size()));
  return gaze;
}

Table gaze_steps_table(const ModelGaze& gaze) {
  Table table{"steps", {"step", "name", "patch", "row", "column", "x", "y", "mass", "share", "entropy"}, {}};
  for (size_t i = 0; i < gaze.scanpath.steps.size(); ++i) {
    const AttentionStep& step = gaze.scanpath.steps[i];
    const Fixation& fixation = gaze.scanpath.path.fixations[i];
    const auto at = static_cast<size_t>(step.step);
    table.rows.push_back({step.step, at < gaze.steps.size() ? gaze.steps[at] : "", step.patch,
                          step.patch / gaze.region.grid_width, step.patch % gaze.region.grid_width,
                          fixation.x, fixation.y, step.mass, step.share, step.entropy});
  }
  return table;
}

Table fixations_table(const std::string& subject, const Scanpath& path) {
  Table table{
      "fixations",
      {"subject", "stimulus", "index", "x", "y", "duration_ms", "start_ms", "image_width", "image_height"},
      {}};
  for (size_t i = 0; i < path.fixations.size(); ++i) {
    const Fixation& fixation = path.fixations[i];
    table.rows.push_back({subject, path.stimulus, static_cast<int64_t>(i), fixation.x, fixation.y,
                          fixation.duration, fixation.start.value_or(0.0), path.size.width,
                          path.size.height});
  }
  return table;
}

Result<Field> gaze_maps(const ModelGaze& gaze) {
  Field about = field_about("maps", "Attention over the picture at each step", ValueKind::probability,
                            {{AxisKind::step, "step", gaze.steps}});
  about.request = gaze.request;
  return patch_field(std::move(about), {gaze.rows.shape()[0]}, gaze.rows.values(), gaze.region);
}

}  // namespace saccade
