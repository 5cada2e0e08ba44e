// imbalance-boost: two groups of image tokens, found in the encoder's attention (analysis/images/
// attention_groups.h), and the edits that let the decoder's last row see more of them.
//
// S := S + alpha |S| for local tokens, S + beta |S| for summary ones, before the softmax, from the prompt's
// last position on (what is decoded follows), decoder layers 2 to the last but one.
#include <fmt/format.h>

#include <algorithm>

#include "analysis/images/attention_groups.h"
#include "analysis/images/patch_field.h"
#include "analysis/images/picture_run.h"
#include "analysis/methods/head_fields.h"
#include "analysis/methods/registry.h"
#include "core/capture/attention_map.h"

namespace saccade {
namespace {

MethodInfo make_info() {
  MethodInfo info;
  info.id = "imbalance-boost";
  info.title = "Balance between local and summary tokens";
  info.summary =
      "Image tokens that carry detail and those that carry a summary, by the encoder's attention, and edits "
      "that "
      "boost the decoder's scores on both.";
  info.citation =
      "Arif et al. 2025 (Fixing Imbalanced Attention, arXiv 2501.12206) and its code; weighting heads: own";
  info.parameters = {
      {"alpha", "Alpha", "Boost of local tokens; the paper sees text collapse from 0.8 on.", 0.7, -1.0, 2.0},
      {"beta", "Beta", "Boost of summary tokens.", 0.4, -1.0, 2.0},
      {"local_share", "Local share",
       "Of all tokens, by first-layer CLS attention; from 0.3 on output breaks.", 0.25, 0.0, 1.0},
      {"spatial_share", "Spatial share", "Of all tokens, by what the first layer attends to.", 0.0, 0.0, 1.0},
      {"per_head", "Weigh heads", "Boost each head by how much it looks at the picture.", false}};
  return info;
}

class ImbalanceBoost final : public AnalysisMethod {
 public:
  [[nodiscard]] const MethodInfo& info() const override { return info_; }

  [[nodiscard]] Result<std::vector<Wanted>> plan(const MethodInput& input) const override {
    SACCADE_CHECK(check(input));
    // The last layer but one counts, whether the decoder reads it or an earlier one.
    SACCADE_TRY(std::vector<Wanted> wanted, encoder_wanted(input, info_.id, late_layer(input) + 1));
    if (input.outcomes.empty()) return wanted;
    wanted.clear();
    if (input.outcomes.size() > 1 || input.capture->last_logits.empty()) return wanted;
    SACCADE_TRY(const Groups groups, groups_of(input, {}));
    SACCADE_TRY(AnswerWanted answer, answer_under(input, groups.edits));
    wanted.emplace_back(std::move(answer));
    return wanted;
  }

  [[nodiscard]] Result<AnalysisResult> compute(const MethodInput& input,
                                               const JobContext& job) const override {
    SACCADE_CHECK(check(input));
    MethodInput complete = input;
    SACCADE_TRY(complete.parameters, complete_parameters(info_, input.parameters));
    SACCADE_TRY(const Groups groups, groups_of(complete, job));
    AnalysisResult result;
    result.method = info_.id;
    result.parameters = complete.parameters;
    result.requests = {input.capture->provenance.request};
    std::vector<double> kinds(groups.first_cls.size(), 0.0);
    for (const int64_t j : groups.tokens.local) kinds[static_cast<size_t>(j)] = 1.0;
    for (const int64_t j : groups.tokens.summary) kinds[static_cast<size_t>(j)] = 2.0;
    const std::string& request = input.capture->provenance.request;
    result.fields = {over_patches("group", "0 none, 1 local, 2 summary", ValueKind::magnitude, groups.region,
                                  kinds, request),
                     over_patches("first_cls", "CLS attention of the encoder's first layer",
                                  ValueKind::magnitude, groups.region, groups.first_cls, request),
                     over_patches("late_cls", "CLS attention of the encoder's last layer but one",
                                  ValueKind::magnitude, groups.region, groups.late_cls, request)};
    result.fields.push_back(groups.image_mass);
    Table table{"edits", {"edit"}, {}};
    for (const std::string& edit : groups.edits) table.rows.push_back({edit});
    result.tables.push_back(std::move(table));
    result.findings.push_back(fmt::format("{} local and {} summary tokens of {} patches.",
                                          groups.tokens.local.size(), groups.tokens.summary.size(),
                                          kinds.size()));
    if (!groups.has_cls)
      result.findings.emplace_back(
          "The encoder has no CLS: what all of its rows look at stands in its place.");
    if (const KeptAnswer* answer = answer_in(input.outcomes, 1)) {
      const std::string before = top_answer(input), after = answer_text(input, *answer);
      result.findings.push_back(fmt::format("Boosted, the answer moves by {:.3g} nats (KL): '{}' {}.",
                                            answer->kl, before,
                                            before == after ? "stays" : "becomes '" + after + "'"));
      result.tables.push_back(Table{"answer", {"kl", "before", "after"}, {{answer->kl, before, after}}});
    }
    return result;
  }

