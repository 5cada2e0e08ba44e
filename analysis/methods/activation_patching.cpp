// activation-patching: which activations carry the difference between a clean and a corrupted prompt.
//
// Noising overwrites one activation of the clean run with its value in the corrupted one, denoising the other
// way round; the normalised effect e is 0 where nothing changes and 1 where the patch alone makes the whole
// difference (values outside are possible). Heads are patched at z, at all positions; residual sites position
// by position.
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>

#include "analysis/methods/head_fields.h"
#include "analysis/methods/metric.h"
#include "analysis/methods/reference_runs.h"
#include "analysis/methods/registry.h"

namespace saccade {
namespace {

constexpr double nan = std::numeric_limits<double>::quiet_NaN();

struct Place {
  const char* name;
  HookSite site;
  bool by_position;  // [layer, token]; else [layer, head]
};
constexpr std::array<Place, 5> places{{{"heads", HookSite::z, false},
                                       {"resid_pre", HookSite::resid_pre, true},
                                       {"attn_out", HookSite::attn_out, true},
                                       {"mlp_out", HookSite::mlp_out, true},
                                       {"z", HookSite::z, true}}};

struct Plan {
  Place place = places[0];
  bool noising = false;
  Metric metric = Metric::logit_difference;
  PromptSet prompts;
  int64_t layers = 0, columns = 0;  // of the result: heads, or positions

  [[nodiscard]] size_t pairs() const { return prompts.pairs.size(); }
};

Result<Plan> read_plan(const MethodInput& input) {
  const auto& p = input.parameters;
  if (!input.model)
    return make_error(ErrorCode::invalid_argument,
                      "activation-patching needs the model, not only a capture of a run");
  Plan plan;
  const std::string at = p["at"].get<std::string>(), direction = p["direction"].get<std::string>();
  const auto known =
      std::find_if(places.begin(), places.end(), [&](const Place& place) { return at == place.name; });
  plan.place = *known;
  plan.noising = direction == "noising";
  SACCADE_TRY(plan.metric, parse_metric(p["metric"].get<std::string>()));
  SACCADE_TRY(plan.prompts, prompt_set(p["prompts"].get<std::string>(), *input.model, p["count"].get<int>(),
                                       p["seed"].get<uint64_t>()));
  if (!plan.prompts.has_corrupt())
    return make_error(
        ErrorCode::invalid_argument,
        fmt::format("{}: every prompt needs a corrupted twin to be patched from", plan.prompts.name));
  SACCADE_CHECK(plan.prompts.aligned());
  if (plan.place.by_position) SACCADE_CHECK(same_length(plan.prompts));
  const ModelSpec& spec = input.model->spec();
  if (!exists({plan.place.site, 0}, spec))
    return make_error(ErrorCode::unsupported,
                      fmt::format("{} has no {}", input.model->name(), plan.place.name));
  plan.layers = spec.n_layer;
  plan.columns = plan.place.by_position ? plan.prompts.pairs[0].clean.size() : spec.n_head;
  return plan;
}

// Clean and corrupted run of a pair: outcomes [0, pairs) and [pairs, 2 pairs).
const Run* run_of(const Plan& plan, const MethodInput& input, size_t pair, bool corrupt) {
  const size_t at = pair + (corrupt ? plan.pairs() : 0);
  const auto* run =
      at < input.outcomes.size() ? std::get_if<std::shared_ptr<const Run>>(&input.outcomes[at]) : nullptr;
  return run == nullptr ? nullptr : run->get();
}

double metric_of(const Plan& plan, const MethodInput& input, size_t pair, bool corrupt) {
  const Run* run = run_of(plan, input, pair, corrupt);
  return run == nullptr ? nan
                        : value_of(plan.metric, run->capture->last_logits, plan.prompts.pairs[pair], nullptr);
}

std::string edit_text(const Plan& plan, int64_t layer, int64_t column) {
  if (!plan.place.by_position) return fmt::format("replace {}.{} from=other", layer, column);
  const SiteRef site{plan.place.site, static_cast<int32_t>(layer)};
  return fmt::format("replace {} from=other query={}", full_name(site), column);
}

MethodInfo make_info() {
  MethodInfo info;
  info.id = "activation-patching";
  info.title = "Which activations carry the answer";
  info.summary =
      "Overwrites one activation at a time with its value in a corrupted (or clean) twin of the prompt, and "
      "measures "
      "how much of the difference that makes.";
  info.citation =
      "Meng et al. 2022 (arXiv 2202.05262, causal tracing); Wang et al. 2023 (arXiv 2211.00593); normalised "
      "effect "
      "(M_patched - M_from) / (M_to - M_from)";
  info.parameters = {
      choice("at", "Where",
             "heads (z of a head, all positions), or resid_pre, attn_out, mlp_out, z position by position.",
             {"heads", "resid_pre", "attn_out", "mlp_out", "z"}),
      choice("direction", "Direction",
             "noising: corrupted values into the clean run; denoising: the other way round.",
             {"noising", "denoising"}),
      choice("metric", "Metric", "logit-difference, probability or loss.",
             {"logit-difference", "probability", "loss"})};
  for (ParameterInfo& parameter : prompt_parameters()) info.parameters.push_back(std::move(parameter));
  return info;
}

class ActivationPatching final : public AnalysisMethod {
 public:
  [[nodiscard]] const MethodInfo& info() const override { return info_; }

