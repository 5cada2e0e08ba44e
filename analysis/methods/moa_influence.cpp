// moa-influence: the first-order effect of removing single attention weights, by one backward pass.
//
// Loss: the mean of -ln p(next token) over the prompt that is looked at. Per head the sum of |E| is a measure
// of its importance; of one head the whole map E is given.
#include "analysis/methods/moa_influence.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <optional>

#include "analysis/methods/head_fields.h"
#include "analysis/methods/registry.h"

namespace saccade {

std::vector<double> removal_effects(std::span<const float> weights, std::span<const float> gradients) {
  constexpr double alone = 1e-6;  // 1 - A_j below this: the key is the only one
  double mean = 0.0;
  for (size_t j = 0; j < weights.size(); ++j) mean += static_cast<double>(weights[j]) * gradients[j];
  std::vector<double> effects(weights.size());
  for (size_t j = 0; j < weights.size(); ++j) {
    const double a = weights[j], rest = 1.0 - a;
    effects[j] = rest < alone ? -a * gradients[j] : -a * (gradients[j] - mean) / rest;
  }
  return effects;
}

namespace {

MethodInfo make_info() {
  MethodInfo info;
  info.id = "moa-influence";
  info.title = "What removing one attention weight would do";
  info.summary =
      "The first-order change of the prompt's loss when single weights of a map are removed and their row is "
      "made "
      "to sum to 1 again; per head the sum of their sizes.";
  info.citation = "Fu et al. 2024 (MoA, arXiv 2406.14909, influence tensor)";
  info.parameters = {
      {"head", "Head", "Whose map of effects is given, such as 5.1; empty: the strongest head.", ""}};
  return info;
}

Result<std::optional<HeadId>> head_of(const MethodInput& input) {
  const std::string text = input.parameters["head"].get<std::string>();
  if (text.empty()) return std::optional<HeadId>();
  SACCADE_TRY(const HeadId head, parse_head(text));
  const ModelSpec& spec = input.model->spec();
  if (head.layer.value >= spec.n_layer || head.head.value >= spec.n_head)
    return make_error(ErrorCode::invalid_argument,
                      fmt::format("head={} was given, {} has {} layers of {} heads", text,
                                  input.model->name(), spec.n_layer, spec.n_head));
  return std::optional<HeadId>(head);
}

class MoaInfluence final : public AnalysisMethod {
 public:
  [[nodiscard]] const MethodInfo& info() const override { return info_; }

  [[nodiscard]] Result<std::vector<Wanted>> plan(const MethodInput& input) const override {
    SACCADE_CHECK(require_model(input, "moa-influence"));
    const ModelSpec& spec = input.model->spec();
    SACCADE_CHECK(head_of(input));
    const int64_t n = input.base.tokens.size();
    if (!spec.predicts_next_token() || n < 2)
      return make_error(ErrorCode::unsupported,
                        fmt::format("moa-influence is about the loss of next tokens: it needs a model that "
                                    "predicts them and at least 2 tokens, {} and {} were given",
                                    input.model->name(), n));
    std::vector<Wanted> wanted;
    if (!input.outcomes.empty()) return wanted;
    GradientRequest request;
    request.run = input.base;
    for (int64_t i = 0; i + 1 < n; ++i)
      request.scalar.push_back({ScalarKind::log_probability,
                                -1.0 / static_cast<double>(n - 1),
                                i,
                                {input.base.tokens.tokens[static_cast<size_t>(i) + 1].id}});
    for (int32_t l = 0; l < spec.n_layer; ++l) request.sites.push_back({HookSite::pattern, l});
    wanted.emplace_back(GradientWanted{std::move(request)});
    return wanted;
  }

