// agreement: whether the ways of saying how much each token counts for the next one agree with each other.
//
// Attribution vectors over the tokens of the run being looked at, for one next token at the last position:
// the attention rows, rollout, flow, gradients, integrated gradients, leaving a token's embedding out,
// cutting a token's column out of every map, and what the heads write directly from each token. Every pair is
// compared by rank. Outcomes of plan(): the run, its gradient, the path of integrated gradients, one answer
// per token left out, one per column cut.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <numeric>
#include <optional>
#include <random>

#include "analysis/flow/max_flow.h"
#include "analysis/flow/rollout.h"
#include "analysis/methods/embedding_path.h"
#include "analysis/methods/registry.h"
#include "analysis/methods/token_attribution.h"
#include "analysis/statistics/rank.h"
#include "core/capture/attention_map.h"

namespace saccade {
namespace {

constexpr int64_t least_tokens = 4;
constexpr int permutations = 200;
constexpr int64_t most_flow_tokens = 256;
constexpr double residual_share = 0.5;  // of rollout and flow

constexpr const char* caveat =
    "Rank agreement is low among all such measures on transformers, and a low one does not show that a "
    "measure "
    "is wrong: read it as disagreement, not as a test of validity (Neely et al. 2022).";

struct Plan {
  int64_t n = 0;
  size_t steps = 0;
  int32_t token = 0;
  std::string token_name;
  std::vector<size_t> content;  // positions that are compared
  int32_t layer = 0;
  std::optional<HeadId> head;
  bool absolute = true, mean_baseline = true;
  uint64_t seed = 0;

