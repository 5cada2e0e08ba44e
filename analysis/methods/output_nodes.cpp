// output-nodes: which heads and MLPs put up the right letter of a multiple-choice question, how they know it,
// and whether that depends on how the options are written.
//
//   direct effect  what a node writes into the correct letter's logit against the mean of the letters'
//   total effect   what that changes by with the node's value from a twin with another correct letter
// Much total and little direct effect: a node upstream; much of both: an output node. The strongest by
// |direct effect| are taken together until their twin's values reproduce enough of the whole loss change.
// Each output head is then called by where its last row looks, and its q, k and v are cut down to a few
// directions.
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cmath>

#include "analysis/methods/choice_nodes.h"
#include "analysis/methods/head_fields.h"
#include "analysis/methods/metric.h"
#include "analysis/methods/registry.h"

namespace saccade {
namespace {

using namespace choices;  // NOLINT(google-build-using-namespace): its own part

constexpr double harmless = 0.01;  // of the loss: a rank that costs less is enough

MethodInfo make_info() {
  MethodInfo info;
  info.id = "output-nodes";
  info.title = "What puts up the right letter";
  info.summary =
      "Direct against total effect of every head and MLP on multiple-choice questions, the output nodes "
      "among "
      "them, what their heads look at, and how few directions of q, k and v they need.";
  info.citation = "Lieberum et al. 2023 (arXiv 2307.09458); thresholds and categories' rules are own";
  info.parameters = {
      choice("format", "Format", "letters (A to D), or with one thing changed.", choice_formats()),
      {"mutations", "All formats", "What the heads look at in every other format too.", true},
      {"most", "Nodes together", "How many of the strongest are tried together.", 12, 1, 200},
      {"enough", "Enough, %", "Of the loss change, for a set of output nodes.", 80.0, 1.0, 100.0},
      {"subspace-heads", "Heads cut down", "How many output heads the subspace test is made on.", 2, 0, 50},
      {"ranks", "Directions", "The test keeps 1 to this many.", 8, 1, 64},
      {"count", "Questions", "How many are drawn.", 8, 2, 1000},
      {"seed", "Seed", "Of the questions.", 1, 0, 1e9}};
  return info;
}

class OutputNodes final : public AnalysisMethod {
 public:
  [[nodiscard]] const MethodInfo& info() const override { return info_; }

  [[nodiscard]] Result<std::vector<Wanted>> plan(const MethodInput& input) const override {
    SACCADE_TRY(const Plan plan, read_plan(input));
    const size_t done = input.outcomes.size();
    if (done == 0) return runs(plan, input);
    std::vector<std::vector<size_t>> sets;
    if (done == plan.singles()) {
      for (size_t n = 0; n < plan.nodes.size(); ++n) sets.push_back({n});
      return patched(plan, input, sets);
    }
    SACCADE_TRY(const std::vector<double> direct, direct_effects(plan, input));
    if (done == plan.together()) {
      const std::vector<size_t> order = by_direct_effect(direct);
      for (size_t k = 1; k <= plan.most; ++k)
        sets.emplace_back(order.begin(), order.begin() + static_cast<ptrdiff_t>(k));
      return patched(plan, input, sets);
    }
    if (done == plan.subspaces()) return projected(plan, input, subspace_heads(plan, input, direct));
    return std::vector<Wanted>();
  }

  [[nodiscard]] Result<AnalysisResult> compute(const MethodInput& input,
                                               const JobContext& /*job*/) const override {
    SACCADE_TRY(const Plan plan, read_plan(input));
    if (plan.singles() == 0 || capture_in(input.outcomes, plan.singles() - 1) == nullptr)
      return make_error(ErrorCode::cancelled, "cancelled");
    SACCADE_TRY(const std::vector<double> direct, direct_effects(plan, input));
    AnalysisResult result;
    result.method = info_.id;
    result.parameters = input.parameters;
    result.requests = {input.base.digest()};
    add_effects(plan, input, direct, result);
    say_answers(plan, input, result);
    SACCADE_CHECK(add_output_nodes(plan, input, direct, result));
    add_subspaces(plan, input, direct, result);
    return result;
  }

 private:
  static void add_effects(const Plan& plan, const MethodInput& input, const std::vector<double>& direct,
                          AnalysisResult& result) {
    const ModelSpec& spec = input.model->spec();
    Field written = head_field("direct_effect", "Written into the right letter's logit, centred", "logits",
                               ValueKind::signed_difference, spec.n_layer, spec.n_head, input.base.digest());
    Field total = head_field("total_effect", "Change of that logit with the twin's value", "logits",
                             ValueKind::signed_difference, spec.n_layer, spec.n_head, input.base.digest());
    Table nodes{"effects", {"node", "direct_effect", "total_effect"}, {}};
    const double clean = mean_said_by_runs(plan.prompts, input, 0).centred;
    for (size_t n = 0; n < plan.nodes.size(); ++n) {
      const double change = mean_said(plan, input, plan.singles() + n * plan.count()).centred - clean;
      const CircuitNode& node = plan.nodes[n];
      nodes.rows.push_back({node.name(), direct[n], change});
      if (node.kind != CircuitNode::Kind::head) continue;
      const auto at = static_cast<size_t>(int64_t{node.layer()} * spec.n_head + node.head.head.value);
      written.values.mutable_values()[at] = static_cast<float>(direct[n]);
      total.values.mutable_values()[at] = static_cast<float>(change);
    }
    result.fields = {std::move(written), std::move(total)};
    result.tables = {heads_table(result.fields), std::move(nodes)};
  }

