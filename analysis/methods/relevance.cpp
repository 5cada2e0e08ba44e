// relevance: which tokens or patches an answer rests on, and the attention areas that follow over a picture.
#include "analysis/flow/relevance.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <numeric>

#include "analysis/flow/rollout.h"
#include "analysis/images/patch_field.h"
#include "analysis/methods/path_results.h"
#include "analysis/methods/registry.h"
#include "analysis/methods/token_attribution.h"
#include "analysis/scanpath/context_saliency.h"

namespace saccade {
namespace {

MethodInfo make_info() {
  MethodInfo info;
  info.id = "relevance";
  info.title = "Relevance for an answer, and attention areas";
  info.summary =
      "Attention weighted by the gradient of a class or token (or gradient x input, or rollout without "
      "gradients), and over a picture the areas that stand out, by context-aware saliency.";
  info.citation =
      "Chefer, Gur and Wolf 2021 (arXiv 2103.15679), eq. 5 and 6; areas: Li et al. 2018 (salient relevance, "
      "arXiv 1712.08268) with Goferman et al. 2012 (IEEE TPAMI 34:1915); rollout: Abnar and Zuidema 2020";
  info.parameters = {
      choice("relevance", "Relevance",
             "gradient-weighted attention, gradient x input at the embedding, or rollout (no gradient).",
             {"gradient-weighted", "gradient x input", "rollout"}),
      {"class", "Class or token", "Whose logit the answer is; -1: the model's own answer.", -1, -1, 1e9},
      {"side", "Side", "Pixels of the longer side on which areas are looked for.", 40, 8, 64},
      {"area", "Area from", "Saliency, 0 to 1, from which a place belongs to an area.", 0.5, 0.01, 1.0}};
  return info;
}

bool takes_gradients(const nlohmann::json& p) { return p["relevance"] != "rollout"; }

Result<int32_t> followed_id(const MethodInput& input) {
  const HostTensor& logits = input.capture->last_logits;
  const auto asked = input.parameters["class"].get<int64_t>();
  if (asked >= logits.size())
    return make_error(ErrorCode::invalid_argument, fmt::format("class={}: the answer has {} logits, 0 to {}",
                                                               asked, logits.size(), logits.size() - 1));
  if (asked >= 0) return static_cast<int32_t>(asked);
  const auto values = logits.values();
  return static_cast<int32_t>(std::max_element(values.begin(), values.end()) - values.begin());
}

class Relevance final : public AnalysisMethod {
 public:
  [[nodiscard]] const MethodInfo& info() const override { return info_; }

  [[nodiscard]] Result<std::vector<Wanted>> plan(const MethodInput& input) const override {
    std::vector<Wanted> wanted;
    if (!takes_gradients(input.parameters) || !input.outcomes.empty()) return wanted;
    SACCADE_CHECK(require_model(input, "relevance by gradients"));
    SACCADE_TRY(const int32_t id, followed_id(input));
    GradientRequest request;
    request.run = input.base;
    request.scalar = {{ScalarKind::logit, 1.0, -1, {id}}};
    if (input.parameters["relevance"] == "gradient x input")
      request.sites = {{HookSite::embed, -1}};
    else
      for (int32_t l = 0; l < input.model->spec().n_layer; ++l)
        request.sites.push_back({HookSite::pattern, l});
    wanted.emplace_back(GradientWanted{std::move(request)});
    return wanted;
  }

  [[nodiscard]] Result<AnalysisResult> compute(const MethodInput& given,
                                               const JobContext& job) const override {
    MethodInput input = given;
    SACCADE_TRY(input.parameters, complete_parameters(info_, given.parameters));
    if (!input.capture || input.capture->layers.empty())
      return make_error(ErrorCode::invalid_argument, "relevance needs a run with captured layers");
    const Capture& capture = *input.capture;
    SACCADE_TRY(const PathTarget target, path_target(capture, -1));
    SACCADE_TRY(std::vector<double> relevance, relevance_of(input, target, job));
    // The positive part, as shares.
    for (double& value : relevance) value = std::max(value, 0.0);
    const double total = std::accumulate(relevance.begin(), relevance.end(), 0.0);
    if (!(total > 0.0) || !std::isfinite(total))
      return make_error(ErrorCode::invalid_argument,
                        "no token has a positive relevance for this answer: there is nothing to show");
    for (double& value : relevance) value /= total;
    AnalysisResult result;
    result.method = info_.id;
    result.requests = {capture.provenance.request};
    SACCADE_CHECK(add_token_fields(
        capture, field_about("relevance", "Share of the positive relevance", ValueKind::probability), {},
        relevance, result));
    result.tables.push_back(tokens_table(capture, "tokens", {{"relevance", relevance}}));
    SACCADE_CHECK(say(input, target, relevance, result));
    for (size_t k = 0; k < capture.images.size(); ++k)
      SACCADE_CHECK(add_areas(input, k, relevance, job, result));
    result.parameters = std::move(input.parameters);
    return result;
  }