  [[nodiscard]] size_t first_step() const { return 2; }
  [[nodiscard]] size_t first_left_out() const { return first_step() + steps; }
  [[nodiscard]] size_t first_cut() const { return first_left_out() + static_cast<size_t>(n); }
  [[nodiscard]] size_t all() const { return first_cut() + static_cast<size_t>(n); }
};

Result<void> read_token(const MethodInput& input, Plan& plan) {
  const std::string text = input.parameters["token"].get<std::string>();
  const Tokenizer& tokenizer = input.model->tokenizer();
  if (text.empty()) {
    plan.token = top_next(input.capture->last_logits, tokenizer, 1).at(0).id;
  } else {
    EncodeOptions plain;
    plain.add_special_tokens = false;
    SACCADE_TRY(const TokenSequence tokens, tokenizer.encode(text, plain));
    if (tokens.size() != 1)
      return make_error(ErrorCode::invalid_argument,
                        fmt::format("token='{}' is {} tokens of {}, expected one (with its leading space)",
                                    text, tokens.size(), input.model->name()));
    plan.token = tokens.tokens[0].id;
  }
  SACCADE_TRY(const Token named, tokenizer.token(plan.token));
  plan.token_name = display_text(named);
  return {};
}

Result<Plan> read_plan(const MethodInput& input) {
  const auto& p = input.parameters;
  SACCADE_CHECK(require_model(input, "agreement"));
  const ModelSpec& spec = input.model->spec();
  if (!spec.predicts_next_token())
    return make_error(
        ErrorCode::unsupported,
        fmt::format("{} does not predict a next token, which agreement is about", input.model->name()));
  Plan plan;
  plan.n = input.base.tokens.size();
  plan.steps = p["steps"].get<size_t>();
  plan.absolute = p["absolute"].get<bool>();
  plan.mean_baseline = p["baseline"].get<std::string>() == "mean";
  plan.seed = p["seed"].get<uint64_t>();
  plan.layer = p["layer"].get<int32_t>() < 0 ? spec.n_layer - 1 : p["layer"].get<int32_t>();
  if (plan.layer >= spec.n_layer)
    return make_error(ErrorCode::invalid_argument,
                      fmt::format("layer={} was given, {} has layers 0-{}", plan.layer, input.model->name(),
                                  spec.n_layer - 1));
  if (const std::string head = p["head"].get<std::string>(); !head.empty()) {
    SACCADE_TRY(plan.head, parse_head(head));
    if (plan.head->layer.value >= spec.n_layer || plan.head->head.value >= spec.n_head)
      return make_error(ErrorCode::invalid_argument,
                        fmt::format("head={} was given, {} has {} layers of {} heads", head,
                                    input.model->name(), spec.n_layer, spec.n_head));
  }
  for (int64_t i = 0; i < plan.n; ++i)
    if (!input.base.tokens.tokens[static_cast<size_t>(i)].special)
      plan.content.push_back(static_cast<size_t>(i));
  if (static_cast<int64_t>(plan.content.size()) < least_tokens)
    return make_error(ErrorCode::invalid_argument,
                      fmt::format("the prompt has {} tokens that are not special, agreement by rank needs at "
                                  "least {}; take a longer one",
                                  plan.content.size(), least_tokens));
  SACCADE_CHECK(read_token(input, plan));
  return plan;
}

HostTensor baseline_of(const Plan& plan, const HostTensor& embedding) {
  return plan.mean_baseline ? mean_rows(embedding) : HostTensor(embedding.shape());
}

std::vector<Wanted> wanted_run(const Plan& plan, const MethodInput& input) {
  RunRequest run = input.base;
  run.capture = CapturePlan{};
  run.capture.statistics = run.capture.loss = false;
  for (int32_t l = 0; l < input.model->spec().n_layer; ++l) run.capture.sites.push_back({HookSite::v, l});
  GradientRequest gradient;
  gradient.run = input.base;
  gradient.scalar = {{ScalarKind::logit, 1.0, -1, {plan.token}}};
  gradient.sites = {{HookSite::embed, -1}};
  std::vector<Wanted> wanted;
  wanted.emplace_back(RunWanted{std::move(run)});
  wanted.emplace_back(GradientWanted{std::move(gradient)});
  return wanted;
}

std::vector<Wanted> wanted_changes(const Plan& plan, const MethodInput& input) {
  const ModelSpec& spec = input.model->spec();
  const HostTensor& embedding = gradient_in(input.outcomes, 1)->values.at({HookSite::embed, -1});
  const HostTensor from = baseline_of(plan, embedding), mean = mean_rows(embedding);
  std::vector<Wanted> wanted;
  for (size_t step = 0; step < plan.steps; ++step) {
    GradientRequest point;
    point.run = input.base;
    point.scalar = {{ScalarKind::logit, 1.0, -1, {plan.token}}};
    point.sites = {{HookSite::embed, -1}};
    set_embedding(point.run, spec, embedding_between(from, embedding, midpoint(step, plan.steps)));
    wanted.emplace_back(GradientWanted{std::move(point)});
  }
  AnswerWanted left_out;
  left_out.request = input.base;
  left_out.request.capture = {};
  left_out.ids = {plan.token};
  AnswerWanted cut = left_out;
  set_embedding(left_out.request, spec, mean);
  Edit knockout;
  knockout.verb = EditVerb::knockout;
  knockout.target = HeadTarget{};
  cut.request.edits.push_back(knockout);
  for (int64_t j = 0; j < plan.n; ++j) {
    left_out.request.edits.back().query = PositionRange{j, j + 1};
    wanted.emplace_back(left_out);
  }
  for (int64_t j = 0; j < plan.n; ++j) {
    cut.request.edits.back().key = PositionRange{j, j + 1};
    wanted.emplace_back(cut);
  }
  return wanted;
}

struct Vector {
  std::string name;
  std::vector<double> values;  // [token]
};

// logit with everything minus logit without token j.
std::vector<double> drops(const Plan& plan, const MethodInput& input, size_t first, double logit) {
  std::vector<double> made;
  for (int64_t j = 0; j < plan.n; ++j)
    made.push_back(logit - answer_in(input.outcomes, first + static_cast<size_t>(j))->logits[0]);
  return made;
}

std::vector<double> last_row(const FusedMaps& maps, int32_t layer) {
  std::vector<float> row(static_cast<size_t>(maps.size()));
  // Layers are there and the row fits, so that this cannot fail.
  (void)maps.rows(layer, maps.size() - 1, maps.size(), row);
  return {row.begin(), row.end()};
}

// Maximum flow from the last position into every token (Abnar and Zuidema 2020), through the mean maps.
Result<std::vector<double>> flow_row(const FusedMaps& maps, const JobContext& job) {
  LayeredCapacities capacities;
  capacities.n = maps.size();
  capacities.layers = maps.layers();
  const auto n = static_cast<size_t>(capacities.n);
  capacities.source.assign(n, 0.0);
  capacities.source.back() = 1.0;
  capacities.edges.resize(static_cast<size_t>(capacities.layers) * n * n);
  for (int32_t l = 0; l < maps.layers(); ++l)
    SACCADE_CHECK(
        maps.mixed_rows(l, 0, capacities.n, residual_share,
                        std::span(capacities.edges).subspan(static_cast<size_t>(l) * n * n, n * n)));
  LayeredFlow flow(capacities);
  std::vector<double> into(n);
  for (int64_t token = 0; token < capacities.n; ++token) {
    job.progress(static_cast<double>(token) / static_cast<double>(capacities.n), "attention flow");
    SACCADE_TRY(into[static_cast<size_t>(token)], flow.into(token, job));
  }
  return into;
}

Result<void> add_attention(const Plan& plan, const MethodInput& input,
                           const std::shared_ptr<const Capture>& run, const JobContext& job,
                           std::vector<Vector>& vectors, AnalysisResult& result) {
  SACCADE_TRY(const FusedMaps maps, FusedMaps::make(run, *input.kernels, {}));
  std::vector<double> all(static_cast<size_t>(plan.n), 0.0);
  for (int32_t l = 0; l < maps.layers(); ++l) {
    SACCADE_CHECK(job.check());
    job.progress(static_cast<double>(l) / maps.layers(), fmt::format("maps of layer {}", l));
    const std::vector<double> row = last_row(maps, l);
    for (size_t j = 0; j < row.size(); ++j) all[j] += row[j] / maps.layers();
  }
  vectors.push_back({fmt::format("attention, layer {}", plan.layer), last_row(maps, plan.layer)});
  vectors.push_back({"attention, all layers", all});
  if (plan.head) {
    SACCADE_TRY(const AttentionMap map, AttentionMap::of(run, *plan.head, *input.kernels));
    std::vector<float> row(static_cast<size_t>(plan.n));
    SACCADE_CHECK(map.rows(plan.n - 1, plan.n, plan.n, row));
    vectors.push_back({"attention, " + to_string(*plan.head), {row.begin(), row.end()}});
  }
  std::vector<double> last(static_cast<size_t>(plan.n), 0.0);
  last.back() = 1.0;
  SACCADE_TRY(std::vector<std::vector<double>> shares,
              rollout_from(maps, last, {residual_share, input.threads}, job));
  vectors.push_back({"rollout", std::move(shares.front())});
  if (plan.n <= most_flow_tokens) {
    SACCADE_TRY(std::vector<double> flow, flow_row(maps, job));
    vectors.push_back({"flow", std::move(flow)});
  } else {
    result.findings.push_back(
        fmt::format("Attention flow is left out: a maximum flow per token takes too long beyond {} tokens.",
                    most_flow_tokens));
  }
  return {};
}

Field square(const std::string& name, const std::string& label, const std::vector<Vector>& vectors,
             const MethodInput& input) {
  Axis axis{AxisKind::other, "measure", {}};
  for (const Vector& vector : vectors) axis.labels.push_back(vector.name);
  const auto size = static_cast<int64_t>(vectors.size());
  Axis against = axis;
  against.name = "against";
  return {name,
          label,
          "",
          ValueKind::signed_difference,
          {axis, against},
          HostTensor({size, size}),
          input.base.digest()};
}

// The |tau| that 95 % of random orders of m tokens stay below.
double random_band(size_t m, uint64_t seed) {
  std::vector<double> order(m), shuffled;
  std::iota(order.begin(), order.end(), 0.0);
  shuffled = order;
  std::mt19937_64 random(seed);
  std::vector<double> taus;
  for (int i = 0; i < permutations; ++i) {
    for (size_t at = m; at > 1; --at) std::swap(shuffled[at - 1], shuffled[random() % at]);
    taus.push_back(std::abs(kendall_tau_b(order, shuffled)));
  }
  std::sort(taus.begin(), taus.end());
  return taus[static_cast<size_t>(0.95 * (permutations - 1))];
}

MethodInfo make_info() {
  MethodInfo info;
  info.id = "agreement";
  info.title = "Do attention and attribution agree";
  info.summary =
      "Compares, token by token, what attention, rollout, flow, gradients, integrated gradients, ablation "
      "and "
      "direct "
      "attribution say about the next token, by rank correlation.";
  info.citation =
      "Neely et al. 2022 (A Song of (Dis)agreement, arXiv 2205.04559); Abnar and Zuidema 2020 (rollout, "
      "flow); "
      "Sundararajan "
      "et al. 2017 (integrated gradients); Kendall's tau-b";
  info.parameters = {
      {"token", "Token", "The next token asked about, with its leading space; empty: the most probable.", ""},
      {"layer", "Layer", "Whose attention, mean over heads; -1: the last.", -1, -1, 10000},
      {"head", "Head", "One head's attention besides, such as 5.1; empty: none.", ""},
      {"steps", "Steps", "Of integrated gradients.", 50, 1, 1000},
      choice("baseline", "Baseline",
             "Where integrated gradients start: the prompt's mean embedding, or zero.", {"mean", "zero"}),
      {"absolute", "Absolute values", "Compare how much a token counts, not for or against.", true},
      {"seed", "Seed", "Of the random orders.", 1, 0, 1e9}};
  return info;
}

class AgreementMethod final : public AnalysisMethod {
 public:
  [[nodiscard]] const MethodInfo& info() const override { return info_; }

