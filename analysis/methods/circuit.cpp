// circuit: the heads and MLPs that a behaviour needs, what passes between them, and how good that account is.
//
// Nodes are ranked by what patching or ablating them changes; the strongest are the circuit; edges are paths
// between them. Then the model runs with only the circuit (everything else ablated):
//   faithfulness  (F(C) - F(nothing)) / (F(M) - F(nothing))       1: the circuit does all the model does
//   minimality    F(C without v) - F(C), every node v             near 0: v is not needed
//   completeness  |F(C without K) - F(M without K)|, K drawn from C   near 0: nothing outside makes up for K
// F is the metric's mean over prompts. A second set of prompts asks whether another behaviour uses the same
// nodes; forcing chosen heads onto chosen keys asks whether a behaviour can be repaired.
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>

#include "analysis/methods/circuit_plan.h"
#include "analysis/methods/head_fields.h"
#include "analysis/methods/reference_runs.h"
#include "analysis/methods/registry.h"

namespace saccade {
namespace {

using namespace circuits;  // NOLINT(google-build-using-namespace): its own part

constexpr std::array<double, 4> overlap_shares{1.0, 2.0, 5.0, 10.0};  // % of the nodes

MethodInfo make_info() {
  MethodInfo info;
  info.id = "circuit";
  info.title = "Which parts work together";
  info.summary =
      "Ranks heads and MLPs, keeps the strongest as a circuit with the paths between them, runs the model "
      "with "
      "only that circuit, and compares it with another behaviour's.";
  info.citation =
      "faithfulness, minimality, completeness: Wang et al. 2023 (arXiv 2211.00593, section 4); overlap and "
      "repair: Merullo et al. 2024 (arXiv 2310.08744)";
  info.parameters = {
      choice("rank", "Ranked by", "patching in the corrupted value, or ablation.", {"patching", "ablation"}),
      choice("ablation", "Taken out by",
             "mean over the prompts, mean-by-position, corrupt (its value in the corrupted twin) or zero.",
             {"mean", "mean-by-position", "corrupt", "zero"}),
      choice("metric", "Metric", "logit-difference, probability, loss, accuracy or exact-match.",
             {"logit-difference", "probability", "loss", "accuracy", "exact-match"}),
      {"mlps", "MLPs too", "MLPs are nodes; otherwise they stay as they are.", false},
      {"top", "Top share, %", "How many of the nodes are the circuit.", 15.0, 0.1, 100.0},
      {"threshold", "Threshold", "Instead: nodes with at least this |effect|; 0: the top share.", 0.0, 0.0,
       1e9},
      choice("edges", "Edges into",
             "each (q, k and v of every kept head apart), q, k, v or z, and into the logits; none: no edges "
             "at all.",
             {"each", "q", "k", "v", "z", "none"}),
      {"position", "Positions of edges", "Where senders are corrupted: all, last, a number, or a role.",
       "all"},
      {"least-edge", "Least edge", "Edges with a smaller |effect| are left out.", 0.01, 0.0, 1e9},
      {"draws", "Draws", "Random halves of the circuit for its completeness.", 5, 0, 100},
      {"second-prompts", "Second prompts",
       "Another behaviour to compare with: a preset or a file; empty: none.", ""},
      {"repair-heads", "Repair heads", "Heads forced onto the repair keys at the last row; empty: none.", ""},
      {"repair-keys", "Repair keys", "Roles of the prompts, such as 'wrong1 wrong2'.", "wrong1 wrong2"}};
  for (ParameterInfo& parameter : prompt_parameters()) info.parameters.push_back(std::move(parameter));
  return info;
}

// Everything that follows from the ranking; made again whenever it is asked for.
struct Found {
  NodeSet circuit;
  PathPlan paths;
  Evaluation evaluation;
  size_t evaluation_begin = 0, repair_begin = 0;
};

Result<Found> found_in(const Plan& plan, const MethodInput& input) {
  Found found;
  found.circuit = Results(plan, input).circuit();
  SACCADE_TRY(found.paths, path_plan(plan, input, found.circuit));
  found.evaluation = evaluation_of(plan, found.circuit);
  found.evaluation_begin =
      found.paths.paths.empty() ? plan.paths() : PathWork(found.paths, input, 0, plan.paths()).end();
  found.repair_begin = found.evaluation_begin + found.evaluation.removed.size() * plan.pairs();
  return found;
}

Result<std::vector<Wanted>> ranking_answers(const Plan& plan, const MethodInput& input) {
  const Removal removal(plan, input);
  std::vector<Wanted> wanted;
  for (const bool second : {false, true}) {
    const PromptSet& prompts = second ? plan.second : plan.prompts;
    for (size_t pair = 0; pair < prompts.pairs.size(); ++pair)
      for (size_t n = 0; n < plan.nodes.size(); ++n) {
        NodeSet removed(plan.nodes.size(), false);
        removed[n] = true;
        SACCADE_TRY(AnswerWanted answer, removal.without(removed, prompts, second ? plan.second_runs() : 0,
                                                         pair, plan.by_patching));
        wanted.emplace_back(std::move(answer));
      }
  }
  return wanted;
}

class CircuitMethod final : public AnalysisMethod {
 public:
  [[nodiscard]] const MethodInfo& info() const override { return info_; }

