// The methods of this build: one line each, in registry.cpp's table.
#pragma once

#include <memory>

#include "analysis/method.h"

namespace saccade {

[[nodiscard]] std::unique_ptr<AnalysisMethod> make_ablation_sweep();
[[nodiscard]] std::unique_ptr<AnalysisMethod> make_act_filter();
[[nodiscard]] std::unique_ptr<AnalysisMethod> make_activation_patching();
[[nodiscard]] std::unique_ptr<AnalysisMethod> make_circuit();
[[nodiscard]] std::unique_ptr<AnalysisMethod> make_code_circuit();
[[nodiscard]] std::unique_ptr<AnalysisMethod> make_composition();
[[nodiscard]] std::unique_ptr<AnalysisMethod> make_head_table();
[[nodiscard]] std::unique_ptr<AnalysisMethod> make_logit_attribution();
[[nodiscard]] std::unique_ptr<AnalysisMethod> make_logit_lens();
[[nodiscard]] std::unique_ptr<AnalysisMethod> make_output_nodes();
[[nodiscard]] std::unique_ptr<AnalysisMethod> make_path_patching();
[[nodiscard]] std::unique_ptr<AnalysisMethod> make_ph3();
[[nodiscard]] std::unique_ptr<AnalysisMethod> make_attention_influence();
[[nodiscard]] std::unique_ptr<AnalysisMethod> make_retrieval();
[[nodiscard]] std::unique_ptr<AnalysisMethod> make_semantic_retrieval();
[[nodiscard]] std::unique_ptr<AnalysisMethod> make_gaze_compare();
[[nodiscard]] std::unique_ptr<AnalysisMethod> make_saliency_metrics();
[[nodiscard]] std::unique_ptr<AnalysisMethod> make_agreement();
[[nodiscard]] std::unique_ptr<AnalysisMethod> make_attribution_patching();
[[nodiscard]] std::unique_ptr<AnalysisMethod> make_fit_offsets();
[[nodiscard]] std::unique_ptr<AnalysisMethod> make_head_hunter();
[[nodiscard]] std::unique_ptr<AnalysisMethod> make_moa_influence();
[[nodiscard]] std::unique_ptr<AnalysisMethod> make_segment_order();
[[nodiscard]] std::unique_ptr<AnalysisMethod> make_rollout();
[[nodiscard]] std::unique_ptr<AnalysisMethod> make_attention_flow();
[[nodiscard]] std::unique_ptr<AnalysisMethod> make_vlsam_flow();
[[nodiscard]] std::unique_ptr<AnalysisMethod> make_head_profile();
[[nodiscard]] std::unique_ptr<AnalysisMethod> make_scanpath();
[[nodiscard]] std::unique_ptr<AnalysisMethod> make_object_scanpath();
[[nodiscard]] std::unique_ptr<AnalysisMethod> make_visual_search();
[[nodiscard]] std::unique_ptr<AnalysisMethod> make_neva();
[[nodiscard]] std::unique_ptr<AnalysisMethod> make_relevance();
[[nodiscard]] std::unique_ptr<AnalysisMethod> make_refam();
[[nodiscard]] std::unique_ptr<AnalysisMethod> make_reversed_tree();
[[nodiscard]] std::unique_ptr<AnalysisMethod> make_similarity_points();
[[nodiscard]] std::unique_ptr<AnalysisMethod> make_carve();
[[nodiscard]] std::unique_ptr<AnalysisMethod> make_gift();
[[nodiscard]] std::unique_ptr<AnalysisMethod> make_hiprune();
[[nodiscard]] std::unique_ptr<AnalysisMethod> make_imbalance_boost();
[[nodiscard]] std::unique_ptr<AnalysisMethod> make_mechanism();
[[nodiscard]] std::unique_ptr<AnalysisMethod> make_token_exit();
[[nodiscard]] std::unique_ptr<AnalysisMethod> make_sinks();
[[nodiscard]] std::unique_ptr<AnalysisMethod> make_verbalize();
[[nodiscard]] std::unique_ptr<AnalysisMethod> make_damro();
[[nodiscard]] std::unique_ptr<AnalysisMethod> make_hallucination();
[[nodiscard]] std::unique_ptr<AnalysisMethod> make_image_regions();
[[nodiscard]] std::unique_ptr<AnalysisMethod> make_vhd();
[[nodiscard]] std::unique_ptr<AnalysisMethod> make_visual_sinks();

}  // namespace saccade
