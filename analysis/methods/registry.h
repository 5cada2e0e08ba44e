// The methods of this build: one line each, in registry.cpp's table.
#pragma once

#include <memory>

#include "analysis/method.h"

namespace saccade {

[[nodiscard]] std::unique_ptr<AnalysisMethod> make_ablation_sweep();
[[nodiscard]] std::unique_ptr<AnalysisMethod> make_activation_patching();
[[nodiscard]] std::unique_ptr<AnalysisMethod> make_agreement();
[[nodiscard]] std::unique_ptr<AnalysisMethod> make_attribution_patching();
[[nodiscard]] std::unique_ptr<AnalysisMethod> make_fit_offsets();
[[nodiscard]] std::unique_ptr<AnalysisMethod> make_head_hunter();
[[nodiscard]] std::unique_ptr<AnalysisMethod> make_head_table();
[[nodiscard]] std::unique_ptr<AnalysisMethod> make_logit_attribution();
[[nodiscard]] std::unique_ptr<AnalysisMethod> make_moa_influence();
[[nodiscard]] std::unique_ptr<AnalysisMethod> make_sinks();

}  // namespace saccade
