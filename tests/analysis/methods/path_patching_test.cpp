// path-patching against a slow reference that is built of plain runs with explicit edits, and the parts of
// its engine: edits of a head's q, k and v, and residuals on frozen paths.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>

#include "analysis/methods/circuit_node.h"
#include "analysis/methods/path_effects.h"
#include "analysis/prompts/positions.h"
#include "tests/analysis/random_lab.h"

namespace saccade {
namespace {

using testing::HasSubstr;

// All of one run: what a slow reference takes values from.
std::shared_ptr<const Run> recorded(
    const Lab& lab, const TokenSequence& tokens, const std::vector<std::string>& edits = {},
    const std::map<std::string, std::shared_ptr<const Capture>>& others = {}) {
  RunRequest request = lab.runner->request(tokens);
  request.references = others;
  request.capture.attention = request.capture.statistics = request.capture.loss = false;
  for (const std::string& text : edits) {
    auto edit = parse_edit(text);
    EXPECT_TRUE(edit.ok()) << edit.error().to_string();
    request.edits.push_back(*edit);
  }
  for (int32_t l = 0; l < lab.model->spec().n_layer; ++l)
    for (const HookSite site :
         {HookSite::q, HookSite::k, HookSite::v, HookSite::z, HookSite::attn_out, HookSite::mlp_out})
      if (exists({site, l}, lab.model->spec())) request.capture.sites.push_back({site, l});
  return lab.run(request);
}

struct Twins {
  std::shared_ptr<const Run> clean, corrupt;
};

// The definition, literally: the second and third kind of runs of the whole model (methods/more.md 1.3);
// gives the metric under the path.
double slow_metric(const Lab& lab, const PromptPair& pair, const Twins& twins, const std::string& sender,
                   const std::vector<std::string>& receivers, bool freeze_mlps, int64_t position) {
  const auto& [clean, corrupt] = twins;
  std::vector<std::string> frozen{"replace *.* from=clean"};
  for (int32_t l = 0; freeze_mlps && l < lab.model->spec().n_layer; ++l)
    frozen.push_back("replace " + full_name({HookSite::mlp_out, l}) + " from=clean");
  frozen.push_back("replace " + sender + " from=corrupt query=" + std::to_string(position));
  // What a receiver would get is read before its z is overwritten: at q, k and v.
  const auto second =
      recorded(lab, pair.clean, frozen, {{"clean", clean->capture}, {"corrupt", corrupt->capture}});
  if (receivers.empty())
    return value_of(Metric::logit_difference, second->capture->last_logits, pair, nullptr);
  std::vector<std::string> edits;
  for (const std::string& receiver : receivers) {
    const std::string head = receiver.substr(0, receiver.size() - 2),
                      part = receiver.substr(receiver.size() - 1);
    for (const std::string& one : part == "z" ? std::vector<std::string>{"q", "k", "v"} : std::vector{part})
      edits.push_back("replace " + head + " from=second at=" + one);
  }
  const auto third = recorded(lab, pair.clean, edits, {{"second", second->capture}});
  return value_of(Metric::logit_difference, third->capture->last_logits, pair, nullptr);
}

double metric_of(const Run& run, const PromptPair& pair) {
  return value_of(Metric::logit_difference, run.capture->last_logits, pair, nullptr);
}

struct Case {
  std::string receivers, position;
  std::vector<std::string> slow;
  bool frozen;
};

// 2e-5: two float32 forward passes with another order of sums, relative to a difference of some logits.
TEST(PathPatching, scores_are_those_of_the_three_kinds_of_runs) {
  const auto prompts = preset("repeat", *demo().model, 1, 3);
  ASSERT_TRUE(prompts.ok()) << prompts.error().to_string();
  const PromptPair& pair = prompts->pairs[0];
  const Twins twins{recorded(demo(), pair.clean), recorded(demo(), pair.corrupt)};
  const std::vector<Case> cases{{"logits", "last", {}, true},
                                {"logits", "last", {}, false},
                                {"2.1.q", "last", {"2.1.q"}, false},
                                {"1.0.k 1.2.k", "source", {"1.0.k", "1.2.k"}, true},
                                {"1.0.k 1.2.k", "source", {"1.0.k", "1.2.k"}, false},
                                {"2.1 2.2.v", "source", {"2.1.z", "2.2.v"}, false}};
  for (const Case& one : cases) {
    const auto result = demo().method("path-patching", {{"prompts", "repeat"},
                                                        {"count", 1},
                                                        {"seed", 3},
                                                        {"receivers", one.receivers},
                                                        {"position", one.position},
                                                        {"mlps", one.frozen ? "frozen" : "recomputed"}});
    ASSERT_TRUE(result.ok()) << result.error().to_string();
    const int64_t at = aligned_positions(*prompts, 0, one.position)->clean[0];
    for (const char* sender : {"0.0", "0.3"}) {
      const HeadId id = parse_head(sender).value();
      const double slow =
          normalised_effect(slow_metric(demo(), pair, twins, sender, one.slow, one.frozen, at),
                            metric_of(*twins.clean, pair), metric_of(*twins.corrupt, pair));
      EXPECT_NEAR(result->field("score")->values.at({id.layer.value, id.head.value}), slow, 2e-5)
          << sender << " to " << one.receivers << " at " << one.position << (one.frozen ? ", frozen" : "");
    }
  }
}

// A model with random weights tells no prompts apart, so that there are no scores: what the engine itself
// gives.
class PatchedMetrics final : public AnalysisMethod {
 public:
  explicit PatchedMetrics(PathPlan plan) : plan_(std::move(plan)) { info_.id = "patched"; }
  [[nodiscard]] const MethodInfo& info() const override { return info_; }
  [[nodiscard]] Result<std::vector<Wanted>> plan(const MethodInput& input) const override {
    return PathWork(plan_, input, 0).next();
  }
  [[nodiscard]] Result<AnalysisResult> compute(const MethodInput& input, const JobContext&) const override {
    AnalysisResult result;
    Table table{"patched", {"metric"}, {}};
    for (size_t path = 0; path < plan_.paths.size(); ++path)
      table.rows.push_back({PathWork(plan_, input, 0).patched(0, path)});
    result.tables.push_back(std::move(table));
    return result;
  }