  [[nodiscard]] Result<AnalysisResult> compute(const MethodInput& input,
                                               const JobContext& job) const override {
    const GradientCapture* gradient = gradient_in(input.outcomes, 0);
    if (gradient == nullptr) return make_error(ErrorCode::cancelled, "cancelled");
    const ModelSpec& spec = input.model->spec();
    const std::string request = input.base.digest();
    AnalysisResult result;
    result.method = info_.id;
    result.parameters = input.parameters;
    result.requests = {request};
    Field influence = head_field("influence", "Sum of the effects of removing single weights", "nats",
                                 ValueKind::magnitude, spec.n_layer, spec.n_head, request);
    std::span<float> values = influence.values.mutable_values();
    for (int64_t at = 0; at < influence.values.size(); ++at) {
      SACCADE_CHECK(job.check());
      const HostTensor map = map_of(*gradient, head_at(at, spec.n_head));
      double sum = 0.0;
      for (const float effect : map.values()) sum += std::abs(effect);
      values[static_cast<size_t>(at)] = static_cast<float>(sum);
    }
    SACCADE_TRY(const std::optional<HeadId> asked, head_of(input));
    const HeadId strongest =
        head_at(std::max_element(values.begin(), values.end()) - values.begin(), spec.n_head);
    const HeadId head = asked.value_or(strongest);
    result.fields.push_back(std::move(influence));
    result.fields.push_back(map_field(input, *gradient, head));
    result.tables.push_back(heads_table(std::span(result.fields).first(1)));
    say(input, *gradient, strongest, head, result);
    return result;
  }

 private:
  // E of a head, [query, key].
  static HostTensor map_of(const GradientCapture& gradient, HeadId head) {
    const SiteRef site{HookSite::pattern, head.layer.value};
    const HostTensor &weights = gradient.values.at(site), &slopes = gradient.gradients.at(site);
    const auto n = static_cast<size_t>(weights.shape()[1]);
    HostTensor map({weights.shape()[1], weights.shape()[2]}, false);
    const std::span<const float> a = weights.slice(head.head.value), g = slopes.slice(head.head.value);
    for (size_t i = 0; i < n; ++i) {
      const std::vector<double> effects = removal_effects(a.subspan(i * n, n), g.subspan(i * n, n));
      std::transform(effects.begin(), effects.end(),
                     map.mutable_values().begin() + static_cast<std::ptrdiff_t>(i * n),
                     [](double effect) { return static_cast<float>(effect); });
    }
    return map;
  }

  static Field map_field(const MethodInput& input, const GradientCapture& gradient, HeadId head) {
    Axis query{AxisKind::query, "query", {}}, key{AxisKind::key, "key", {}};
    for (const Token& token : input.base.tokens.tokens) query.labels.push_back(display_text(token));
    key.labels = query.labels;
    return {"removal",
            fmt::format("Loss gained by removing a weight of {}", to_string(head)),
            "nats",
            ValueKind::signed_difference,
            {query, key},
            map_of(gradient, head),
            input.base.digest()};
  }

  static void say(const MethodInput& input, const GradientCapture& gradient, HeadId strongest, HeadId head,
                  AnalysisResult& result) {
    const HostTensor &influence = result.fields[0].values, &map = result.fields[1].values;
    const std::span<const float> effects = map.values();
    const int64_t at = std::max_element(effects.begin(), effects.end()) - effects.begin(), n = map.shape()[1];
    const auto text = [&](int64_t position) {
      return display_text(input.base.tokens.tokens[static_cast<size_t>(position)]);
    };
    result.findings.push_back(fmt::format(
        "Head {} has the largest influence ({:.3g} nats in sum over its weights; the mean loss is {:.3g}).",
        to_string(strongest), influence.at({strongest.layer.value, strongest.head.value}), gradient.scalar));
    result.findings.push_back(fmt::format(
        "The weight of {} that helps most is from {} ('{}') to {} ('{}'): without it the loss would be "
        "{:.3g} "
        "nats higher, to first order.",
        to_string(head), at / n, text(at / n), at % n, text(at % n), effects[static_cast<size_t>(at)]));
  }

  MethodInfo info_ = make_info();
};

}  // namespace

std::unique_ptr<AnalysisMethod> make_moa_influence() { return std::make_unique<MoaInfluence>(); }

}  // namespace saccade
