// attention-flow: maximum flow from one output token to each input token through the layers' maps.
#include <fmt/format.h>

#include <algorithm>
#include <numeric>

#include "analysis/flow/max_flow.h"
#include "analysis/methods/path_results.h"
#include "analysis/methods/registry.h"
#include "analysis/scanpath/parallel.h"
#include "core/base/memory.h"

namespace saccade {
namespace {

MethodInfo make_info() {
  MethodInfo info;
  info.id = "attention-flow";
  info.title = "Attention flow";
  info.summary =
      "The largest flow that can pass from one output token to each input token when the weights of every "
      "layer are capacities.";
  info.citation =
      "Abnar and Zuidema 2020 (arXiv 2005.00928), section 3: edges with the weights of B_l as capacities, "
      "one "
      "maximum flow per input token, then made to sum to 1";
  info.parameters = {query_parameter()};
  for (ParameterInfo& parameter : fusion_parameters()) info.parameters.push_back(std::move(parameter));
  info.parameters.push_back(
      {"residual", "Residual share", "Of the residual beside attention in every layer.", 0.5, 0.0, 1.0});
  info.parameters.push_back({"prune", "Prune",
                             "Edges of less are left out; the flow lost is bounded by what "
                             "is told.",
                             0.0, 0.0, 0.5});
  info.parameters.push_back({"most_tokens", "Most tokens",
                             "Longer runs are refused: the work grows with the "
                             "third power of the length.",
                             320, 2, 2048});
  return info;
}

// The levels' capacities, and how much capacity pruning took from the rows of a layer at most.
struct Pruned {
  LayeredCapacities capacities;
  double largest_loss = 0.0;  // of a row
};

Result<Pruned> capacities_of(const FusedMaps& maps, const PathTarget& target, double residual, double prune,
                             const JobContext& job) {
  Pruned made;
  LayeredCapacities& capacities = made.capacities;
  capacities.n = maps.size();
  capacities.source = target.start;
  std::vector<float> rows;
  for (int32_t l = 0; l < maps.layers(); ++l) {
    if (!maps.acts(l)) continue;  // what leaves it is what entered it
    const auto first = capacities.edges.size();
    const auto n = static_cast<size_t>(capacities.n);
    capacities.edges.resize(first + n * n);
    ++capacities.layers;
    for (int64_t begin = 0; begin < capacities.n; begin += fused_rows_at_once) {
      SACCADE_CHECK(job.check());
      const int64_t end = std::min(capacities.n, begin + fused_rows_at_once);
      const auto out =
          std::span(capacities.edges)
              .subspan(first + static_cast<size_t>(begin) * n, static_cast<size_t>(end - begin) * n);
      SACCADE_CHECK(maps.mixed_rows(l, begin, end, residual, out));
      for (size_t i = 0; i < out.size(); i += n) {
        double loss = 0.0;
        for (float& edge : out.subspan(i, n)) {
          if (edge >= prune) continue;
          loss += edge;
          edge = 0.0F;
        }
        made.largest_loss = std::max(made.largest_loss, loss);
      }
    }
  }
  return made;
}

class AttentionFlow final : public AnalysisMethod {
 public:
  [[nodiscard]] const MethodInfo& info() const override { return info_; }

  [[nodiscard]] Result<AnalysisResult> compute(const MethodInput& given,
                                               const JobContext& job) const override {
    MethodInput input = given;
    SACCADE_TRY(input.parameters, complete_parameters(info_, given.parameters));
    SACCADE_TRY(const FusedMaps maps, fused_maps(input));
    const Capture& capture = maps.capture();
    SACCADE_TRY(const PathTarget target, path_target(capture, input.parameters["query"].get<int64_t>()));
    const int64_t n = maps.size(), most = input.parameters["most_tokens"].get<int64_t>();
    if (n > most)
      return make_error(ErrorCode::invalid_argument,
                        fmt::format("attention flow over {} tokens; most_tokens is {}: shorten the prompt, "
                                    "raise most_tokens, or use rollout, which costs next to nothing",
                                    n, most));
    // Capacities once, and what is left of them for every thread.
    const int64_t bytes = maps.layers() * n * n * (4 + 8 * int64_t{input.threads});
    if (bytes > available_bytes() / 2)
      return make_error(
          ErrorCode::out_of_memory,
          fmt::format("attention flow over {} tokens and {} layers needs {}; use fewer threads, a "
                      "shorter prompt, or rollout",
                      n, maps.layers(), format_bytes(bytes)));
    job.progress(0.0, "capacities of every layer");
    const double prune = input.parameters["prune"].get<double>();
    SACCADE_TRY(const Pruned pruned,
                capacities_of(maps, target, input.parameters["residual"].get<double>(), prune, job));
    std::vector<double> flow(static_cast<size_t>(n), 0.0);
    SACCADE_CHECK(in_parallel(flow.size(), input.threads, "maximum flow into each token", job,
                              [&](size_t j) -> Result<void> {
                                LayeredFlow into(pruned.capacities);
                                SACCADE_TRY(flow[j], into.into(static_cast<int64_t>(j), job));
                                return {};
                              }));
    const double total = std::accumulate(flow.begin(), flow.end(), 0.0);
    if (!(total > 0.0))
      return make_error(ErrorCode::invalid_argument,
                        fmt::format("no flow reaches the input from {}: every path was pruned at {:.3g}",
                                    target.text, prune));
    std::vector<double> share = flow;
    for (double& value : share) value /= total;
    AnalysisResult result;
    result.method = info_.id;
    result.requests = {capture.provenance.request};
    SACCADE_CHECK(add_token_fields(
        capture, field_about("share", "Attention flow from " + target.text, ValueKind::probability), {},
        share, result));
    SACCADE_CHECK(add_token_fields(
        capture, field_about("flow", "Largest flow from " + target.text, ValueKind::probability), {}, flow,
        result));
    result.tables.push_back(tokens_table(capture, "tokens", {{"flow", flow}, {"share", share}}));
    result.findings.push_back(fmt::format("Through {} heads the flow from {} goes to {}.", maps.n_chosen(),
                                          target.text, largest_text(capture, share, 3)));
    const auto [least, largest] = std::minmax_element(flow.begin(), flow.end());
    result.findings.push_back(
        fmt::format("Single flows lie between {:.3g} and {:.3g} of at most 1.", *least, *largest));
    for (size_t k = 0; k < capture.images.size(); ++k)
      result.findings.push_back(fmt::format("{:.1f} % of all flow ends in the patches of picture {} ('{}').",
                                            100.0 * share_on_picture(capture.images[k], share), k,
                                            capture.images[k].name));
    if (prune > 0.0)
      result.findings.push_back(
          fmt::format("Edges below {:.3g} were left out; that took at most {:.3g} of a row's capacity.",
                      prune, pruned.largest_loss));
    result.parameters = std::move(input.parameters);
    return result;
  }

 private:
  MethodInfo info_ = make_info();
};

}  // namespace

std::unique_ptr<AnalysisMethod> make_attention_flow() { return std::make_unique<AttentionFlow>(); }

}  // namespace saccade
