// What the methods that follow paths through attention share: their parameters, and their results as fields
// over tokens and over the patches of every picture of the run.
#pragma once

#include <span>
#include <string>
#include <vector>

#include "analysis/flow/fused_maps.h"
#include "analysis/flow/target.h"
#include "analysis/method.h"

namespace saccade {

// "5-7.*", "9.9": heads as everywhere; the error shows the text.
[[nodiscard]] Result<HeadTarget> parse_head_target(const std::string& text);

[[nodiscard]] ParameterInfo query_parameter();
// heads, fusion, discard
[[nodiscard]] std::vector<ParameterInfo> fusion_parameters();
// input.parameters are complete. Errors: those of FusedMaps::make.
[[nodiscard]] Result<FusedMaps> fused_maps(const MethodInput& input);

[[nodiscard]] std::vector<std::string> token_labels(const Capture& capture);
[[nodiscard]] Axis layer_axis(int64_t layers);

// A field without numbers yet.
[[nodiscard]] Field field_about(std::string name, std::string label, ValueKind kind,
                                std::vector<Axis> axes = {}, std::string unit = "");

// values: [leading ..., token], row-major. The field over tokens, and for every picture one over its patches:
// `NAME_patches`, from the second picture on `NAME_patches_2`.
[[nodiscard]] Result<void> add_token_fields(const Capture& capture, const Field& about,
                                            const std::vector<int64_t>& leading,
                                            std::span<const double> values, AnalysisResult& result);

// position, token, then one column per list; as many rows as tokens.
[[nodiscard]] Table tokens_table(const Capture& capture, const std::string& name,
                                 const std::vector<std::pair<std::string, std::vector<double>>>& columns);

// "token 3 (' cat') 40 %, CLS 12 %": the `count` largest of shares, for sentences.
[[nodiscard]] std::string largest_text(const Capture& capture, std::span<const double> shares, size_t count);
// What of the shares lies on the patches of picture `k`.
[[nodiscard]] double share_on_picture(const ImageRegion& region, std::span<const double> shares);

}  // namespace saccade
