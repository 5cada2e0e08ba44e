// reversed-tree: who takes most of whom, as a tree over tokens or patches.
#include "analysis/flow/reversed_tree.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "analysis/methods/path_results.h"
#include "analysis/methods/registry.h"

namespace saccade {
namespace {

constexpr int64_t most_tokens = 2048;

MethodInfo make_info() {
  MethodInfo info;
  info.id = "reversed-tree";
  info.title = "Reversed attention as a tree";
  info.summary =
      "Softmax over queries in the place of keys: every token's parent is who takes most of it; roots take "
      "themselves, leaves send little.";
  info.citation =
      "Ding et al. 2023 (Visual Dependency Transformers, arXiv 2304.03282): reversed attention; the rule on "
      "an "
      "ordinary model's map is own";
  info.parameters = {
      {"layer", "Layer", "Whose map; -1: the last.", -1, -1, 1e6},
      {"heads", "Heads", "Of that layer: their scores are averaged, like *.* or *.0,3.", "*.*"}};
  return info;
}

struct Scores {
  std::vector<double> log_scores, weights;  // [n, n]
  int64_t heads = 0;
};

// s_ij = ln p_ij + lse_i, mean of the heads; A likewise.
Result<Scores> scores_of(const MethodInput& input, int32_t layer, const HeadTarget& target,
                         const JobContext& job) {
  const Capture& capture = *input.capture;
  const int64_t n = capture.n_token();
  Scores made;
  made.log_scores.assign(static_cast<size_t>(n * n), 0.0);
  made.weights.assign(made.log_scores.size(), 0.0);
  std::vector<float> rows(static_cast<size_t>(n * n));
  for (int32_t h = 0; h < capture.spec.n_head; ++h) {
    if (!target.layers.contains(layer) || !target.heads.contains(h)) continue;
    SACCADE_CHECK(job.check());
    SACCADE_TRY(const AttentionMap map,
                AttentionMap::of(input.capture, {LayerIndex{layer}, HeadIndex{h}}, *input.kernels));
    for (int64_t begin = 0; begin < n; begin += fused_rows_at_once) {
      const int64_t end = std::min(n, begin + fused_rows_at_once);
      SACCADE_CHECK(map.rows(
          begin, end, n,
          std::span(rows).subspan(static_cast<size_t>(begin * n), static_cast<size_t>((end - begin) * n))));
    }
    const auto lse = capture.layers[static_cast<size_t>(layer)]->lse.slice(h);
    for (int64_t i = 0; i < n; ++i)
      for (int64_t j = 0; j < n; ++j) {
        const auto at = static_cast<size_t>(i * n + j);
        made.weights[at] += rows[at];
        made.log_scores[at] += rows[at] > 0.0F
                                   ? std::log(static_cast<double>(rows[at])) + lse[static_cast<size_t>(i)]
                                   : -INFINITY;
      }
    ++made.heads;
  }
  for (double& weight : made.weights) weight /= static_cast<double>(std::max<int64_t>(made.heads, 1));
  for (double& score : made.log_scores) score /= static_cast<double>(std::max<int64_t>(made.heads, 1));
  return made;
}

class ReversedTreeMethod final : public AnalysisMethod {
 public:
  [[nodiscard]] const MethodInfo& info() const override { return info_; }

