// attribution-patching: activation patching to first order, all nodes and edges from a few backward passes.
//
//   effect(node) = sum over positions (a_corrupt - a_clean) . d metric / d a,   divided by M_corrupt -
//   M_clean
// so that it stands in the unit of activation-patching's (noising): 0 = nothing, 1 = all of the difference.
// The gradient is taken at the clean prompt, or (steps > 0) averaged over the path between the two prompts'
// embeddings, midpoint rule (integrated gradients), which sees what saturates. Outcomes of plan(), in order:
// clean runs, corrupted runs, gradients pair by pair (clean first, then the path), exact answers pair by
// pair, and what exact_edges.h asks for the strongest edges.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "analysis/methods/edge_attribution.h"
#include "analysis/methods/embedding_path.h"
#include "analysis/methods/exact_edges.h"
#include "analysis/methods/head_fields.h"
#include "analysis/methods/metric.h"
#include "analysis/methods/reference_runs.h"
#include "analysis/methods/registry.h"
#include "analysis/statistics/rank.h"
#include "core/base/memory.h"

namespace saccade {
namespace {

constexpr double nan = std::numeric_limits<double>::quiet_NaN();

struct Plan {
  Metric metric = Metric::logit_difference;
  PromptSet prompts;
  ModelSpec spec;
  size_t steps = 0, edges = 0, exact_edges = 0;
  bool exact = true, mlps = false;
  bool by_position = false;  // all prompts have one length
  std::string no_edges;      // why not

