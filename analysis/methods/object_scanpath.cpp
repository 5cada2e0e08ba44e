// object-scanpath: a model's scanpath as a sequence of objects, by itself and beside people's.
#include "analysis/scanpath/object_scanpath.h"

#include <fmt/format.h>

#include "analysis/methods/gaze_parameters.h"
#include "analysis/methods/model_gaze.h"
#include "analysis/methods/path_results.h"
#include "analysis/methods/registry.h"
#include "analysis/scanpath/gaze_report.h"
#include "analysis/scanpath/object_boxes.h"

namespace saccade {
namespace {

MethodInfo make_info() {
  MethodInfo info;
  info.id = "object-scanpath";
  info.title = "Which objects the model looks at, in order";
  info.summary =
      "Fixations of a running model assigned to boxes: the ordered path over objects, dwell, and the ratios "
      "of "
      "search, refixation and revisit; with people's gaze also sequence score and behaviour distance.";
  info.citation =
      "Fang et al. 2024 (OAT, ECCV, arXiv 2407.13335): objects, behaviour ratios, sequence score (Needleman "
      "and "
      "Wunsch 1970)";
  info.parameters = {
      {"boxes", "Boxes", "name:left,top,right,bottom;... in pixels, or a JSON file.", ""},
      {"target", "Target", "Name of the box that is looked for; empty: none.", ""},
      {"gaze", "Human gaze", "Fixations on the same picture to compare with; may be empty.", ""},
      {"stimulus", "Picture's name", "In the gaze file; empty where it has one.", ""}};
  info.parameters[0].is_file = info.parameters[2].is_file = true;
  for (ParameterInfo& parameter : model_gaze_parameters()) info.parameters.push_back(std::move(parameter));
  return info;
}

struct Objects {
  std::vector<ObjectBox> boxes;
  std::optional<int64_t> target;
};

Result<Objects> read_objects(const nlohmann::json& p, PictureSize size) {
  Objects objects;
  SACCADE_TRY(objects.boxes, read_boxes(p["boxes"].get<std::string>(), size));
  const std::string name = p["target"].get<std::string>();
  std::string known;
  for (size_t i = 0; i < objects.boxes.size(); ++i) {
    if (!objects.target && objects.boxes[i].name == name) objects.target = static_cast<int64_t>(i);
    known += (known.empty() ? "" : ", ") + objects.boxes[i].name;
  }
  if (!name.empty() && !objects.target)
    return make_error(ErrorCode::invalid_argument, fmt::format("target='{}': the boxes are {}", name, known));
  return objects;
}

std::vector<Cell> ratios_row(std::string who, const BehaviourRatios& ratios) {
  return {std::move(who), ratios.search, ratios.refixation, ratios.revisit, ratios.found, ratios.length};
}

class ObjectScanpathMethod final : public AnalysisMethod {
 public:
  [[nodiscard]] const MethodInfo& info() const override { return info_; }
  [[nodiscard]] Result<std::vector<Wanted>> plan(const MethodInput& input) const override {
    return plan_model_gaze(input);
  }

  [[nodiscard]] Result<AnalysisResult> compute(const MethodInput& given,
                                               const JobContext& job) const override {
    MethodInput input = given;
    SACCADE_TRY(input.parameters, complete_parameters(info_, given.parameters));
    const auto& p = input.parameters;
    SACCADE_TRY(const ModelGaze gaze, model_gaze(input, job));
    const PictureSize size = original_size(gaze.region);
    SACCADE_TRY(const Objects objects, read_objects(p, size));
    SACCADE_TRY(const ObjectScanpath path, object_scanpath(gaze.scanpath.path, objects.boxes));
    AnalysisResult result;
    result.method = info_.id;
    result.requests = {gaze.request};
    SACCADE_TRY(Field maps, gaze_maps(gaze));
    result.fields.push_back(std::move(maps));
    Table steps{"objects", {"step", "object", "fixations", "dwell_ms"}, {}};
    for (size_t i = 0; i < path.steps.size(); ++i)
      steps.rows.push_back({static_cast<int64_t>(i),
                            objects.boxes[static_cast<size_t>(path.steps[i].object)].name,
                            path.steps[i].fixations, path.steps[i].dwell});
    result.tables.push_back(std::move(steps));
    result.tables.push_back(dwell_table(gaze, objects, path));
    result.tables.push_back(gaze_steps_table(gaze));
    result.findings = gaze.findings;
    Table ratios{"behaviour", {"who", "search", "refixation", "revisit", "found", "length"}, {}};
    if (path.objects.empty()) {
      result.findings.push_back(
          fmt::format("None of {} fixations is on an object: there are no ratios.", path.elsewhere));
    } else {
      const BehaviourRatios own = behaviour_ratios(path.objects, objects.target);
      ratios.rows.push_back(ratios_row("model", own));
      say(objects, path, own, result);
      if (const std::string file = p["gaze"].get<std::string>(); !file.empty())
        SACCADE_CHECK(
            compare(file, p["stimulus"].get<std::string>(), size, objects, path, own, ratios, result));
    }
    result.tables.push_back(std::move(ratios));
    result.parameters = std::move(input.parameters);
    return result;
  }

