// path-patching: which heads matter through which path. Every head is corrupted on its way into a set of
// receivers (heads' q, k, v or z, or the logits) and nowhere else; the score says how much of the difference
// between the clean and the corrupted prompt that path alone makes.
//
//   score = (M_path - M_clean) / (M_corrupt - M_clean)
// 0: the path carries nothing; 0.2: a fifth of the difference; below 0: corrupting it helps.
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

#include "analysis/methods/head_fields.h"
#include "analysis/methods/path_effects.h"
#include "analysis/methods/reference_runs.h"
#include "analysis/methods/registry.h"

namespace saccade {
namespace {

MethodInfo make_info() {
  MethodInfo info;
  info.id = "path-patching";
  info.title = "What reaches which head";
  info.summary =
      "Corrupts every head on its way into chosen receivers (heads' q, k, v, z or the logits) while all "
      "other "
      "heads keep their clean value, and measures what that path carries.";
  info.citation =
      "Wang et al. 2023 (arXiv 2211.00593, section 3.1); Goldowsky-Dill et al. 2023 (arXiv 2304.05969); "
      "score "
      "(M_path - M_clean) / (M_corrupt - M_clean)";
  info.parameters = {
      {"receivers", "Receivers",
       "logits, or heads patched together, such as '9.9.q 9.6.q' (.q, .k, .v; without: z).", "logits"},
      choice("mlps", "MLPs between", "recomputed: paths through MLPs count; frozen: only the direct path.",
             {"recomputed", "frozen"}),
      {"position", "Position",
       "Where the sender is corrupted: last, all, a number, or a role of the prompts.", "last"},
      choice("metric", "Metric", "logit-difference, probability or loss.",
             {"logit-difference", "probability", "loss"}),
      {"top", "Top share, %", "Heads named in the finding: those with the largest |score|.", 2.0, 0.1,
       100.0}};
  for (ParameterInfo& parameter : prompt_parameters()) info.parameters.push_back(std::move(parameter));
  return info;
}

Result<PathPlan> read_plan(const MethodInput& input) {
  SACCADE_CHECK(require_model(input, "path-patching"));
  const auto& p = input.parameters;
  const ModelSpec& spec = input.model->spec();
  PathPlan plan;
  SACCADE_TRY(plan.metric, parse_metric(p["metric"].get<std::string>()));
  SACCADE_TRY(plan.prompts, prompts_of(input));
  for (size_t pair = 0; pair < plan.pairs(); ++pair) {
    SACCADE_TRY(AlignedPositions positions,
                aligned_positions(plan.prompts, pair, p["position"].get<std::string>()));
    plan.positions.push_back(std::move(positions));
  }
  plan.free_mlps = p["mlps"] == "recomputed";
  PathEnd end;
  if (const std::string receivers = p["receivers"].get<std::string>(); receivers != "logits") {
    SACCADE_TRY(end.receivers, parse_receivers(receivers, spec));
    if (end.receivers.empty())
      return make_error(ErrorCode::invalid_argument, "receivers: name logits, or heads such as 9.9.q");
    if (end.lowest_layer(spec) == 0)
      return make_error(ErrorCode::invalid_argument,
                        fmt::format("{} reads the embedding alone: no head lies before layer 0", end.name()));
  }
  plan.senders = nodes_of(spec, false);
  // Senders go up to the lowest receiver: above it a path reaches only some of them.
  std::erase_if(plan.senders,
                [&](const CircuitNode& sender) { return sender.layer() >= end.lowest_layer(spec); });
  plan.ends = {std::move(end)};
  add_paths(plan, spec);
  SACCADE_CHECK(check_path_plan(plan, *input.model));
  return plan;
}

class PathPatching final : public AnalysisMethod {
 public:
  [[nodiscard]] const MethodInfo& info() const override { return info_; }

  [[nodiscard]] Result<std::vector<Wanted>> plan(const MethodInput& input) const override {
    SACCADE_TRY(const PathPlan plan, read_plan(input));
    return PathWork(plan, input, 0).next();
  }