  [[nodiscard]] size_t pairs() const { return prompts.pairs.size(); }
  [[nodiscard]] size_t gradients_of_pair() const { return 1 + steps; }
  [[nodiscard]] size_t first_gradient(size_t pair) const { return 2 * pairs() + pair * gradients_of_pair(); }
  [[nodiscard]] int64_t positions() const { return prompts.pairs[0].clean.size(); }
  // One answer per head, per MLP, and per layer and position.
  [[nodiscard]] size_t answers_of_pair() const {
    const int64_t l = spec.n_layer;
    return static_cast<size_t>(l * spec.n_head + (mlps ? l : 0) + (by_position ? l * positions() : 0));
  }
  [[nodiscard]] size_t first_answer(size_t pair) const {
    return first_gradient(pairs()) + pair * answers_of_pair();
  }
  // Where questions and answers about single edges begin.
  [[nodiscard]] size_t first_edge() const { return first_answer(exact ? pairs() : 0); }
};

Result<void> check_memory(const Plan& plan) {
  if (plan.edges == 0) return {};
  int64_t needed = 0;
  for (const PromptPair& pair : plan.prompts.pairs)
    needed += EdgeAttribution::bytes(plan.spec, pair.clean.size()) *
              static_cast<int64_t>(std::max<size_t>(plan.steps, 1));
  if (needed <= available_bytes()) return {};
  return make_error(
      ErrorCode::out_of_memory,
      fmt::format("edges of {} pairs with {} steps need {}, {} are free; take fewer pairs or "
                  "steps, shorter prompts, or edges=0",
                  plan.pairs(), plan.steps, format_bytes(needed), format_bytes(available_bytes())));
}

Result<Plan> read_plan(const MethodInput& input) {
  const auto& p = input.parameters;
  SACCADE_CHECK(require_model(input, "attribution-patching"));
  Plan plan;
  plan.spec = input.model->spec();
  plan.steps = p["steps"].get<size_t>();
  plan.edges = p["edges"].get<size_t>();
  plan.exact = p["exact"].get<bool>();
  plan.exact_edges = plan.exact ? p["exact_edges"].get<size_t>() : 0;
  plan.mlps = exists({HookSite::mlp_out, 0}, plan.spec);
  SACCADE_TRY(plan.metric, parse_metric(p["metric"].get<std::string>()));
  SACCADE_TRY(plan.prompts, prompts_of(input));
  if (!plan.prompts.has_corrupt())
    return make_error(
        ErrorCode::invalid_argument,
        fmt::format("{}: every prompt needs a corrupted twin to be compared with", plan.prompts.name));
  SACCADE_CHECK(plan.prompts.aligned());
  plan.by_position = same_length(plan.prompts).ok();
  if (plan.edges > 0) plan.no_edges = EdgeAttribution::refusal(*input.model);
  if (!plan.no_edges.empty()) plan.edges = 0;
  plan.exact_edges = std::min(plan.exact_edges, plan.edges);
  SACCADE_CHECK(check_memory(plan));
  return plan;
}

RunRequest recorded_run(const Plan& plan, const MethodInput& input, const TokenSequence& tokens) {
  RunRequest request = reference_request(input, tokens);  // z of every layer
  request.capture.sites.push_back({HookSite::embed, -1});
  for (int32_t l = 0; l < plan.spec.n_layer; ++l) {
    request.capture.sites.push_back({HookSite::resid_pre, l});
    if (plan.mlps) request.capture.sites.push_back({HookSite::mlp_out, l});
    if (plan.edges > 0) request.capture.sites.push_back({HookSite::result, l});
    if (plan.exact_edges > 0) request.capture.sites.push_back({HookSite::attn_out, l});
  }
  return request;
}

std::vector<Wanted> wanted_runs(const Plan& plan, const MethodInput& input) {
  std::vector<Wanted> wanted;
  for (const bool corrupt : {false, true})
    for (const PromptPair& pair : plan.prompts.pairs)
      wanted.emplace_back(RunWanted{recorded_run(plan, input, corrupt ? pair.corrupt : pair.clean)});
  return wanted;
}

std::vector<Wanted> wanted_gradients(const Plan& plan, const MethodInput& input) {
  std::vector<Wanted> wanted;
  for (size_t pair = 0; pair < plan.pairs(); ++pair) {
    const Run* clean = run_in(input.outcomes, pair);
    const Run* corrupt = run_in(input.outcomes, plan.pairs() + pair);
    GradientRequest request;
    request.run = clean->request;
    request.run.capture = {};
    request.scalar = scalar_of(plan.metric, plan.prompts.pairs[pair]);
    for (int32_t l = 0; l < plan.spec.n_layer; ++l) {
      request.sites.push_back({HookSite::z, l});
      request.sites.push_back({HookSite::resid_pre, l});
      if (plan.mlps) request.sites.push_back({HookSite::mlp_out, l});
    }
    request.reads = plan.edges > 0 && plan.steps == 0;
    wanted.emplace_back(GradientWanted{request});
    request.reads = plan.edges > 0;
    const HostTensor &from = clean->capture->sites.at({HookSite::embed, -1}),
                     &to = corrupt->capture->sites.at({HookSite::embed, -1});
    for (size_t step = 0; step < plan.steps; ++step) {
      GradientRequest between = request;
      set_embedding(between.run, plan.spec, embedding_between(from, to, midpoint(step, plan.steps)));
      wanted.emplace_back(GradientWanted{std::move(between)});
    }
  }
  return wanted;
}

Result<std::vector<Wanted>> wanted_answers(const Plan& plan, const MethodInput& input) {
  std::vector<Wanted> wanted;
  if (!plan.exact) return wanted;
  std::vector<std::string> edits;
  for (int32_t l = 0; l < plan.spec.n_layer; ++l)
    for (int32_t h = 0; h < plan.spec.n_head; ++h)
      edits.push_back(fmt::format("replace {}.{} from=other", l, h));
  for (int32_t l = 0; plan.mlps && l < plan.spec.n_layer; ++l)
    edits.push_back(fmt::format("replace {} from=other", full_name({HookSite::mlp_out, l})));
  for (int32_t l = 0; plan.by_position && l < plan.spec.n_layer; ++l)
    for (int64_t position = 0; position < plan.positions(); ++position)
      edits.push_back(
          fmt::format("replace {} from=other query={}", full_name({HookSite::resid_pre, l}), position));
  for (size_t pair = 0; pair < plan.pairs(); ++pair) {
    AnswerWanted answer;
    answer.request = run_in(input.outcomes, pair)->request;
    answer.request.capture = {};
    answer.request.references["other"] = run_in(input.outcomes, plan.pairs() + pair)->capture;
    answer.ids = ids_of(plan.prompts.pairs[pair]);
    for (const std::string& text : edits) {
      SACCADE_TRY(Edit edit, parse_edit(text));
      answer.request.edits = {std::move(edit)};
      wanted.emplace_back(answer);
    }
  }
  return wanted;
}

// Effects of one kind of node, [node][pair]; NaN where there is nothing.
using Effects = std::vector<std::vector<double>>;

struct Estimates {
  Effects attribution, integrated, exact;
  void resize(size_t nodes) {
    for (Effects* effects : {&attribution, &integrated, &exact}) effects->resize(nodes);
  }
};

struct Measured {
  Estimates heads, mlps, residual;
  std::vector<double> clean, corrupt;  // the metric, per pair
  size_t flat = 0, missing = 0;        // pairs that do not discriminate; that were not reached
};

// sum of (b - a) g over rows of `width` numbers, for each of `groups` parts of the row; or, by position, of
// every row.
std::vector<double> products(const HostTensor& a, const HostTensor& b, const HostTensor& g, int64_t groups,
                             bool by_position) {
  const int64_t rows = a.shape()[0], width = a.size() / rows, part = width / groups;
  std::vector<double> sums(static_cast<size_t>(by_position ? rows : groups), 0.0);
  for (int64_t i = 0; i < a.size(); ++i) {
    const int64_t at = by_position ? i / width : i % width / part;
    sums[static_cast<size_t>(at)] += (static_cast<double>(b.data()[i]) - a.data()[i]) * g.data()[i];
  }
  return sums;
}

void add(Effects& effects, size_t first, const std::vector<double>& sums, double scale) {
  for (size_t i = 0; i < sums.size(); ++i) {
    std::vector<double>& all = effects[first + i];
    all.back() = (std::isnan(all.back()) ? 0.0 : all.back()) + sums[i] / scale;
  }
}

// The first-order effects of one pair under one gradient, added with 1 / `count`.
void estimate(const Plan& plan, const Run& clean, const Run& corrupt, const GradientCapture& gradient,
              double scale, Effects Estimates::*kind, Measured& measured) {
  const auto at = [&](HookSite site, int32_t l, int64_t groups, bool by_position) {
    return products(clean.capture->sites.at({site, l}), corrupt.capture->sites.at({site, l}),
                    gradient.gradients.at({site, l}), groups, by_position);
  };
  for (int32_t l = 0; l < plan.spec.n_layer; ++l) {
    const auto row = static_cast<size_t>(l);
    add(measured.heads.*kind, row * static_cast<size_t>(plan.spec.n_head),
        at(HookSite::z, l, plan.spec.n_head, false), scale);
    if (plan.mlps) add(measured.mlps.*kind, row, at(HookSite::mlp_out, l, 1, false), scale);
    if (plan.by_position)
      add(measured.residual.*kind, row * static_cast<size_t>(plan.positions()),
          at(HookSite::resid_pre, l, 1, true), scale);
  }
}

void keep_exact(const Plan& plan, const MethodInput& input, size_t pair, Measured& measured) {
  size_t at = plan.first_answer(pair);
  for (Estimates* part : {&measured.heads, &measured.mlps, &measured.residual})
    for (std::vector<double>& effects : part->exact) {
      const KeptAnswer* answer = answer_in(input.outcomes, at++);
      if (answer != nullptr)
        effects.back() = normalised_effect(value_of(plan.metric, *answer, plan.prompts.pairs[pair]),
                                           measured.clean.back(), measured.corrupt.back());
    }
}

Result<Measured> measure(const Plan& plan, const MethodInput& input, EdgeAttribution& edges,
                         const JobContext& job) {
  Measured measured;
  const auto layers = static_cast<size_t>(plan.spec.n_layer);
  measured.heads.resize(layers * static_cast<size_t>(plan.spec.n_head));
  measured.mlps.resize(plan.mlps ? layers : 0);
  measured.residual.resize(plan.by_position ? layers * static_cast<size_t>(plan.positions()) : 0);
  for (size_t pair = 0; pair < plan.pairs(); ++pair) {
    const Run *clean = run_in(input.outcomes, pair), *corrupt = run_in(input.outcomes, plan.pairs() + pair);
    if (clean == nullptr || corrupt == nullptr ||
        gradient_in(input.outcomes, plan.first_gradient(pair + 1) - 1) == nullptr) {
      ++measured.missing;
      continue;
    }
    const auto metric = [&](const Run& run) {
      return value_of(plan.metric, run.capture->last_logits, plan.prompts.pairs[pair], nullptr);
    };
    measured.clean.push_back(metric(*clean));
    measured.corrupt.push_back(metric(*corrupt));
    for (Estimates* part : {&measured.heads, &measured.mlps, &measured.residual})
      for (Effects* effects : {&part->attribution, &part->integrated, &part->exact})
        for (std::vector<double>& of_node : *effects) of_node.push_back(nan);
    const double scale = measured.corrupt.back() - measured.clean.back();
    if (std::abs(scale) < least_metric_difference) {
      ++measured.flat;
      continue;
    }
    std::vector<const GradientCapture*> path;
    for (size_t step = 0; step <= plan.steps; ++step) {
      const GradientCapture* gradient = gradient_in(input.outcomes, plan.first_gradient(pair) + step);
      if (step > 0 || plan.steps == 0) path.push_back(gradient);
      estimate(plan, *clean, *corrupt, *gradient, step == 0 ? scale : scale * static_cast<double>(plan.steps),
               step == 0 ? &Estimates::attribution : &Estimates::integrated, measured);
    }
    if (plan.edges > 0) SACCADE_CHECK(edges.add(*clean->capture, *corrupt->capture, path, scale, job));
    keep_exact(plan, input, pair, measured);
  }
  return measured;
}

ExactEdges exact_edges_of(const Plan& plan, const EdgeAttribution& edges) {
  std::vector<Edge> strongest;
  for (const EdgeAttribution::Effect& effect : edges.strongest(plan.exact_edges))
    strongest.push_back({effect.from, effect.to});
  return {plan.spec, std::move(strongest)};
}

// First how MLPs read changed residuals, pair by pair, where an edge ends in one; then the answers, pair by
// pair.
Result<std::vector<Wanted>> wanted_edges(const Plan& plan, const MethodInput& input,
                                         const ExactEdges& edges) {
  std::vector<Wanted> wanted;
  const size_t asked = edges.asks() ? plan.pairs() : 0, done = input.outcomes.size() - plan.first_edge();
  if (done < asked) {
    for (size_t pair = 0; pair < plan.pairs(); ++pair)
      wanted.emplace_back(PathsWanted{
          std::get<std::shared_ptr<const Run>>(input.outcomes[pair]),
          edges.question(*run_in(input.outcomes, pair), *run_in(input.outcomes, plan.pairs() + pair))});
  } else if (done == asked) {
    for (size_t pair = 0; pair < plan.pairs(); ++pair) {
      const auto* residuals =
          asked > 0 ? outcome_as<PathResiduals>(input.outcomes, plan.first_edge() + pair) : nullptr;
      SACCADE_TRY(std::vector<RunRequest> requests,
                  edges.requests(*run_in(input.outcomes, pair), *run_in(input.outcomes, plan.pairs() + pair),
                                 residuals != nullptr ? residuals->get() : nullptr));
      for (RunRequest& request : requests) {
        AnswerWanted answer;
        answer.request = std::move(request);
        answer.ids = ids_of(plan.prompts.pairs[pair]);
        wanted.emplace_back(std::move(answer));
      }
    }
  }
  return wanted;
}

// Mean over the pairs of what each edge carries; NaN where it was not reached.
std::vector<double> exact_effects(const Plan& plan, const MethodInput& input, const ExactEdges& edges) {
  std::vector<std::vector<double>> effects(edges.edges().size());
  const size_t asked = edges.asks() ? plan.pairs() : 0;
  for (size_t pair = 0; pair < plan.pairs(); ++pair)
    for (size_t edge = 0; edge < effects.size(); ++edge) {
      const KeptAnswer* answer =
          answer_in(input.outcomes, plan.first_edge() + asked + pair * effects.size() + edge);
      const Run *clean = run_in(input.outcomes, pair), *corrupt = run_in(input.outcomes, plan.pairs() + pair);
      if (answer == nullptr || clean == nullptr || corrupt == nullptr || !edges.possible(edges.edges()[edge]))
        continue;
      const PromptPair& prompts = plan.prompts.pairs[pair];
      effects[edge].push_back(
          normalised_effect(value_of(plan.metric, *answer, prompts),
                            value_of(plan.metric, clean->capture->last_logits, prompts, nullptr),
                            value_of(plan.metric, corrupt->capture->last_logits, prompts, nullptr)));
    }
  std::vector<double> means;
  for (const std::vector<double>& of_edge : effects)
    means.push_back(of_edge.empty() ? nan : mean_interval(of_edge).mean);
  return means;
}

std::vector<double> means(const Effects& effects) {
  std::vector<double> made;
  for (const std::vector<double>& of_node : effects) made.push_back(mean_interval(of_node).mean);
  return made;
}

bool any(const std::vector<double>& values) {
  return std::any_of(values.begin(), values.end(), [](double value) { return !std::isnan(value); });
}

void fill(Field& field, const std::vector<double>& values) {
  std::transform(values.begin(), values.end(), field.values.mutable_values().begin(),
                 [](double value) { return static_cast<float>(value); });
}

MethodInfo make_info() {
  MethodInfo info;
  info.id = "attribution-patching";
  info.title = "Which nodes and edges carry the answer, by gradient";
  info.summary =
      "Estimates the effect of patching every head, MLP, layer and position, and every edge between them, "
      "from a "
      "few backward passes, beside the exact effects of the nodes and of the strongest edges.";
  info.citation =
      "Nanda 2023 (Attribution Patching); Syed et al. 2023 (arXiv 2310.10348, edges); Hanna et al. 2024 "
      "(arXiv "
      "2403.17806, integrated gradients)";
  info.parameters = {
      choice("metric", "Metric", "logit-difference, probability or loss.",
             {"logit-difference", "probability", "loss"}),
      {"steps", "Steps of the path",
       "Gradients between the prompts' embeddings to average; 0: only the clean one.", 5, 0, 200},
      {"edges", "Edges", "The strongest to list; 0: none.", 200, 0, 100000},
      {"exact", "Exact effects too", "Patch every node in turn and say how well the estimates agree.", true},
      {"exact_edges", "Exact edges", "So many of the strongest edges are patched too.", 30, 0, 10000}};
  for (ParameterInfo& parameter : prompt_parameters()) info.parameters.push_back(std::move(parameter));
  return info;
}

class AttributionPatching final : public AnalysisMethod {
 public:
  [[nodiscard]] const MethodInfo& info() const override { return info_; }