 private:
  // Per object: fixations, dwell, and the share of the attention on the picture that its patches get.
  static Table dwell_table(const ModelGaze& gaze, const Objects& objects, const ObjectScanpath& path) {
    Table table{"dwell", {"object", "fixations", "dwell_ms", "attention"}, {}};
    for (size_t o = 0; o < objects.boxes.size(); ++o) {
      const ObjectBox& box = objects.boxes[o];
      int64_t fixations = 0;
      double dwell = 0.0, inside = 0.0, all = 0.0;
      for (const ObjectStep& step : path.steps) {
        if (step.object != static_cast<int64_t>(o)) continue;
        fixations += step.fixations;
        dwell += step.dwell;
      }
      for (int64_t patch = 0; patch < gaze.rows.shape()[1]; ++patch) {
        const Fixation centre = patch_fixation(gaze.region, patch, 0.0, 0);
        const bool in =
            centre.x >= box.left && centre.x < box.right && centre.y >= box.top && centre.y < box.bottom;
        for (int64_t s = 0; s < gaze.rows.shape()[0]; ++s) {
          const double weight = gaze.rows.slice(s)[static_cast<size_t>(patch)];
          all += weight;
          inside += in ? weight : 0.0;
        }
      }
      table.rows.push_back({box.name, fixations, dwell, inside / all});
    }
    return table;
  }

  static void say(const Objects& objects, const ObjectScanpath& path, const BehaviourRatios& own,
                  AnalysisResult& result) {
    std::string order;
    for (size_t i = 0; i < path.steps.size() && i < 8; ++i)
      order += (order.empty() ? "" : ", ") + objects.boxes[static_cast<size_t>(path.steps[i].object)].name;
    result.findings.push_back(fmt::format("{} fixations are on objects, {} elsewhere; in order: {}{}.",
                                          path.objects.size(), path.elsewhere, order,
                                          path.steps.size() > 8 ? " ..." : ""));
    result.findings.push_back(
        fmt::format("Of those on objects {:.0f} % search, {:.0f} % refixate, {:.0f} % "
                    "revisit.",
                    100.0 * own.search, 100.0 * own.refixation, 100.0 * own.revisit));
    if (objects.target)
      result.findings.push_back(fmt::format("The last one {} the target '{}'.",
                                            own.found > 0.0 ? "is" : "is not",
                                            objects.boxes[static_cast<size_t>(*objects.target)].name));
  }

  static Result<void> compare(const std::string& file, const std::string& stimulus, PictureSize size,
                              const Objects& objects, const ObjectScanpath& path, const BehaviourRatios& own,
                              Table& ratios, AnalysisResult& result) {
    ReportOptions reading;
    reading.size = size;
    SACCADE_TRY(const ScanpathSet all, read_scanpaths(file, reading));
    SACCADE_TRY(const ScanpathSet set, select_stimulus(all, stimulus));
    if (set.stimuli().size() > 1)
      return make_error(
          ErrorCode::invalid_argument,
          fmt::format("{} holds gaze on {} pictures; name one with stimulus=", file, set.stimuli().size()));
    Table against{"against people", {"who", "sequence_score", "levenshtein", "behaviour_distance"}, {}};
    double score = 0.0, distance = 0.0;
    int64_t used = 0;
    for (const Scanpath& human : set.paths) {
      SACCADE_TRY(const Scanpath fitted,
                  human.size.known() ? rescaled(human, size) : Result<Scanpath>(human));
      SACCADE_TRY(const ObjectScanpath theirs, object_scanpath(fitted, objects.boxes));
      if (theirs.objects.empty()) continue;
      const BehaviourRatios behaviour = behaviour_ratios(theirs.objects, objects.target);
      ratios.rows.push_back(ratios_row(describe(human), behaviour));
      const double one = sequence_score(path.objects, theirs.objects),
                   far = behaviour_distance(own, behaviour);
      against.rows.push_back({describe(human), one, levenshtein(path.objects, theirs.objects), far});
      score += one;
      distance += far;
      ++used;
    }
    if (used == 0)
      return make_error(
          ErrorCode::invalid_argument,
          fmt::format("none of {} scanpaths in {} has a fixation on the boxes", set.paths.size(), file));
    result.findings.push_back(
        fmt::format("Against {} people: sequence score {:.2f}, behaviour distance {:.2f} (means).", used,
                    score / static_cast<double>(used), distance / static_cast<double>(used)));
    result.tables.push_back(std::move(against));
    return {};
  }

  MethodInfo info_ = make_info();
};

}  // namespace

std::unique_ptr<AnalysisMethod> make_object_scanpath() { return std::make_unique<ObjectScanpathMethod>(); }

}  // namespace saccade
