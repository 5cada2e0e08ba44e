// circuit: its ranking, edges, evaluation, overlap and repair, against plain runs.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "analysis/methods/circuit_plan.h"
#include "analysis/methods/reference_runs.h"
#include "tests/analysis/lab.h"

namespace saccade {
namespace {

using testing::HasSubstr;

double number(const Cell& cell) { return std::get<double>(cell); }

TEST(Circuit, keeping_only_the_circuit_is_a_plain_run_with_all_other_heads_at_their_mean) {
  const auto result = demo().method("circuit", {{"count", 2}, {"top", 25}, {"draws", 1}, {"edges", "none"}});
  ASSERT_TRUE(result.ok()) << result.error().to_string();
  const Table *nodes = table_of(*result, "nodes"), *evaluation = table_of(*result, "evaluation");
  ASSERT_TRUE(nodes && evaluation);
  ASSERT_EQ(nodes->rows.size(), 3U);
  const auto prompts = preset("repeat", *demo().model, 2, 1);
  std::vector<std::shared_ptr<const Capture>> captures;
  for (const PromptPair& pair : prompts->pairs) {
    RunRequest request = demo().runner->request(pair.clean);
    for (int32_t l = 0; l < 3; ++l) request.capture.sites.push_back({HookSite::z, l});
    captures.push_back(demo().run(request)->capture);
  }
  const auto mean = all_rows_of_z(captures);
  double kept = 0.0, none = 0.0;
  for (const PromptPair& pair : prompts->pairs)
    for (const bool keep : {true, false}) {
      RunRequest request = demo().runner->request(pair.clean);
      request.references["mean"] = mean;
      for (int32_t h = 0; h < 12; ++h) {
        const std::string name = to_string(HeadId{LayerIndex{h / 4}, HeadIndex{h % 4}});
        const bool member = std::any_of(nodes->rows.begin(), nodes->rows.end(), [&](const auto& row) {
          return std::get<std::string>(row[0]) == name;
        });
        if (!keep || !member) request.edits.push_back(parse_edit("mean " + name + " from=mean").value());
      }
      (keep ? kept : none) +=
          value_of(Metric::logit_difference, demo().run(request)->capture->last_logits, pair, nullptr) / 2;
    }
  EXPECT_EQ(std::get<std::string>(evaluation->rows[1][0]), "circuit alone");
  // 1e-4: logits of size 10 in float32, through another order of sums.
  EXPECT_NEAR(number(evaluation->rows[1][1]), kept, 1e-4);
  EXPECT_NEAR(number(evaluation->rows[2][1]), none, 1e-4);
}

TEST(Circuit, with_every_node_in_it_the_circuit_is_the_model) {
  const auto result = demo().method(
      "circuit",
      {{"count", 2}, {"top", 100}, {"draws", 2}, {"edges", "none"}, {"mlps", true}, {"rank", "ablation"}});
  ASSERT_TRUE(result.ok()) << result.error().to_string();
  const Table* evaluation = table_of(*result, "evaluation");
  ASSERT_EQ(table_of(*result, "nodes")->rows.size(), 15U);
  EXPECT_NEAR(number(evaluation->rows[0][1]), number(evaluation->rows[1][1]), 1e-4);
  EXPECT_GT(std::abs(number(evaluation->rows[0][1]) - number(evaluation->rows[2][1])), 1.0);
  for (size_t row = 3; row < evaluation->rows.size(); row += 2)
    EXPECT_NEAR(number(evaluation->rows[row][1]), number(evaluation->rows[row + 1][1]), 1e-4)
        << "taking half of everything out of the circuit or the model is the same";
  EXPECT_THAT(result->findings, testing::Contains(HasSubstr("keeps 100 %")));
}

TEST(Circuit, the_induction_circuit_holds_layer_one_and_its_edges_run_upwards) {
  const auto result =
      demo().method("circuit", {{"count", 3}, {"top", 40}, {"draws", 0}, {"least-edge", 0.0}});
  ASSERT_TRUE(result.ok()) << result.error().to_string();
  const Table *nodes = table_of(*result, "nodes"), *edges = table_of(*result, "edges");
  size_t in_layer_one = 0;
  for (const auto& row : nodes->rows) in_layer_one += std::get<std::string>(row[0])[0] == '1' ? 1 : 0;
  EXPECT_GE(in_layer_one, 2U);
  ASSERT_FALSE(edges->rows.empty());
  bool into_logits = false;
  for (const auto& row : edges->rows) {
    const std::string from = std::get<std::string>(row[0]), to = std::get<std::string>(row[1]);
    into_logits = into_logits || to == "logits";
    EXPECT_TRUE(to == "logits" || from[0] < to[0]) << from << " to " << to;
  }
  EXPECT_TRUE(into_logits);
}

TEST(Circuit, an_edge_into_the_logits_is_the_score_of_path_patching) {
  const auto circuit = demo().method(
      "circuit",
      {{"count", 2}, {"top", 100}, {"draws", 0}, {"edges", "q"}, {"position", "last"}, {"least-edge", 0.0}});
  const auto paths = demo().method("path-patching", {{"count", 2}});
  ASSERT_TRUE(circuit.ok() && paths.ok());
  for (const auto& row : table_of(*circuit, "edges")->rows) {
    if (std::get<std::string>(row[1]) != "logits") continue;
    const HeadId head = parse_head(std::get<std::string>(row[0])).value();
    EXPECT_NEAR(number(row[2]), paths->field("score")->values.at({head.layer.value, head.head.value}), 1e-5);
  }
}

TEST(Circuit, a_behaviour_shares_all_of_its_strongest_nodes_with_itself) {
  const auto result =
      demo().method("circuit", {{"count", 2}, {"second-prompts", "repeat"}, {"draws", 0}, {"edges", "none"}});
  ASSERT_TRUE(result.ok()) << result.error().to_string();
  const Table* overlap = table_of(*result, "overlap");
  ASSERT_EQ(overlap->rows.size(), 4U);
  for (const auto& row : overlap->rows) EXPECT_EQ(number(row[3]), 1.0);
  EXPECT_EQ(circuits::shared_strongest({3, 1, 2, 0}, {1, 0, 3, 2}, 2), 1U);
  EXPECT_EQ(circuits::shared_strongest({3, 1, 2, 0}, {1, 0, 3, 2}, 3), 2U);
}

TEST(Circuit, forcing_heads_onto_keys_is_the_force_edit_and_reports_before_and_after) {
  const auto result = demo().method("circuit", {{"prompts", "ioi"},
                                                {"count", 3},
                                                {"draws", 0},
                                                {"edges", "none"},
                                                {"repair-heads", "1.0 1.2"},
                                                {"repair-keys", "s2"}});
  ASSERT_TRUE(result.ok()) << result.error().to_string();
  const Table* table = table_of(*result, "repair");
  ASSERT_TRUE(table);
  const auto prompts = preset("ioi", *demo().model, 3, 1);
  double forced = 0.0;
  for (const PromptPair& pair : prompts->pairs) {
    RunRequest request = demo().runner->request(pair.clean);
    for (const char* head : {"1.0", "1.2"})
      request.edits.push_back(parse_edit(std::string("force ") + head +
                                         " by=1 query=" + std::to_string(pair.clean.size() - 1) +
                                         " key=" + std::to_string(pair.clean_roles.at("s2")))
                                  .value());
    forced +=
        value_of(Metric::logit_difference, demo().run(request)->capture->last_logits, pair, nullptr) / 3;
  }
  EXPECT_NEAR(number(table->rows[1][2]), forced, 1e-4);
  EXPECT_NE(number(table->rows[0][2]), number(table->rows[1][2]));
}

TEST(Circuit, what_cannot_be_used_is_refused_with_what_to_do) {
  const auto refusal = [&](const nlohmann::json& parameters) {
    const auto result = demo().method("circuit", parameters);
    return result.ok() ? std::string("accepted") : result.error().to_string();
  };
  EXPECT_THAT(refusal({{"repair-heads", "1.0"}}), HasSubstr("has no role 'wrong1'; roles are end, source"));
  EXPECT_THAT(refusal({{"second-prompts", "nonsense"}}), HasSubstr("there are repeat"));
  EXPECT_THAT(refusal({{"edges", "everything"}}), HasSubstr("one of each, q, k, v, z, none"));
  EXPECT_THAT(refusal({{"position", "s2"}, {"count", 1}}), HasSubstr("roles are end, source"));
}

}  // namespace
}  // namespace saccade