  [[nodiscard]] Result<AnalysisResult> compute(const MethodInput& given,
                                               const JobContext& job) const override {
    MethodInput input = given;
    SACCADE_TRY(input.parameters, complete_parameters(info_, given.parameters));
    if (!input.capture || input.capture->layers.empty())
      return make_error(ErrorCode::invalid_argument, "reversed-tree needs a run with captured layers");
    const Capture& capture = *input.capture;
    const auto layers = static_cast<int64_t>(capture.layers.size()),
               asked = input.parameters["layer"].get<int64_t>(), n = capture.n_token();
    if (asked >= layers)
      return make_error(ErrorCode::invalid_argument,
                        fmt::format("layer={}: the run has layers 0 to {}", asked, layers - 1));
    if (n > most_tokens)
      return make_error(
          ErrorCode::invalid_argument,
          fmt::format("reversed-tree holds a whole map; {} tokens are more than {}", n, most_tokens));
    const auto layer = static_cast<int32_t>(asked < 0 ? layers - 1 : asked);
    SACCADE_TRY(const HeadTarget heads, parse_head_target(input.parameters["heads"].get<std::string>()));
    SACCADE_TRY(const Scores scores, scores_of(input, layer, heads, job));
    if (scores.heads == 0)
      return make_error(ErrorCode::invalid_argument,
                        fmt::format("heads={} names no head of layer {}", to_text(heads), layer));
    const ReversedTree tree = reversed_tree(scores.log_scores, scores.weights, n);
    AnalysisResult result;
    result.method = info_.id;
    result.requests = {capture.provenance.request};
    std::vector<double> parent(tree.parent.begin(), tree.parent.end()),
        depth(tree.depth.begin(), tree.depth.end());
    SACCADE_CHECK(add_token_fields(capture,
                                   field_about("mass", "Weight received from all rows", ValueKind::magnitude),
                                   {}, tree.mass, result));
    SACCADE_CHECK(add_token_fields(
        capture, field_about("strength", "Share of a token that its parent takes", ValueKind::probability),
        {}, tree.strength, result));
    SACCADE_CHECK(add_token_fields(
        capture, field_about("depth", "Steps to the root", ValueKind::magnitude, {}, "edges"), {}, depth,
        result));
    SACCADE_CHECK(add_token_fields(
        capture, field_about("parent", "Position of the parent, -1: a root", ValueKind::magnitude), {},
        parent, result));
    add_table(capture, tree, result);
    say(capture, tree, layer, scores.heads, result);
    result.parameters = std::move(input.parameters);
    return result;
  }

 private:
  static void add_table(const Capture& capture, const ReversedTree& tree, AnalysisResult& result) {
    Table table{"tree", {"position", "token", "parent", "parent_token", "strength", "mass", "depth"}, {}};
    for (size_t j = 0; j < tree.parent.size(); ++j) {
      const int64_t parent = tree.parent[j];
      table.rows.push_back({static_cast<int64_t>(j), display_text(capture.tokens[j]), parent,
                            parent < 0 ? "" : display_text(capture.tokens[static_cast<size_t>(parent)]),
                            tree.strength[j], tree.mass[j], tree.depth[j]});
    }
    result.tables.push_back(std::move(table));
  }

  static void say(const Capture& capture, const ReversedTree& tree, int32_t layer, int64_t heads,
                  AnalysisResult& result) {
    const auto roots = std::count(tree.parent.begin(), tree.parent.end(), -1);
    const auto deepest = *std::max_element(tree.depth.begin(), tree.depth.end());
    std::vector<int64_t> children(tree.parent.size(), 0);
    for (const int64_t parent : tree.parent)
      if (parent >= 0) ++children[static_cast<size_t>(parent)];
    const auto most = std::max_element(children.begin(), children.end()) - children.begin();
    result.findings.push_back(fmt::format(
        "Layer {} ({} heads): {} roots among {} tokens, {} levels deep; {} edges were left out to "
        "break cycles.",
        layer, heads, roots, tree.parent.size(), deepest + 1, tree.broken));
    if (children[static_cast<size_t>(most)] > 0)
      result.findings.push_back(fmt::format("{} takes most of {} tokens.", token_text(capture, most),
                                            children[static_cast<size_t>(most)]));
  }

  MethodInfo info_ = make_info();
};

}  // namespace

std::unique_ptr<AnalysisMethod> make_reversed_tree() { return std::make_unique<ReversedTreeMethod>(); }

}  // namespace saccade
