// activation-patching: which activations carry the difference between a clean and a corrupted prompt.
//
// Noising overwrites one activation of the clean run with its value in the corrupted one, denoising the other
// way round; the normalised effect e is 0 where nothing changes and 1 where the patch alone makes the whole
// difference (values outside are possible). Heads are patched at z, q, k, v or their map, residual sites
// position by position; prompts of different lengths are patched role by role.
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>

#include "analysis/methods/head_fields.h"
#include "analysis/methods/metric.h"
#include "analysis/methods/reference_runs.h"
#include "analysis/methods/registry.h"
#include "analysis/prompts/positions.h"
#include "core/base/digest.h"

namespace saccade {
namespace {

constexpr double nan = std::numeric_limits<double>::quiet_NaN();

struct Place {
  const char* name;
  HookSite site;
  bool by_position;  // [layer, token]; else [layer, head]
};
constexpr std::array<Place, 9> places{{{"heads", HookSite::z, false},
                                       {"resid_pre", HookSite::resid_pre, true},
                                       {"attn_out", HookSite::attn_out, true},
                                       {"mlp_out", HookSite::mlp_out, true},
                                       {"z", HookSite::z, true},
                                       {"heads-q", HookSite::q, false},
                                       {"heads-k", HookSite::k, false},
                                       {"heads-v", HookSite::v, false},
                                       {"heads-pattern", HookSite::pattern, false}}};

struct Plan {
  Place place = places[0];
  bool noising = false;
  Metric metric = Metric::logit_difference;
  PromptSet prompts;
  bool over_prompts = false;  // normalise the metric's mean, not each pair's
  std::vector<std::string>
      positions;  // of a column as aligned_positions() names it; of heads: the one of all
  bool by_role = false;
  int64_t layers = 0, columns = 0;  // of the result: heads, or positions