 private:
  MethodInfo info_;
  PathPlan plan_;
};

TEST(PathPatching, paths_through_grouped_heads_rotation_and_gated_mlps_are_those_of_plain_runs) {
  const RandomLab random("llama-tiny", 8);
  const Lab& lab = random.lab;
  PathPlan plan;
  plan.prompts = preset("repeat", *lab.model, 1, 3).value();
  plan.positions = {aligned_positions(plan.prompts, 0, "source").value()};
  plan.senders = {CircuitNode::of(parse_head("0.2").value()), CircuitNode::of(parse_head("0.7").value())};
  plan.ends = {{parse_receivers("1.5.q", lab.model->spec()).value()},
               {parse_receivers("1.5.k", lab.model->spec()).value()},
               {parse_receivers("1.2.v", lab.model->spec()).value()}};
  add_paths(plan, lab.model->spec());
  ASSERT_EQ(plan.paths.size(), 6U);
  const PromptPair& pair = plan.prompts.pairs[0];
  const Twins twins{recorded(lab, pair.clean), recorded(lab, pair.corrupt)};
  const auto result =
      run_method(PatchedMetrics(plan), {}, lab.run("The cat sat."), {lab.model, lab.runner.get(), {}}, {});
  ASSERT_TRUE(result.ok()) << result.error().to_string();
  const double clean = metric_of(*twins.clean, pair);
  double largest = 0.0;
  for (size_t path = 0; path < plan.paths.size(); ++path) {
    const double slow =
        slow_metric(lab, pair, twins, plan.paths[path].sender.name(),
                    {plan.ends[plan.paths[path].end].name()}, false, plan.positions[0].clean[0]);
    const double fast = std::get<double>(result->tables[0].rows[path][0]);
    // 6e-7: some roundings of logits of size 1.
    EXPECT_NEAR(fast, slow, 6e-7) << path;
    largest = std::max(largest, std::abs(slow - clean));
  }
  EXPECT_GT(largest, 1e-5) << "a comparison of nothing";
}

// methods/more.md 1.3, worked check: a sender that adds c to the receiver's query and to nothing else. With
// the sender corrupted (c = 0) and all other paths frozen, the score is that of editing the query directly.
TEST(PathPatching, a_path_into_one_query_scores_like_editing_that_query) {
  const auto prompts = preset("repeat", *demo().model, 1, 1);
  const PromptPair& pair = prompts->pairs[0];
  const Twins twins{recorded(demo(), pair.clean), recorded(demo(), pair.corrupt)};
  const int64_t last = pair.clean.size() - 1;
  const auto frozen =
      recorded(demo(), pair.clean,
               {"replace *.* from=clean", "replace 0.1 from=corrupt query=" + std::to_string(last),
                "replace blocks.0.hook_mlp_out from=clean", "replace blocks.1.hook_mlp_out from=clean"},
               {{"clean", twins.clean->capture}, {"corrupt", twins.corrupt->capture}});
  const auto edited =
      recorded(demo(), pair.clean, {"replace 1.3 at=q from=frozen"}, {{"frozen", frozen->capture}});
  const auto result = demo().method(
      "path-patching", {{"prompts", "repeat"}, {"count", 1}, {"receivers", "1.3.q"}, {"mlps", "frozen"}});
  ASSERT_TRUE(result.ok()) << result.error().to_string();
  EXPECT_NEAR(result->field("score")->values.at({0, 1}),
              normalised_effect(metric_of(*edited, pair), metric_of(*twins.clean, pair),
                                metric_of(*twins.corrupt, pair)),
              1e-5);
}

TEST(PathPatching, senders_lie_below_the_receivers_and_edges_name_both_ends) {
  const auto result = demo().method("path-patching", {{"receivers", "1.3.k"}, {"count", 2}});
  ASSERT_TRUE(result.ok()) << result.error().to_string();
  EXPECT_TRUE(std::isnan(result->field("score")->values.at({1, 0})));
  EXPECT_TRUE(std::isnan(result->field("score")->values.at({2, 3})));
  const Table& edges = result->tables.at(1);
  EXPECT_EQ(edges.name, "edges");
  EXPECT_EQ(edges.columns, (std::vector<std::string>{"from", "to", "effect"}));
  ASSERT_EQ(edges.rows.size(), 4U);
  EXPECT_EQ(std::get<std::string>(edges.rows[2][0]), "0.2");
  EXPECT_EQ(std::get<std::string>(edges.rows[2][1]), "1.3.k");
}

TEST(PathPatching, what_cannot_be_used_is_refused_with_what_to_do) {
  const auto refusal = [&](const nlohmann::json& parameters) {
    const auto result = demo().method("path-patching", parameters);
    return result.ok() ? std::string("accepted") : result.error().to_string();
  };
  EXPECT_THAT(refusal({{"receivers", "9.9.q"}}), HasSubstr("layers 0-2 of heads 0-3, found 9.9"));
  EXPECT_THAT(refusal({{"receivers", "1.3.w"}}), HasSubstr("with .q, .k, .v or .z"));
  EXPECT_THAT(refusal({{"receivers", "0.3.q"}}), HasSubstr("no head lies before layer 0"));
  EXPECT_THAT(refusal({{"position", "s2"}}), HasSubstr("roles are end, source"));
  EXPECT_THAT(refusal({{"position", "3"}}), HasSubstr("last or all"));
  EXPECT_THAT(refusal({{"receivers", "1.3.q"}, {"position", "999"}}), HasSubstr("position 999 of a prompt"));
  const RandomLab grouped("llama-tiny", 8);
  const auto shared = grouped.lab.method("path-patching", {{"receivers", "1.3"}});
  ASSERT_FALSE(shared.ok());
  EXPECT_THAT(shared.error().to_string(), HasSubstr("name its .q, .k or .v"));
}

TEST(CircuitNode, heads_are_read_from_text_and_files) {
  ModelSpec spec;
  spec.n_layer = spec.n_head = 12;
  const auto heads = parse_heads("9.9, L10H0 9.9", spec);
  ASSERT_TRUE(heads.ok());
  EXPECT_EQ(heads->size(), 2U);
  EXPECT_EQ(parse_receivers("9.9.q", spec)->at(0).name(), "9.9.q");
  const auto file = std::filesystem::temp_directory_path() / "saccade_head_list.json";
  ASSERT_TRUE(
      write_text_file(file,
                      R"({"source": "a paper", "name mover": [[9, 9], [10, 0]], "others": ["9.9", "L0H1"]})")
          .ok());
  const auto listed = read_head_list(file, spec);
  ASSERT_TRUE(listed.ok()) << listed.error().to_string();
  EXPECT_EQ(listed->size(), 3U);
  spec.n_layer = 3;
  EXPECT_THAT(read_head_list(file, spec).error().to_string(), HasSubstr("layers 0-2"));
  std::filesystem::remove(file);
}

}  // namespace
}  // namespace saccade