 private:
  static Result<std::vector<double>> relevance_of(const MethodInput& input, const PathTarget& target,
                                                  const JobContext& job) {
    if (!takes_gradients(input.parameters)) {
      SACCADE_TRY(const FusedMaps maps, FusedMaps::make(input.capture, *input.kernels, {}));
      SACCADE_TRY(auto shares, rollout_from(maps, target.start, {0.5, input.threads}, job));
      return std::move(shares.front());
    }
    const GradientCapture* gradients = gradient_in(input.outcomes, 0);
    if (gradients == nullptr) return make_error(ErrorCode::cancelled, "cancelled");
    const SiteRef embed{HookSite::embed, -1};
    if (input.parameters["relevance"] == "gradient x input")
      return row_products(gradients->values.at(embed), gradients->gradients.at(embed));
    return gradient_relevance(*gradients, static_cast<int32_t>(input.capture->layers.size()), target.start);
  }

  static Result<void> say(const MethodInput& input, const PathTarget& target,
                          const std::vector<double>& relevance, AnalysisResult& result) {
    const Capture& capture = *input.capture;
    std::string of = "Read at " + target.text + ", without gradients, the answer";
    if (takes_gradients(input.parameters)) {
      SACCADE_TRY(const int32_t id, followed_id(input));
      const auto token = input.model->tokenizer().token(id);
      of = fmt::format("The logit of '{}'", token.ok() ? display_text(*token) : std::to_string(id));
    }
    result.findings.push_back(fmt::format("{} rests on {}.", of, largest_text(capture, relevance, 3)));
    return {};
  }

  static Result<void> add_areas(const MethodInput& input, size_t picture,
                                const std::vector<double>& relevance, const JobContext& job,
                                AnalysisResult& result) {
    const Capture& capture = *input.capture;
    const ImageRegion& region = capture.images[picture];
    SaliencyMap patches({region.grid_width, region.grid_height});
    for (int64_t patch = 0; patch < region.patches(); ++patch)
      patches.values[static_cast<size_t>(patch)] = relevance[static_cast<size_t>(region.position(patch))];
    const double side = input.parameters["side"].get<double>() /
                        static_cast<double>(std::max(region.grid_width, region.grid_height));
    const PictureSize size{std::max<int64_t>(1, std::lround(side * region.grid_width)),
                           std::max<int64_t>(1, std::lround(side * region.grid_height))};
    SACCADE_TRY(const SaliencyMap large, stretched(patches, size));
    job.progress(static_cast<double>(picture) / static_cast<double>(capture.images.size()),
                 "attention areas");
    SACCADE_TRY(const SaliencyMap salient, context_saliency(large, {}, job));
    const std::string suffix = picture == 0 ? "" : fmt::format("_{}", picture + 1);
    Field fine =
        field_about("areas" + suffix, fmt::format("Saliency of relevance, picture {}", picture),
                    ValueKind::probability, {{AxisKind::other, "y", {}}, {AxisKind::other, "x", {}}});
    fine.request = capture.provenance.request;
    fine.values = HostTensor({size.height, size.width}, false);
    std::copy(salient.values.begin(), salient.values.end(), fine.values.mutable_values().begin());
    // Over the patches: the mean of the places in each.
    std::vector<float> means(patches.values.size(), 0.0F), counts(patches.values.size(), 0.0F);
    for (int64_t y = 0; y < size.height; ++y)
      for (int64_t x = 0; x < size.width; ++x) {
        const auto at = static_cast<size_t>((y * region.grid_height / size.height) * region.grid_width +
                                            x * region.grid_width / size.width);
        means[at] += static_cast<float>(salient.at(x, y));
        counts[at] += 1.0F;
      }
    for (size_t i = 0; i < means.size(); ++i)
      if (counts[i] > 0.0F) means[i] /= counts[i];
    Field about = field_about("areas_patches" + suffix, "Saliency of relevance, over the picture",
                              ValueKind::probability);
    about.request = capture.provenance.request;
    SACCADE_TRY(Field over, patch_field(std::move(about), {}, means, region));
    result.fields.push_back(std::move(over));
    result.fields.push_back(std::move(fine));
    const auto areas = areas_above(salient, input.parameters["area"].get<double>());
    double covered = 0.0;
    for (const auto& area : areas) covered += static_cast<double>(area.size());
    result.findings.push_back(
        areas.empty()
            ? fmt::format("Relevance over picture {} is flat: there is no attention area.", picture)
            : fmt::format("{} attention areas cover {:.1f} % of picture {}, the largest {:.1f} %.",
                          areas.size(), 100.0 * covered / static_cast<double>(salient.values.size()), picture,
                          100.0 * static_cast<double>(areas.front().size()) /
                              static_cast<double>(salient.values.size())));
    return {};
  }

  MethodInfo info_ = make_info();
};

}  // namespace

std::unique_ptr<AnalysisMethod> make_relevance() { return std::make_unique<Relevance>(); }

}  // namespace saccade