 private:
  struct Groups {
    ImageRegion region;
    AttentionGroups tokens;
    std::vector<double> first_cls, late_cls;
    Field image_mass;  // [layer, head]: mean weight of rows after the picture on it
    std::vector<std::string> edits;
    bool has_cls = true;
  };

  static Result<void> check(const MethodInput& input) {
    SACCADE_CHECK(require_model(input, "imbalance-boost"));
    SACCADE_CHECK(picture_region(*input.capture, 0, "imbalance-boost"));
    if (input.capture->spec.is_picture_model())
      return make_error(
          ErrorCode::unsupported,
          "imbalance-boost changes how a decoder reads a picture; this model is the encoder alone");
    if (!input.capture->layers.empty() && input.capture->layers[0]->keeps_attention()) return {};
    return make_error(ErrorCode::invalid_argument, "imbalance-boost needs a run with captured attention");
  }

  static int32_t late_layer(const MethodInput& input) {
    const auto& tower = input.model->tower();
    return tower ? std::max(0, tower->spec().n_layer - 2) : 0;
  }

  static Result<Groups> groups_of(const MethodInput& input, const JobContext& job) {
    const nlohmann::json& p = input.parameters;
    SACCADE_TRY(const EncoderRun encoder, encoder_of(input, "imbalance-boost"));
    Groups groups;
    groups.region = encoder.region;
    groups.has_cls = encoder.region.n_prefix > 0;
    SACCADE_TRY(groups.first_cls, cls_row_of_patches(encoder, 0, *input.kernels));
    SACCADE_TRY(const std::vector<double> received, received_by_patches(encoder, 0));
    SACCADE_TRY(groups.late_cls, cls_row_of_patches(encoder, late_layer(input), *input.kernels));
    groups.tokens = attention_groups(groups.first_cls, received, groups.late_cls,
                                     p["local_share"].get<double>(), p["spatial_share"].get<double>());
    SACCADE_TRY(groups.image_mass, image_mass_of(input, job));
    groups.edits = edits_of(input, groups);
    return groups;
  }

  static Result<Field> image_mass_of(const MethodInput& input, const JobContext& job) {
    const Capture& capture = *input.capture;
    const ImageRegion& region = capture.images[0];
    const auto layers = static_cast<int64_t>(capture.layers.size());
    const int64_t heads = capture.spec.n_head, n = capture.n_token();
    Field field = head_field("image_mass", "Weight of later rows on the picture", "", ValueKind::probability,
                             layers, heads, capture.provenance.request);
    std::vector<float> row(static_cast<size_t>(n));
    for (int64_t at = 0; at < layers * heads; ++at) {
      SACCADE_TRY(const AttentionMap map,
                  AttentionMap::of(input.capture, head_at(at, heads), *input.kernels));
      double mass = 0.0;
      for (int64_t i = std::min(region.end(), n - 1); i < n; ++i) {
        SACCADE_CHECK(job.check());
        SACCADE_CHECK(map.rows(i, i + 1, n, row));
        for (const float weight : over_patches(region, row)) mass += weight;
      }
      field.values.mutable_values()[static_cast<size_t>(at)] =
          static_cast<float>(mass / static_cast<double>(n - std::min(region.end(), n - 1)));
    }
    return field;
  }

  static std::vector<std::string> edits_of(const MethodInput& input, const Groups& groups) {
    const nlohmann::json& p = input.parameters;
    const Capture& capture = *input.capture;
    const int32_t layers = capture.spec.n_layer;
    const int32_t from = std::min(2, layers - 1), to = std::max(from, layers - 2);
    const ImageRegion& image = capture.images[0];
    const int64_t last = capture.n_token() - 1;
    std::vector<std::string> edits;
    const auto boost = [&](const std::string& heads, const std::vector<int64_t>& tokens, double by) {
      if (!tokens.empty() && by != 0.0)
        edits.push_back(fmt::format("boost {} by={:.6g} query={}: key={}", heads, by, last,
                                    positions_text(image, tokens)));
    };
    const auto boost_both = [&](const std::string& heads, double weight) {
      boost(heads, groups.tokens.local, weight * p["alpha"].get<double>());
      boost(heads, groups.tokens.summary, weight * p["beta"].get<double>());
    };
    if (!p["per_head"].get<bool>()) {
      boost_both(fmt::format("{}-{}.*", from, to), 1.0);
      return edits;
    }
    const int64_t heads = capture.spec.n_head;
    std::vector<double> masses;
    for (int64_t at = from * heads; at < (to + 1) * heads; ++at)
      masses.push_back(groups.image_mass.values.data()[at]);
    const std::vector<double> weights = head_weights(masses);
    for (size_t w = 0; w < weights.size(); ++w)
      boost_both(to_string(head_at(from * heads + static_cast<int64_t>(w), heads)), weights[w]);
    return edits;
  }

  MethodInfo info_ = make_info();
};

}  // namespace

std::unique_ptr<AnalysisMethod> make_imbalance_boost() { return std::make_unique<ImbalanceBoost>(); }

}  // namespace saccade