  [[nodiscard]] Result<AnalysisResult> compute(const MethodInput& input,
                                               const JobContext& /*job*/) const override {
    SACCADE_TRY(const PathPlan plan, read_plan(input));
    const PathWork work(plan, input, 0);
    const ModelSpec& spec = input.model->spec();
    AnalysisResult result;
    result.method = info_.id;
    result.parameters = input.parameters;
    result.requests = {input.base.digest()};
    Field score = head_field(
        "score", fmt::format("Share of the {} carried into {}", label_of(plan.metric), plan.ends[0].name()),
        "", ValueKind::signed_difference, spec.n_layer, spec.n_head, input.base.digest());
    Field interval = head_field("score_interval", "Half of its 95 % interval over prompts", "",
                                ValueKind::magnitude, spec.n_layer, spec.n_head, input.base.digest());
    constexpr float nothing = std::numeric_limits<float>::quiet_NaN();
    for (Field* field : {&score, &interval})
      std::fill(field->values.mutable_values().begin(), field->values.mutable_values().end(), nothing);
    Table edges{"edges", {"from", "to", "effect"}, {}};
    for (size_t path = 0; path < plan.paths.size(); ++path) {
      const MeanInterval mean = mean_interval(work.scores(path));
      const HeadId head = plan.paths[path].sender.head;
      const auto at = static_cast<size_t>(int64_t{head.layer.value} * spec.n_head + head.head.value);
      score.values.mutable_values()[at] = static_cast<float>(mean.mean);
      interval.values.mutable_values()[at] = static_cast<float>(mean.half_width);
      if (!std::isnan(mean.mean)) edges.rows.push_back({to_string(head), plan.ends[0].name(), mean.mean});
    }
    result.fields = {std::move(score), std::move(interval)};
    result.tables = {heads_table(result.fields), std::move(edges)};
    say(plan, work, spec, input.parameters["top"].get<double>(), result);
    return result;
  }

 private:
  static void say(const PathPlan& plan, const PathWork& work, const ModelSpec& spec, double top,
                  AnalysisResult& result) {
    std::vector<double> clean, corrupt;
    size_t flat = 0;
    for (size_t pair = 0; pair < plan.pairs(); ++pair) {
      clean.push_back(work.metric(pair, false));
      corrupt.push_back(work.metric(pair, true));
      if (std::abs(clean.back() - corrupt.back()) < least_metric_difference) ++flat;
    }
    if (flat > 0)
      result.findings.push_back(
          fmt::format("{} of {} prompt pairs do not discriminate: their {} differs by less than {} between "
                      "clean and corrupted; they are left out. Prompts whose answer this model knows would.",
                      flat, plan.pairs(), label_of(plan.metric), least_metric_difference));
    const HostTensor& score = result.fields[0].values;
    std::vector<int64_t> order;
    for (int64_t at = 0; at < score.size(); ++at)
      if (!std::isnan(score.data()[at])) order.push_back(at);
    if (order.empty()) return;
    std::stable_sort(order.begin(), order.end(), [&](int64_t a, int64_t b) {
      return std::abs(score.data()[a]) > std::abs(score.data()[b]);
    });
    const int64_t best = order[0];
    result.findings.push_back(fmt::format(
        "{}: the path {} to {} carries {:.1f} % (± {:.1f}) of the difference between clean ({} {:.3g}) and "
        "corrupted ({:.3g}), MLPs between them {}.",
        plan.prompts.name, to_string(head_at(best, spec.n_head)), plan.ends[0].name(),
        100.0 * score.data()[best], 100.0 * result.fields[1].values.data()[best], label_of(plan.metric),
        mean_interval(clean).mean, mean_interval(corrupt).mean, plan.free_mlps ? "recomputed" : "frozen"));
    const auto count = static_cast<size_t>(
        std::max(1.0, std::round(top / 100.0 * static_cast<double>(spec.n_heads_total()))));
    std::vector<std::string> names;
    for (size_t i = 0; i < std::min(count, order.size()); ++i)
      names.push_back(fmt::format("{} ({:+.1f} %)", to_string(head_at(order[i], spec.n_head)),
                                  -100.0 * score.data()[order[i]]));
    result.findings.push_back(
        fmt::format("The top {:g} % of heads, with the change of the {} their path makes: {}.", top,
                    label_of(plan.metric), fmt::join(names, ", ")));
    if (spec.n_kv_head != spec.n_head &&
        std::any_of(plan.ends[0].receivers.begin(), plan.ends[0].receivers.end(),
                    [](const HeadReceiver& r) { return r.part == HeadPart::k || r.part == HeadPart::v; }))
      result.findings.push_back(
          fmt::format("Keys and values are shared: {} query heads read what each k or v "
                      "receiver gets.",
                      spec.n_head / spec.n_kv_head));
  }

  MethodInfo info_ = make_info();
};

}  // namespace

std::unique_ptr<AnalysisMethod> make_path_patching() { return std::make_unique<PathPatching>(); }

}  // namespace saccade