  [[nodiscard]] size_t pairs() const { return prompts.pairs.size(); }
};

// Positions by number where all prompts have one length, else by the roles that all of them have.
Result<void> read_positions(const MethodInput& input, Plan& plan) {
  if (!plan.place.by_position) {
    plan.positions = {input.parameters["position"].get<std::string>()};
    if (plan.place.site == HookSite::pattern) {
      SACCADE_CHECK(plan.prompts.aligned());
      if (plan.positions[0] != "all")
        return make_error(ErrorCode::invalid_argument,
                          "heads-pattern puts in whole maps: it goes with position=all");
    }
  } else if (plan.prompts.aligned().ok() && same_length(plan.prompts).ok()) {
    for (int64_t i = 0; i < plan.prompts.pairs[0].clean.size(); ++i)
      plan.positions.push_back(std::to_string(i));
  } else {
    plan.positions = common_roles(plan.prompts);
    plan.by_role = true;
    if (plan.positions.empty())
      return make_error(
          ErrorCode::invalid_argument,
          fmt::format("{}: the prompts have different lengths and no roles in common: patching by "
                      "position needs prompts of one length, or roles that say which tokens "
                      "correspond",
                      plan.prompts.name));
  }
  for (size_t pair = 0; pair < plan.pairs(); ++pair)
    for (const std::string& name : plan.positions) {
      SACCADE_TRY(const AlignedPositions positions, aligned_positions(plan.prompts, pair, name));
      (void)positions;
    }
  return {};
}

Result<Plan> read_plan(const MethodInput& input) {
  const auto& p = input.parameters;
  SACCADE_CHECK(require_model(input, "activation-patching"));
  Plan plan;
  const std::string at = p["at"].get<std::string>(), direction = p["direction"].get<std::string>();
  const auto known =
      std::find_if(places.begin(), places.end(), [&](const Place& place) { return at == place.name; });
  plan.place = *known;
  plan.noising = direction == "noising";
  SACCADE_TRY(plan.metric, parse_metric(p["metric"].get<std::string>()));
  SACCADE_TRY(plan.prompts, prompts_of(input));
  if (!plan.prompts.has_corrupt())
    return make_error(
        ErrorCode::invalid_argument,
        fmt::format("{}: every prompt needs a corrupted twin to be patched from", plan.prompts.name));
  plan.over_prompts = p["average"] == "prompts";
  SACCADE_CHECK(read_positions(input, plan));
  const ModelSpec& spec = input.model->spec();
  if (!exists({plan.place.site, 0}, spec))
    return make_error(ErrorCode::unsupported,
                      fmt::format("{} has no {}", input.model->name(), plan.place.name));
  plan.layers = spec.n_layer;
  plan.columns = plan.place.by_position ? static_cast<int64_t>(plan.positions.size()) : spec.n_head;
  return plan;
}

// Clean and corrupted run of a pair: outcomes [0, pairs) and [pairs, 2 pairs).
const Run* run_of(const Plan& plan, const MethodInput& input, size_t pair, bool corrupt) {
  const size_t at = pair + (corrupt ? plan.pairs() : 0);
  return run_in(input.outcomes, at);
}

double metric_of(const Plan& plan, const MethodInput& input, size_t pair, bool corrupt) {
  const Run* run = run_of(plan, input, pair, corrupt);
  return run == nullptr ? nan
                        : value_of(plan.metric, run->capture->last_logits, plan.prompts.pairs[pair], nullptr);
}

// positions: of the run that is patched; "all" leaves them out.
std::string edit_text(const Plan& plan, int64_t layer, int64_t column,
                      const std::vector<int64_t>& positions) {
  const std::string query =
      plan.positions[0] == "all" ? std::string() : fmt::format(" query={}", fmt::join(positions, ","));
  const SiteRef site{plan.place.site, static_cast<int32_t>(layer)};
  if (plan.place.by_position) return fmt::format("replace {} from=other{}", full_name(site), query);
  if (site.site == HookSite::pattern) return fmt::format("pattern {}.{} from=other", layer, column);
  const std::string part =
      site.site == HookSite::z ? "" : fmt::format(" at={}", info_of(site.site).short_name);
  return fmt::format("replace {}.{} from=other{}{}", layer, column, part, query);
}

// The run that values are taken from, its rows moved to where they belong in the run that is patched.
std::shared_ptr<const Capture> moved(const Plan& plan, const Capture& into, const Capture& from,
                                     std::span<const AlignedPositions> columns) {
  auto made = std::make_shared<Capture>();
  made->spec = into.spec;
  made->tokens = into.tokens;
  made->provenance = from.provenance;
  Digest digest;
  digest.add("rows moved").add(from.provenance.request).add(into.provenance.request);
  for (const auto& [site, values] : from.sites) {
    std::vector<int64_t> shape = values.shape();
    const int64_t width = values.size() / shape[0];
    shape[0] = into.n_token();
    HostTensor rows(shape);
    for (const AlignedPositions& column : columns)
      for (size_t i = 0; i < column.clean.size(); ++i) {
        const int64_t to = plan.noising ? column.clean[i] : column.corrupt[i],
                      at = plan.noising ? column.corrupt[i] : column.clean[i];
        digest.add(to).add(at);
        std::copy_n(values.slice(at).data(), width, rows.mutable_values().data() + to * width);
      }
    made->sites[site] = std::move(rows);
  }
  made->provenance.request = digest.hex();
  return made;
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
             "heads (z of a head; or its q, k, v, or its whole map), or resid_pre, attn_out, mlp_out, z "
             "position "
             "by position.",
             {"heads", "resid_pre", "attn_out", "mlp_out", "z", "heads-q", "heads-k", "heads-v",
              "heads-pattern"}),
      choice("direction", "Direction",
             "noising: corrupted values into the clean run; denoising: the other way round.",
             {"noising", "denoising"}),
      choice("metric", "Metric", "logit-difference, probability or loss.",
             {"logit-difference", "probability", "loss"}),
      choice("average", "Average",
             "pairs: the effect of every pair, then their mean; prompts: the effect on the metric's mean.",
             {"pairs", "prompts"}),
      {"position", "Positions of heads", "all, last, a number, or a role of the prompts.", "all"}};
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
          request.capture.attention = plan.place.site == HookSite::pattern;
          for (int32_t l = 0; l < plan.layers && !request.capture.attention; ++l)
            request.capture.sites.push_back({plan.place.site, l});
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
      answer.ids = ids_of(plan.prompts.pairs[pair]);
      std::vector<AlignedPositions> columns;
      for (const std::string& name : plan.positions) {
        SACCADE_TRY(AlignedPositions positions, aligned_positions(plan.prompts, pair, name));
        columns.push_back(std::move(positions));
      }
      const bool in_place =
          std::all_of(columns.begin(), columns.end(),
                      [](const AlignedPositions& positions) { return positions.clean == positions.corrupt; });
      answer.request.references["other"] = in_place && into->capture->n_token() == from->capture->n_token()
                                               ? from->capture
                                               : moved(plan, *into->capture, *from->capture, columns);
      for (int64_t layer = 0; layer < plan.layers; ++layer)
        for (int64_t column = 0; column < plan.columns; ++column) {
          const AlignedPositions& at = columns[plan.place.by_position ? static_cast<size_t>(column) : 0];
          SACCADE_TRY(Edit edit,
                      parse_edit(edit_text(plan, layer, column, plan.noising ? at.clean : at.corrupt)));
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
    std::vector<std::vector<double>> patched(cells);
    std::vector<double> clean, corrupt;
    size_t flat = 0;
    for (size_t pair = 0; pair < plan.pairs(); ++pair) {
      clean.push_back(metric_of(plan, input, pair, false));
      corrupt.push_back(metric_of(plan, input, pair, true));
      if (std::abs(clean.back() - corrupt.back()) < least_metric_difference) ++flat;
      for (size_t cell = 0; cell < cells; ++cell) {
        const size_t at = 2 * plan.pairs() + pair * cells + cell;
        const auto* answer = answer_in(input.outcomes, at);
        patched[cell].push_back(answer == nullptr ? nan
                                                  : value_of(plan.metric, *answer, plan.prompts.pairs[pair]));
      }
    }
    add_fields(plan, input,
               effects_of(plan, patched, plan.noising ? clean : corrupt, plan.noising ? corrupt : clean),
               result);
    say(plan, clean, corrupt, flat, result);
    return result;
  }