  [[nodiscard]] Result<std::vector<Wanted>> plan(const MethodInput& input) const override {
    SACCADE_TRY(const Plan plan, read_plan(input));
    if (input.outcomes.empty()) return wanted_runs(plan, input);
    if (input.outcomes.size() == 2 * plan.pairs()) return wanted_gradients(plan, input);
    if (plan.exact && input.outcomes.size() == plan.first_gradient(plan.pairs()))
      return wanted_answers(plan, input);
    if (plan.exact_edges == 0) return std::vector<Wanted>();
    EdgeAttribution edges(plan.spec);
    SACCADE_TRY(const Measured measured, measure(plan, input, edges, {}));
    if (edges.pairs() == 0) return std::vector<Wanted>();
    return wanted_edges(plan, input, exact_edges_of(plan, edges));
  }

  [[nodiscard]] Result<AnalysisResult> compute(const MethodInput& input,
                                               const JobContext& job) const override {
    SACCADE_TRY(const Plan plan, read_plan(input));
    EdgeAttribution edges(plan.spec);
    SACCADE_TRY(const Measured measured, measure(plan, input, edges, job));
    if (measured.clean.empty())
      return make_error(ErrorCode::cancelled,
                        "attribution-patching was stopped before its first pair was done");
    AnalysisResult result;
    result.method = info_.id;
    result.parameters = input.parameters;
    result.requests = {input.base.digest()};
    add_fields(plan, input, measured, result);
    const std::vector<double> exact = exact_effects(plan, input, exact_edges_of(plan, edges));
    add_tables(plan, measured, edges, exact, result);
    say(plan, measured, edges, exact, result);
    return result;
  }