  [[nodiscard]] Result<std::vector<Wanted>> plan(const MethodInput& input) const override {
    SACCADE_TRY(const Plan plan, read_plan(input));
    std::vector<Wanted> wanted;
    if (input.outcomes.empty()) {
      for (const bool corrupt : {false, true})
        for (const PromptPair& pair : plan.prompts.pairs) {
          RunRequest request = reference_request(input, corrupt ? pair.corrupt : pair.clean);
          request.capture.sites.clear();
          for (int32_t l = 0; l < plan.layers; ++l) request.capture.sites.push_back({plan.place.site, l});
          wanted.emplace_back(RunWanted{std::move(request)});
        }
      return wanted;
    }
    if (input.outcomes.size() > 2 * plan.pairs()) return wanted;
    for (size_t pair = 0; pair < plan.pairs(); ++pair) {
      const Run* into = run_of(plan, input, pair, !plan.noising);
      const Run* from = run_of(plan, input, pair, plan.noising);
      AnswerWanted answer;
      answer.request = into->request;
      answer.request.capture = {};
      answer.request.references["other"] = from->capture;
      answer.ids = ids_of(plan.prompts.pairs[pair]);
      for (int64_t layer = 0; layer < plan.layers; ++layer)
        for (int64_t column = 0; column < plan.columns; ++column) {
          SACCADE_TRY(Edit edit, parse_edit(edit_text(plan, layer, column)));
          answer.request.edits = {std::move(edit)};
          wanted.emplace_back(answer);
        }
    }
    return wanted;
  }

  [[nodiscard]] Result<AnalysisResult> compute(const MethodInput& input,
                                               const JobContext& /*job*/) const override {
    SACCADE_TRY(const Plan plan, read_plan(input));
    AnalysisResult result;
    result.method = info_.id;
    result.parameters = input.parameters;
    result.requests = {input.base.digest()};
    const size_t cells = static_cast<size_t>(plan.layers * plan.columns);
    std::vector<std::vector<double>> effects(cells);
    std::vector<double> clean, corrupt;
    size_t flat = 0;
    for (size_t pair = 0; pair < plan.pairs(); ++pair) {
      clean.push_back(metric_of(plan, input, pair, false));
      corrupt.push_back(metric_of(plan, input, pair, true));
      const double from = plan.noising ? clean.back() : corrupt.back();
      const double to = plan.noising ? corrupt.back() : clean.back();
      if (std::abs(to - from) < least_metric_difference) ++flat;
      for (size_t cell = 0; cell < cells; ++cell) {
        const size_t at = 2 * plan.pairs() + pair * cells + cell;
        const auto* answer =
            at < input.outcomes.size() ? std::get_if<KeptAnswer>(&input.outcomes[at]) : nullptr;
        effects[cell].push_back(
            answer == nullptr
                ? nan
                : normalised_effect(value_of(plan.metric, *answer, plan.prompts.pairs[pair]), from, to));
      }
    }
    add_fields(plan, input, effects, result);
    say(plan, clean, corrupt, flat, result);
    return result;
  }