  [[nodiscard]] Result<std::vector<Wanted>> plan(const MethodInput& input) const override {
    SACCADE_TRY(const Plan plan, read_plan(input));
    std::vector<Wanted> wanted;
    const size_t done = input.outcomes.size();
    if (done == 0) {
      for (const PromptSet* prompts : {&plan.prompts, &plan.second})
        for (const bool corrupt : {false, true})
          for (const PromptPair& pair : prompts->pairs)
            wanted.emplace_back(RunWanted{PathWork::request(input, corrupt ? pair.corrupt : pair.clean)});
      return wanted;
    }
    if (done == plan.ranking()) return ranking_answers(plan, input);
    SACCADE_TRY(const Found found, found_in(plan, input));
    if (done < found.evaluation_begin) return PathWork(found.paths, input, 0, plan.paths()).next();
    if (done > found.evaluation_begin) return wanted;
    const Removal removal(plan, input);
    for (const NodeSet& removed : found.evaluation.removed)
      for (size_t pair = 0; pair < plan.pairs(); ++pair) {
        SACCADE_TRY(AnswerWanted answer, removal.without(removed, plan.prompts, 0, pair, false));
        wanted.emplace_back(std::move(answer));
      }
    for (const bool edited : {false, true})
      for (size_t pair = 0; pair < plan.pairs() && !plan.repair_heads.empty(); ++pair) {
        SACCADE_TRY(AnswerWanted answer, repair(plan, input, pair, edited));
        wanted.emplace_back(std::move(answer));
      }
    return wanted;
  }

  [[nodiscard]] Result<AnalysisResult> compute(const MethodInput& input,
                                               const JobContext& /*job*/) const override {
    SACCADE_TRY(const Plan plan, read_plan(input));
    if (input.outcomes.size() < plan.ranking() ||
        !std::holds_alternative<std::shared_ptr<const Run>>(input.outcomes[plan.ranking() - 1]))
      return make_error(ErrorCode::cancelled, "cancelled");
    AnalysisResult result;
    result.method = info_.id;
    result.parameters = input.parameters;
    result.requests = {input.base.digest()};
    add_effects(plan, input, result);
    SACCADE_TRY(const Found found, found_in(plan, input));
    say_ranking(plan, input, found, result);
    add_edges(plan, input, found, result);
    add_evaluation(plan, input, found, result);
    add_overlap(plan, input, result);
    add_repair(plan, input, found, result);
    return result;
  }

 private:
  static void add_effects(const Plan& plan, const MethodInput& input, AnalysisResult& result) {
    const ModelSpec& spec = input.model->spec();
    const auto effects = Results(plan, input).effects(false);
    const std::string unit = plan.by_patching ? "" : unit_of(plan.metric);
    Field effect =
        head_field("effect",
                   plan.by_patching ? "Share of the difference that its corrupted value makes"
                                    : fmt::format("Change of {} without it", label_of(plan.metric)),
                   unit, ValueKind::signed_difference, spec.n_layer, spec.n_head, input.base.digest());
    Field interval = head_field("effect_interval", "Half of its 95 % interval over prompts", unit,
                                ValueKind::magnitude, spec.n_layer, spec.n_head, input.base.digest());
    for (size_t n = 0; n < plan.nodes.size(); ++n) {
      const CircuitNode& node = plan.nodes[n];
      if (node.kind != CircuitNode::Kind::head) continue;
      const MeanInterval mean = mean_interval(effects[n]);
      const auto at = static_cast<size_t>(int64_t{node.layer()} * spec.n_head + node.head.head.value);
      effect.values.mutable_values()[at] = static_cast<float>(mean.mean);
      interval.values.mutable_values()[at] = static_cast<float>(mean.half_width);
    }
    result.fields = {std::move(effect), std::move(interval)};
    result.tables.push_back(heads_table(result.fields));
  }