 private:
  static void add_fields(const Plan& plan, const MethodInput& input, const Measured& measured,
                         AnalysisResult& result) {
    const std::string request = input.base.digest();
    const int64_t layers = plan.spec.n_layer;
    Axis tokens{AxisKind::token, "token", {}};
    for (const Token& token : plan.prompts.pairs[0].clean.tokens)
      tokens.labels.push_back(display_text(token));
    struct Kind {
      Effects Estimates::*effects;
      const char *name, *label;
    };
    for (const Kind& kind : {Kind{&Estimates::attribution, "attribution", "Effect by gradient"},
                             Kind{&Estimates::integrated, "integrated", "Effect by integrated gradient"},
                             Kind{&Estimates::exact, "exact", "Effect by patching"}}) {
      const auto add = [&](const Estimates& part, const char* prefix, const char* of, int64_t columns,
                           const Axis* axis) {
        const std::vector<double> values = means(part.*kind.effects);
        if (!any(values)) return;
        Field field = head_field(std::string(prefix) + kind.name,
                                 fmt::format("{} on the {}, {}", kind.label, label_of(plan.metric), of), "",
                                 ValueKind::signed_difference, layers, columns, request);
        if (axis != nullptr) field.axes[1] = *axis;
        fill(field, values);
        result.fields.push_back(std::move(field));
      };
      const Axis part{AxisKind::other, "part", {"mlp"}};
      add(measured.heads, "", "heads", plan.spec.n_head, nullptr);
      add(measured.mlps, "mlp_", "MLPs", 1, &part);
      add(measured.residual, "resid_", "residual at a position", plan.by_position ? plan.positions() : 0,
          &tokens);
    }
  }

