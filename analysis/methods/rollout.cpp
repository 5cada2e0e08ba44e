// rollout: how much each input token counts for one output token when information is mixed through all
// layers as attention and the residual say.
#include "analysis/flow/rollout.h"

#include <fmt/format.h>

#include <algorithm>

#include "analysis/methods/path_results.h"
#include "analysis/methods/registry.h"

namespace saccade {
namespace {

MethodInfo make_info() {
  MethodInfo info;
  info.id = "rollout";
  info.title = "Attention rollout";
  info.summary =
      "Follows attention and residual back through all layers: where one output token's information comes "
      "from, at the input and at the entry of every layer.";
  info.citation =
      "Abnar and Zuidema 2020 (arXiv 2005.00928), section 3: B_l = rows of A_l + I made to sum to 1, R = B_L "
      "... B_1; other fusions than the mean and the discarded share follow common practice with pictures";
  info.parameters = {query_parameter()};
  for (ParameterInfo& parameter : fusion_parameters()) info.parameters.push_back(std::move(parameter));
  info.parameters.push_back(
      {"residual", "Residual share", "Of the residual beside attention in every layer.", 0.5, 0.0, 1.0});
  info.parameters.push_back(
      {"whole", "Whole map", "Also every output token's rollout, [query, key] (up to 4,096 tokens).", false});
  return info;
}

class RolloutMethod final : public AnalysisMethod {
 public:
  [[nodiscard]] const MethodInfo& info() const override { return info_; }

  [[nodiscard]] Result<AnalysisResult> compute(const MethodInput& given,
                                               const JobContext& job) const override {
    MethodInput input = given;
    SACCADE_TRY(input.parameters, complete_parameters(info_, given.parameters));
    SACCADE_TRY(const FusedMaps maps, fused_maps(input));
    const Capture& capture = maps.capture();
    SACCADE_TRY(const PathTarget target, path_target(capture, input.parameters["query"].get<int64_t>()));
    const RolloutOptions options{input.parameters["residual"].get<double>(), input.threads};
    SACCADE_TRY(const auto shares, rollout_from(maps, target.start, options, job));
    AnalysisResult result;
    result.method = info_.id;
    result.requests = {capture.provenance.request};
    Field about = field_about("rollout", "Rollout from " + target.text, ValueKind::probability);
    SACCADE_CHECK(add_token_fields(capture, about, {}, shares.front(), result));
    about.name = "by_layer";
    about.label = "Where it stands at the entry of each layer";
    about.axes = {layer_axis(maps.layers())};
    std::vector<double> all;
    for (int32_t l = 0; l < maps.layers(); ++l)
      all.insert(all.end(), shares[static_cast<size_t>(l)].begin(), shares[static_cast<size_t>(l)].end());
    SACCADE_CHECK(add_token_fields(capture, about, {maps.layers()}, all, result));
    if (input.parameters["whole"].get<bool>()) {
      SACCADE_TRY(HostTensor map, rollout_map(maps, options, job));
      result.fields.push_back(
          {"map",
           "Rollout of every token",
           "",
           ValueKind::probability,
           {{AxisKind::query, "query", token_labels(capture)}, {AxisKind::key, "key", token_labels(capture)}},
           std::move(map),
           capture.provenance.request});
    }
    result.tables.push_back(tokens_table(capture, "tokens", {{"rollout", shares.front()}}));
    say(capture, target, maps, shares, result);
    result.parameters = std::move(input.parameters);
    return result;
  }

 private:
  static void say(const Capture& capture, const PathTarget& target, const FusedMaps& maps,
                  const std::vector<std::vector<double>>& shares, AnalysisResult& result) {
    const std::vector<double>& input = shares.front();
    result.findings.push_back(fmt::format("Through {} heads, {} rests on {}.", maps.n_chosen(), target.text,
                                          largest_text(capture, input, 3)));
    if (target.query >= 0)
      result.findings.push_back(fmt::format("{:.1f} % stays at its own position.",
                                            100.0 * input[static_cast<size_t>(target.query)]));
    for (size_t k = 0; k < capture.images.size(); ++k)
      result.findings.push_back(fmt::format("{:.1f} % comes from the patches of picture {} ('{}').",
                                            100.0 * share_on_picture(capture.images[k], input), k,
                                            capture.images[k].name));
  }

  MethodInfo info_ = make_info();
};

}  // namespace

std::unique_ptr<AnalysisMethod> make_rollout() { return std::make_unique<RolloutMethod>(); }

}  // namespace saccade
