// A lab on one of the tiny random models that read pictures, with a run of its picture.
#pragma once

#include <algorithm>

#include "tests/analysis/lab.h"
#include "tests/core/run/vision_fixtures.h"

namespace saccade {

struct VisionLab {
  Lab lab;
  std::shared_ptr<const Run> run;

  explicit VisionLab(const std::string& variant) {
    fixtures::Opened opened = fixtures::open(fixtures::vision_golden(variant).string());
    lab.model = opened.model;
    const RunRequest request = fixtures::vision_request(opened, fixtures::Numbers(variant));
    lab.runner = std::move(opened.runner);
    run = lab.run(request);
  }
  [[nodiscard]] Result<AnalysisResult> method(const std::string& id, const nlohmann::json& parameters,
                                              const JobContext& job = {}) const {
    return method_on(run, id, parameters, job);
  }
  [[nodiscard]] Result<AnalysisResult> method_on(const std::shared_ptr<const Run>& looked_at,
                                                 const std::string& id, const nlohmann::json& parameters,
                                                 const JobContext& job = {}) const {
    auto found = find_method(id);
    if (!found.ok()) return found.error();
    return run_method(**found, parameters, looked_at, {lab.model, lab.runner.get(), {}}, job);
  }
};

// Opened once per program.
inline const VisionLab& vit_lab() {
  static const VisionLab lab("vit");
  return lab;
}
inline const VisionLab& llava_lab() {
  static const VisionLab lab("llava");
  return lab;
}

inline std::vector<std::string> axis_names(const Field& field) {
  std::vector<std::string> names;
  for (const Axis& axis : field.axes) names.push_back(axis.name);
  return names;
}

}  // namespace saccade