  static void add_tables(const Plan& plan, const Measured& measured, const EdgeAttribution& edges,
                         const std::vector<double>& exact, AnalysisResult& result) {
    std::vector<Field> of_heads;
    for (const Field& field : result.fields)
      if (field.has_axes({AxisKind::layer, AxisKind::head})) of_heads.push_back(field);
    if (!of_heads.empty()) result.tables.push_back(heads_table(of_heads));
    const auto best = [&](const Estimates& part) {
      return means(plan.steps > 0 ? part.integrated : part.attribution);
    };
    Table nodes{"nodes", {"node", "effect"}, {}};
    const std::vector<double> heads = best(measured.heads), mlps = best(measured.mlps);
    for (size_t i = 0; i < heads.size(); ++i)
      nodes.rows.push_back(
          {Cell(to_string(head_at(static_cast<int64_t>(i), plan.spec.n_head))), Cell(heads[i])});
    for (size_t l = 0; l < mlps.size(); ++l)
      nodes.rows.push_back({Cell(fmt::format("mlp {}", l)), Cell(mlps[l])});
    result.tables.push_back(std::move(nodes));
    if (edges.pairs() == 0) return;
    Table strongest{"edges", {"from", "to", "effect"}, {}};
    if (any(exact)) strongest.columns.emplace_back("exact");
    for (const EdgeAttribution::Effect& edge : edges.strongest(plan.edges)) {
      std::vector<Cell> row{edge.from, edge.to, edge.value};
      const size_t at = strongest.rows.size();
      if (any(exact)) row.emplace_back(at < exact.size() ? exact[at] : nan);
      strongest.rows.push_back(std::move(row));
    }
    result.tables.push_back(std::move(strongest));
  }