  static void say_ranking(const Plan& plan, const MethodInput& input, const Found& found,
                          AnalysisResult& result) {
    const Results results(plan, input);
    size_t flat = 0;
    for (size_t pair = 0; pair < plan.pairs(); ++pair)
      if (std::abs(results.whole(plan.prompts, 0, pair, false) - results.whole(plan.prompts, 0, pair, true)) <
          least_metric_difference)
        ++flat;
    if (flat > 0)
      result.findings.push_back(
          fmt::format("{} of {} prompt pairs do not discriminate: their {} differs by less than {} between "
                      "clean and corrupted; effects of patching leave them out.",
                      flat, plan.pairs(), label_of(plan.metric), least_metric_difference));
    if (found.evaluation.members.empty()) {
      result.findings.emplace_back(
          "No node has an effect that can be measured or reaches the threshold: there is no circuit.");
      return;
    }
    const auto effects = results.effects(false);
    std::vector<std::string> names;
    for (const size_t n : Results::ranked(effects))
      if (found.circuit[n] && names.size() < 12)
        names.push_back(fmt::format("{} ({:+.2f})", plan.nodes[n].name(), mean_interval(effects[n]).mean));
    result.findings.push_back(fmt::format("{}: the circuit is {} of {} nodes: {}{}.", plan.prompts.name,
                                          found.evaluation.members.size(), plan.nodes.size(),
                                          fmt::join(names, ", "),
                                          found.evaluation.members.size() > names.size() ? " ..." : ""));
  }

  static void add_edges(const Plan& plan, const MethodInput& input, const Found& found,
                        AnalysisResult& result) {
    Table edges{"edges", {"from", "to", "effect"}, {}};
    const PathWork work(found.paths, input, 0, plan.paths());
    for (size_t path = 0; path < found.paths.paths.size(); ++path) {
      const double mean = mean_interval(work.scores(path)).mean;
      if (std::isnan(mean) || std::abs(mean) < plan.least_edge) continue;
      edges.rows.push_back({found.paths.paths[path].sender.name(),
                            found.paths.ends[found.paths.paths[path].end].name(), mean});
    }
    result.tables.push_back(std::move(edges));
  }

  static MeanInterval metric_without(const Plan& plan, const MethodInput& input, const Found& found,
                                     size_t set) {
    const Results results(plan, input);
    std::vector<double> values;
    for (size_t pair = 0; pair < plan.pairs(); ++pair)
      values.push_back(
          results.answered(plan.prompts, found.evaluation_begin + set * plan.pairs() + pair, pair));
    return mean_interval(values);
  }

  static void add_evaluation(const Plan& plan, const MethodInput& input, const Found& found,
                             AnalysisResult& result) {
    const Results results(plan, input);
    const auto effects = results.effects(false);
    const auto metric = [&](size_t set) { return metric_without(plan, input, found, set); };
    const MeanInterval circuit = metric(Evaluation::circuit), nothing = metric(Evaluation::nothing);
    Table nodes{"nodes", {"node", "effect", "lost_without"}, {}};
    std::vector<std::string> idle;
    for (size_t m = 0; m < found.evaluation.members.size(); ++m) {
      const size_t n = found.evaluation.members[m];
      const double lost = circuit.mean - metric(Evaluation::minimality + m).mean;
      nodes.rows.push_back({plan.nodes[n].name(), mean_interval(effects[n]).mean, lost});
      if (std::abs(lost) < 0.01 * std::abs(circuit.mean)) idle.push_back(plan.nodes[n].name());
    }
    result.tables.push_back(std::move(nodes));
    if (found.evaluation.members.empty() || std::isnan(circuit.mean) || std::isnan(nothing.mean)) return;
    std::vector<double> whole;
    for (size_t pair = 0; pair < plan.pairs(); ++pair)
      whole.push_back(results.whole(plan.prompts, 0, pair, false));
    const MeanInterval model = mean_interval(whole);
    Table table{"evaluation", {"what", "metric", "half_interval"}, {}};
    const auto add = [&](std::string what, const MeanInterval& value) {
      table.rows.push_back({std::move(what), value.mean, value.half_width});
    };
    add("model", model);
    add("circuit alone", circuit);
    add("everything out", nothing);
    std::vector<double> gaps;
    for (size_t draw = 0; draw < found.evaluation.drawn.size(); ++draw) {
      const size_t set = found.evaluation.completeness() + 2 * draw;
      add(fmt::format("circuit without half {}", draw + 1), metric(set));
      add(fmt::format("model without half {}", draw + 1), metric(set + 1));
      gaps.push_back(std::abs(metric(set).mean - metric(set + 1).mean));
    }
    result.tables.push_back(std::move(table));
    const double share = normalised_effect(circuit.mean, nothing.mean, model.mean);
    const std::string how = input.parameters["ablation"].get<std::string>();
    result.findings.push_back(
        std::isnan(share)
            ? fmt::format(
                  "Faithfulness cannot be said: the {} is {:.3g} with the model and {:.3g} with every "
                  "node out ({}); another metric or other prompts are needed.",
                  label_of(plan.metric), model.mean, nothing.mean, how)
            : fmt::format(
                  "Faithfulness: the circuit alone keeps {:.0f} % ({} {:.3g} ± {:.2g}; the model {:.3g}, "
                  "everything out {:.3g}; the rest taken out by {}).",
                  100.0 * share, label_of(plan.metric), circuit.mean, circuit.half_width, model.mean,
                  nothing.mean, how));
    result.findings.push_back(
        idle.empty() ? fmt::format("Minimality: taking any of its nodes out as well changes the {} "
                                   "by 1 % or more.",
                                   label_of(plan.metric))
                     : fmt::format("Minimality: {} of {} nodes change the {} by less than 1 % when "
                                   "they go too ({}).",
                                   idle.size(), found.evaluation.members.size(), label_of(plan.metric),
                                   fmt::join(idle, ", ")));
    if (!gaps.empty())
      result.findings.push_back(fmt::format(
          "Completeness: without random halves of it, circuit and model differ by {:.3g} on average "
          "({} draws); nearer to 0 is better.",
          mean_interval(gaps).mean, gaps.size()));
  }