 private:
  static std::vector<MeanInterval> effects_of(const Plan& plan,
                                              const std::vector<std::vector<double>>& patched,
                                              const std::vector<double>& from,
                                              const std::vector<double>& to) {
    const double mean_from = mean_interval(from).mean, mean_to = mean_interval(to).mean;
    std::vector<MeanInterval> effects;
    for (const std::vector<double>& values : patched) {
      if (!plan.over_prompts) {
        std::vector<double> each;
        for (size_t pair = 0; pair < values.size(); ++pair)
          each.push_back(normalised_effect(values[pair], from[pair], to[pair]));
        effects.push_back(mean_interval(each));
        continue;
      }
      MeanInterval mean = mean_interval(values);
      mean.half_width /= std::abs(mean_to - mean_from);
      mean.mean = normalised_effect(mean.mean, mean_from, mean_to);
      effects.push_back(mean);
    }
    return effects;
  }

  static void add_fields(const Plan& plan, const MethodInput& input, const std::vector<MeanInterval>& effects,
                         AnalysisResult& result) {
    Field effect = head_field("effect", fmt::format("Normalised effect on the {}", label_of(plan.metric)), "",
                              ValueKind::signed_difference, plan.layers, plan.columns, input.base.digest());
    Field interval = head_field("effect_interval", "Half of its 95 % interval over prompts", "",
                                ValueKind::magnitude, plan.layers, plan.columns, input.base.digest());
    if (plan.place.by_position) {
      Axis tokens{AxisKind::token, "token", {}};
      if (plan.by_role) {
        tokens = {AxisKind::token, "role", plan.positions};
      } else {
        for (const Token& token : plan.prompts.pairs[0].clean.tokens)
          tokens.labels.push_back(display_text(token));
      }
      effect.axes[1] = interval.axes[1] = tokens;
    }
    for (size_t cell = 0; cell < effects.size(); ++cell) {
      effect.values.mutable_values()[cell] = static_cast<float>(effects[cell].mean);
      interval.values.mutable_values()[cell] = static_cast<float>(effects[cell].half_width);
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
                      "{}.",
                      flat, plan.pairs(), label_of(plan.metric), least_metric_difference,
                      plan.over_prompts ? "they weaken the average" : "they are left out"));
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
            ? fmt::format("{} at {} {} ('{}')", full_name({plan.place.site, static_cast<int32_t>(layer)}),
                          plan.by_role ? "role" : "position", column,
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