  static void say(const Plan& plan, const Measured& measured, const EdgeAttribution& edges,
                  const std::vector<double>& exact_edges, AnalysisResult& result) {
    if (measured.flat > 0)
      result.findings.push_back(
          fmt::format("{} of {} prompt pairs do not discriminate: their {} differs by less than {} between "
                      "clean and corrupted; they are left out.",
                      measured.flat, plan.pairs(), label_of(plan.metric), least_metric_difference));
    if (measured.missing > 0)
      result.findings.push_back(
          fmt::format("{} of {} prompt pairs were not reached.", measured.missing, plan.pairs()));
    if (!plan.no_edges.empty()) result.findings.push_back(plan.no_edges);
    if (!plan.by_position)
      result.findings.emplace_back(
          "The prompts have different lengths: no effects by position, only by head and MLP.");
    const std::vector<double> exact = means(measured.heads.exact);
    const auto compare = [&](const Effects& effects, const char* name) {
      const std::vector<double> estimates = means(effects);
      if (!any(estimates) || !any(exact)) return;
      result.findings.push_back(fmt::format("{} of {} heads against patching them: {}.", name,
                                            agreement(estimates, exact).count,
                                            to_text(agreement(estimates, exact))));
    };
    compare(measured.heads.attribution, "The gradient at the clean prompt");
    compare(measured.heads.integrated,
            fmt::format("The gradient averaged over {} steps", plan.steps).c_str());
    if (edges.pairs() == 0) return;
    const std::vector<EdgeAttribution::Effect> strongest =
        edges.strongest(std::max<size_t>(1, exact_edges.size()));
    if (strongest.empty()) return;
    result.findings.push_back(fmt::format(
        "{}: the strongest edge is {} -> {}, with {:.0f} % of the difference in {} to first order "
        "({} pairs).",
        plan.prompts.name, strongest[0].from, strongest[0].to, 100.0 * strongest[0].value,
        label_of(plan.metric), edges.pairs()));
    std::vector<double> estimates, exact_found;
    for (size_t i = 0; i < exact_edges.size() && i < strongest.size(); ++i) {
      if (std::isnan(exact_edges[i])) continue;
      estimates.push_back(strongest[i].value);
      exact_found.push_back(exact_edges[i]);
    }
    if (estimates.size() > 2)
      result.findings.push_back(
          fmt::format("The estimates of the {} strongest edges against patching them: {}.", estimates.size(),
                      to_text(agreement(estimates, exact_found))));
  }

  MethodInfo info_ = make_info();
};

}  // namespace

std::unique_ptr<AnalysisMethod> make_attribution_patching() {
  return std::make_unique<AttributionPatching>();
}

}  // namespace saccade
