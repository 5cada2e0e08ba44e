#include "analysis/methods/registry.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>

namespace saccade {
namespace {

// A new method is one line here.
constexpr std::array makers{
    // clang-format off
    &make_ablation_sweep,
    &make_act_filter,
    &make_activation_patching,
    &make_circuit,
    &make_code_circuit,
    &make_composition,
    &make_head_table,
    &make_logit_attribution,
    &make_logit_lens,
    &make_output_nodes,
    &make_path_patching,
    &make_ph3,
    &make_attention_influence,
    &make_retrieval,
    &make_semantic_retrieval,
    &make_gaze_compare,
    &make_saliency_metrics,
    &make_agreement,
    &make_attribution_patching,
    &make_fit_offsets,
    &make_head_hunter,
    &make_moa_influence,
    &make_segment_order,
    &make_rollout,
    &make_attention_flow,
    &make_vlsam_flow,
    &make_head_profile,
    &make_scanpath,
    &make_object_scanpath,
    &make_visual_search,
    &make_neva,
    &make_refam,
    &make_relevance,
    &make_reversed_tree,
    &make_similarity_points,
    &make_carve,
    &make_gift,
    &make_hiprune,
    &make_imbalance_boost,
    &make_mechanism,
    &make_token_exit,
    &make_sinks,
    &make_verbalize,
    &make_damro,
    &make_hallucination,
    &make_image_regions,
    &make_vhd,
    &make_visual_sinks,
    // clang-format on
};

}  // namespace

Result<void> require_model(const MethodInput& input, std::string_view method) {
  if (input.model) return {};
  return make_error(ErrorCode::invalid_argument,
                    fmt::format("{} needs the model, not only a capture of a run", method));
}

std::span<const std::unique_ptr<AnalysisMethod>> methods() {
  static const std::vector<std::unique_ptr<AnalysisMethod>> all = [] {
    std::vector<std::unique_ptr<AnalysisMethod>> made;
    made.reserve(makers.size());
    for (const auto make : makers) made.push_back(make());
    std::sort(made.begin(), made.end(),
              [](const auto& a, const auto& b) { return a->info().id < b->info().id; });
    return made;
  }();
  return all;
}

Result<const AnalysisMethod*> find_method(std::string_view id) {
  std::string known;
  for (const auto& method : methods()) {
    if (method->info().id == id) return method.get();
    known += (known.empty() ? "" : ", ") + method->info().id;
  }
  return make_error(ErrorCode::not_found,
                    fmt::format("there is no method '{}'; the methods are {}", id, known));
}

}  // namespace saccade