  [[nodiscard]] Result<std::vector<Wanted>> plan(const MethodInput& input) const override {
    SACCADE_TRY(const Plan plan, read_plan(input));
    if (input.outcomes.empty()) return wanted_run(plan, input);
    if (input.outcomes.size() == plan.first_step()) return wanted_changes(plan, input);
    return std::vector<Wanted>();
  }

  [[nodiscard]] Result<AnalysisResult> compute(const MethodInput& input,
                                               const JobContext& job) const override {
    SACCADE_TRY(const Plan plan, read_plan(input));
    if (input.outcomes.size() < plan.all() || answer_in(input.outcomes, plan.all() - 1) == nullptr)
      return make_error(ErrorCode::cancelled,
                        "agreement was stopped before every measure was there to compare");
    AnalysisResult result;
    result.method = info_.id;
    result.parameters = input.parameters;
    result.requests = {input.base.digest()};
    SACCADE_TRY(const std::vector<Vector> vectors, vectors_of(plan, input, job, result));
    add_results(plan, input, vectors, result);
    return result;
  }

 private:
  static Result<std::vector<Vector>> vectors_of(const Plan& plan, const MethodInput& input,
                                                const JobContext& job, AnalysisResult& result) {
    const auto& run = std::get<std::shared_ptr<const Run>>(input.outcomes[0])->capture;
    const GradientCapture& here = *gradient_in(input.outcomes, 1);
    const HostTensor &embedding = here.values.at({HookSite::embed, -1}),
                     &gradient = here.gradients.at({HookSite::embed, -1});
    std::vector<Vector> vectors;
    SACCADE_CHECK(add_attention(plan, input, run, job, vectors, result));
    vectors.push_back({"gradient norm", row_lengths(gradient)});
    vectors.push_back({"gradient x input", row_products(embedding, gradient)});
    std::vector<const GradientCapture*> path;
    for (size_t step = 0; step < plan.steps; ++step)
      path.push_back(gradient_in(input.outcomes, plan.first_step() + step));
    const HostTensor from = baseline_of(plan, embedding);
    vectors.push_back({"integrated gradients", integrated_gradients(from, embedding, path)});
    const std::vector<double>& integrated = vectors.back().values;
    result.findings.push_back(
        fmt::format("Integrated gradients of {} steps add up to {:+.3g} between the baseline and the prompt, "
                    "whose logit of '{}' is {:.3g}; midpoints of the path go from {:.3g} to {:.3g}.",
                    plan.steps, std::accumulate(integrated.begin(), integrated.end(), 0.0), plan.token_name,
                    here.scalar, path.front()->scalar, path.back()->scalar));
    vectors.push_back({"leave one out", drops(plan, input, plan.first_left_out(), here.scalar)});
    vectors.push_back({"column cut", drops(plan, input, plan.first_cut(), here.scalar)});
    auto direct = direct_sources(run, input.model, {{plan.token}, {1.0F}}, *input.kernels);
    if (direct.ok())
      vectors.push_back({"direct attribution", std::move(*direct)});
    else
      result.findings.push_back("Direct attribution is left out: " + direct.error().message + ".");
    return vectors;
  }