 private:
  static void add_fields(const Plan& plan, const MethodInput& input,
                         const std::vector<std::vector<double>>& effects, AnalysisResult& result) {
    Field effect = head_field("effect", fmt::format("Normalised effect on the {}", label_of(plan.metric)), "",
                              ValueKind::signed_difference, plan.layers, plan.columns, input.base.digest());
    Field interval = head_field("effect_interval", "Half of its 95 % interval over prompts", "",
                                ValueKind::magnitude, plan.layers, plan.columns, input.base.digest());
    if (plan.place.by_position) {
      Axis tokens{AxisKind::token, "token", {}};
      for (const Token& token : plan.prompts.pairs[0].clean.tokens)
        tokens.labels.push_back(display_text(token));
      effect.axes[1] = interval.axes[1] = tokens;
    }
    for (size_t cell = 0; cell < effects.size(); ++cell) {
      const MeanInterval mean = mean_interval(effects[cell]);
      effect.values.mutable_values()[cell] = static_cast<float>(mean.mean);
      interval.values.mutable_values()[cell] = static_cast<float>(mean.half_width);
    }
    result.fields = {std::move(effect), std::move(interval)};
    if (!plan.place.by_position) result.tables.push_back(heads_table(result.fields));
  }

  static void say(const Plan& plan, const std::vector<double>& clean, const std::vector<double>& corrupt,
                  size_t flat, AnalysisResult& result) {
    if (flat > 0)
      result.findings.push_back(
          fmt::format("{} of {} prompt pairs do not discriminate: their {} differs by less than {} between "
                      "clean and corrupted; "
                      "they are left out.",
                      flat, plan.pairs(), label_of(plan.metric), least_metric_difference));
    const HostTensor& effect = result.fields[0].values;
    int64_t best = -1;
    for (int64_t at = 0; at < effect.size(); ++at)
      if (!std::isnan(effect.data()[at]) &&
          (best < 0 || std::abs(effect.data()[at]) > std::abs(effect.data()[best])))
        best = at;
    if (best < 0) return;
    const int64_t layer = best / plan.columns, column = best % plan.columns;
    const std::string where =
        plan.place.by_position
            ? fmt::format("{} at position {} ('{}')",
                          full_name({plan.place.site, static_cast<int32_t>(layer)}), column,
                          result.fields[0].axes[1].labels[static_cast<size_t>(column)])
            : "head " + to_string(head_at(best, plan.columns));
    const MeanInterval before = mean_interval(clean), after = mean_interval(corrupt);
    result.findings.push_back(
        fmt::format("{}, {}: {} carries {:.0f} % of the difference (normalised effect {:.2f} ± {:.2f}; the "
                    "{} is {:.3g} clean and "
                    "{:.3g} corrupted).",
                    plan.prompts.name, plan.noising ? "noising" : "denoising", where,
                    100.0 * effect.data()[best], effect.data()[best], result.fields[1].values.data()[best],
                    label_of(plan.metric), before.mean, after.mean));
  }

  MethodInfo info_ = make_info();
};

}  // namespace

std::unique_ptr<AnalysisMethod> make_activation_patching() { return std::make_unique<ActivationPatching>(); }

}  // namespace saccade