  static void add_overlap(const Plan& plan, const MethodInput& input, AnalysisResult& result) {
    if (plan.second.pairs.empty()) return;
    const Results results(plan, input);
    const std::vector<size_t> first = Results::ranked(results.effects(false)),
                              second = Results::ranked(results.effects(true));
    Table table{"overlap", {"share_percent", "nodes", "shared", "overlap", "by_chance"}, {}};
    std::vector<std::string> parts;
    for (const double share : overlap_shares) {
      const auto all = static_cast<double>(plan.nodes.size());
      const auto k = static_cast<size_t>(std::max(1.0, std::round(share / 100.0 * all)));
      const size_t shared = shared_strongest(first, second, k);
      const double overlap = static_cast<double>(shared) / static_cast<double>(k);
      table.rows.push_back({share, static_cast<int64_t>(k), static_cast<int64_t>(shared), overlap,
                            static_cast<double>(k) / all});
      parts.push_back(fmt::format("{} of {} at {:g} %", shared, k, share));
    }
    result.tables.push_back(std::move(table));
    result.findings.push_back(
        fmt::format("{} and {} share {} of their strongest nodes; the figure depends on "
                    "the threshold.",
                    plan.prompts.name, plan.second.name, fmt::join(parts, ", ")));
  }

  // A prompt is right when the best right answer beats the tokens at the forced keys.
  static void add_repair(const Plan& plan, const MethodInput& input, const Found& found,
                         AnalysisResult& result) {
    if (plan.repair_heads.empty()) return;
    std::array<std::vector<double>, 2> right, metric;
    for (const size_t edited : {size_t{0}, size_t{1}})
      for (size_t pair = 0; pair < plan.pairs(); ++pair) {
        const size_t at = found.repair_begin + edited * plan.pairs() + pair;
        const auto* answer = answer_in(input.outcomes, at);
        if (answer == nullptr) return;
        const PromptPair& prompts = plan.prompts.pairs[pair];
        const auto begin = answer->logits.begin(),
                   keys = begin + static_cast<ptrdiff_t>(prompts.right.size() + prompts.wrong.size());
        const float best = *std::max_element(begin, begin + static_cast<ptrdiff_t>(prompts.right.size()));
        right[edited].push_back(best > *std::max_element(keys, answer->logits.end()) ? 1.0 : 0.0);
        KeptAnswer plain = *answer;
        plain.logits.resize(prompts.right.size() + prompts.wrong.size());
        metric[edited].push_back(value_of(plan.metric, plain, prompts));
      }
    Table table{"repair", {"what", "accuracy", "metric"}, {}};
    for (const size_t edited : {size_t{0}, size_t{1}})
      table.rows.push_back({std::string(edited == 0 ? "as it is" : "forced"),
                            mean_interval(right[edited]).mean, mean_interval(metric[edited]).mean});
    result.tables.push_back(std::move(table));
    std::vector<std::string> heads;
    for (const HeadId head : plan.repair_heads) heads.push_back(to_string(head));
    result.findings.push_back(fmt::format(
        "Repair: forcing {} onto {} takes the accuracy against these from {:.1f} % to {:.1f} % and "
        "the {} from {:.3g} to {:.3g} over {} prompts.",
        fmt::join(heads, ", "), fmt::join(plan.repair_keys, ", "), 100.0 * mean_interval(right[0]).mean,
        100.0 * mean_interval(right[1]).mean, label_of(plan.metric), mean_interval(metric[0]).mean,
        mean_interval(metric[1]).mean, plan.pairs()));
  }

  MethodInfo info_ = make_info();
};

}  // namespace

std::unique_ptr<AnalysisMethod> make_circuit() { return std::make_unique<CircuitMethod>(); }

}  // namespace saccade