  static void add_results(const Plan& plan, const MethodInput& input, const std::vector<Vector>& vectors,
                          AnalysisResult& result) {
    Table tokens{"attributions", {"position", "token", "compared"}, {}};
    for (const Vector& vector : vectors) tokens.columns.push_back(vector.name);
    for (size_t j = 0; j < static_cast<size_t>(plan.n); ++j) {
      const bool content = std::find(plan.content.begin(), plan.content.end(), j) != plan.content.end();
      tokens.rows.push_back({Cell(static_cast<int64_t>(j)), Cell(display_text(input.base.tokens.tokens[j])),
                             Cell(std::string(content ? "yes" : "no"))});
      for (const Vector& vector : vectors) tokens.rows.back().emplace_back(vector.values[j]);
    }
    std::vector<std::vector<double>> compared;
    for (const Vector& vector : vectors) {
      compared.emplace_back();
      for (const size_t j : plan.content)
        compared.back().push_back(plan.absolute ? std::abs(vector.values[j]) : vector.values[j]);
    }
    const auto top = static_cast<int64_t>(std::max<size_t>(1, plan.content.size() / 10));
    Field kendall = square("kendall", "Kendall's tau-b", vectors, input),
          rho = square("spearman", "Spearman's correlation", vectors, input),
          r = square("pearson", "Pearson's correlation", vectors, input),
          overlap = square("top_overlap", fmt::format("Shared among the top {} tokens", top), vectors, input);
    overlap.kind = ValueKind::probability;
    Table pairs{"agreement", {"measure", "against", "kendall", "spearman", "pearson", "top overlap"}, {}};
    const size_t size = vectors.size();
    for (size_t a = 0; a < size; ++a)
      for (size_t b = 0; b < size; ++b) {
        const Agreement of = agreement(compared[a], compared[b]);
        const double shared = top_overlap(compared[a], compared[b], top);
        const auto put = [&](Field& field, double value) {
          field.values.mutable_values()[a * size + b] = static_cast<float>(value);
        };
        put(kendall, of.kendall);
        put(rho, of.spearman);
        put(r, of.pearson);
        put(overlap, shared);
        if (a < b)
          pairs.rows.push_back({Cell(vectors[a].name), Cell(vectors[b].name), Cell(of.kendall),
                                Cell(of.spearman), Cell(of.pearson), Cell(shared)});
      }
    result.fields = {std::move(kendall), std::move(rho), std::move(r), std::move(overlap)};
    say(plan, pairs, result);
    result.tables = {std::move(pairs), std::move(tokens)};
  }