  static void say_answers(const Plan& plan, const MethodInput& input, AnalysisResult& result) {
    const MeanSaid clean = mean_said_by_runs(plan.prompts, input, 0);
    result.findings.push_back(
        fmt::format("{} questions ({}): the right letter is the best of four in {:.0f} %, its "
                    "loss is {:.3g} nats.",
                    plan.count(), plan.format, 100.0 * clean.right, clean.loss));
    if (clean.right <= 0.4)
      result.findings.emplace_back(
          "That is about chance (25 %): this model does not answer such questions, and what follows says "
          "which "
          "nodes write letters, not which know the answer.");
    for (const std::string& why : plan.unusable) result.findings.push_back("Left out: " + why + ".");
  }

  // The set, its heads' categories in every format, and whether they hold beyond the first.
  static Result<void> add_output_nodes(const Plan& plan, const MethodInput& input,
                                       const std::vector<double>& direct, AnalysisResult& result) {
    const OutputSet set = output_set(plan, input);
    const std::vector<size_t> order = by_direct_effect(direct);
    Table nodes{"nodes", {"node", "effect", "category"}, {}};
    Table formats{"formats", {"format", "head", "category", "right", "loss"}, {}};
    std::vector<std::string> names, specific;
    for (size_t i = 0; i < set.size; ++i) {
      const CircuitNode& node = plan.nodes[order[i]];
      names.push_back(node.name());
      std::string category = "mlp";
      if (node.kind == CircuitNode::Kind::head) {
        SACCADE_TRY(const auto masses, masses_of(plan.prompts, input, 0, node.head));
        category = category_of(masses);
        size_t same = 0;
        for (size_t f = 0; f < plan.others.size(); ++f) {
          const size_t first = (2 + f) * plan.count();
          SACCADE_TRY(const auto other, masses_of(plan.others[f].second, input, first, node.head));
          const MeanSaid said = mean_said_by_runs(plan.others[f].second, input, first);
          formats.rows.push_back(
              {plan.others[f].first, node.name(), category_of(other), said.right, said.loss});
          same += category_of(other) == category ? 1 : 0;
        }
        if (!plan.others.empty() && same == 0 && category != "other") specific.push_back(node.name());
      }
      nodes.rows.push_back({node.name(), direct[order[i]], category});
    }
    result.tables.push_back(std::move(nodes));
    result.tables.push_back(std::move(formats));
    if (std::isnan(set.share))
      result.findings.push_back(fmt::format(
          "The loss changes by less than {} nats when another letter is right: no set of nodes can be "
          "said to carry that change.",
          least_metric_difference));
    else
      result.findings.push_back(fmt::format(
          "{} with another question's values reproduce {:.0f} % of the loss change{}.",
          fmt::join(names, ", "), 100.0 * set.share,
          set.share >= plan.enough ? ""
                                   : fmt::format("; {:.0f} % would need more nodes", 100.0 * plan.enough)));
    if (!specific.empty())
      result.findings.push_back(fmt::format("Format-specific: {} look elsewhere in every other format.",
                                            fmt::join(specific, ", ")));
    return {};
  }

  static void add_subspaces(const Plan& plan, const MethodInput& input, const std::vector<double>& direct,
                            AnalysisResult& result) {
    const std::vector<HeadId> heads = subspace_heads(plan, input, direct);
    Table table{"subspaces", {"head", "part", "rank", "right", "loss"}, {}};
    const double clean = mean_said_by_runs(plan.prompts, input, 0).loss;
    size_t at = plan.subspaces();
    for (const HeadId head : heads) {
      std::vector<std::string> enough;
      for (const HeadPart part : parts) {
        std::string needed = fmt::format("more than {}", plan.ranks);
        bool found = false;
        for (int64_t rank = 1; rank <= plan.ranks; ++rank, at += plan.count()) {
          const MeanSaid said = mean_said(plan, input, at);
          if (std::isnan(said.loss)) return;
          table.rows.push_back({to_string(head), std::string(to_string(part)), rank, said.right, said.loss});
          if (!found && said.loss - clean <= harmless * clean) {
            found = true;
            needed = std::to_string(rank);
          }
        }
        enough.push_back(fmt::format("{} {}", to_string(part), needed));
      }
      result.findings.push_back(fmt::format(
          "Head {} costs at most 1 % of the loss when it keeps this many directions (of {}): {}; over {} "
          "questions, between whose queries no more than {} directions can lie.",
          to_string(head), input.model->spec().d_head, fmt::join(enough, ", "), plan.count(),
          plan.count() - 1));
    }
    if (!table.rows.empty()) result.tables.push_back(std::move(table));
  }

  MethodInfo info_ = make_info();
};

}  // namespace

std::unique_ptr<AnalysisMethod> make_output_nodes() { return std::make_unique<OutputNodes>(); }

}  // namespace saccade