  static void say(const Plan& plan, const Table& pairs, AnalysisResult& result) {
    const double band = random_band(plan.content.size(), plan.seed);
    const auto tau = [](const std::vector<Cell>& row) { return std::get<double>(row[2]); };
    const auto name = [](const std::vector<Cell>& row, size_t at) { return std::get<std::string>(row[at]); };
    const std::vector<Cell>*best = nullptr, *worst = nullptr, *norm = nullptr;
    double sum = 0.0;
    int count = 0, inside = 0;
    for (const std::vector<Cell>& row : pairs.rows) {
      if (name(row, 0) == "attention, all layers" && name(row, 1) == "gradient norm") norm = &row;
      if (std::isnan(tau(row))) continue;
      sum += tau(row);
      ++count;
      inside += std::abs(tau(row)) < band ? 1 : 0;
      if (best == nullptr || tau(row) > tau(*best)) best = &row;
      if (worst == nullptr || tau(row) < tau(*worst)) worst = &row;
    }
    if (best == nullptr) {
      result.findings.emplace_back("No pair of measures has spread enough to be compared.");
      return;
    }
    result.findings.push_back(
        fmt::format("About '{}' over {} tokens: Kendall's tau is {:.2f} on average of {} pairs; most between "
                    "{} and {} ({:.2f}), "
                    "least between {} and {} ({:.2f}). {} pairs lie within |tau| < {:.2f}, where 95 % of "
                    "random orders are.",
                    plan.token_name, plan.content.size(), sum / count, count, name(*best, 0), name(*best, 1),
                    tau(*best), name(*worst, 0), name(*worst, 1), tau(*worst), inside, band));
    if (norm != nullptr)
      result.findings.push_back(
          fmt::format("Pearson's correlation of attention (all layers) with the gradient's norm is {:.2f}.",
                      std::get<double>((*norm)[4])));
    result.findings.emplace_back(caveat);
  }

  MethodInfo info_ = make_info();
};

}  // namespace

std::unique_ptr<AnalysisMethod> make_agreement() { return std::make_unique<AgreementMethod>(); }

}  // namespace saccade
