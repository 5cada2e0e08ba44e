// output-nodes, its questions, categories and subspaces.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "analysis/methods/choice_nodes.h"
#include "analysis/methods/subspace.h"
#include "tests/analysis/lab.h"

namespace saccade {
namespace {

using testing::HasSubstr;

TEST(MultipleChoice, the_twin_has_another_right_letter_at_the_same_places) {
  for (const std::string& format : choice_formats()) {
    const auto prompts = choice_prompts(format, *demo().model, 3, 2);
    ASSERT_TRUE(prompts.ok()) << prompts.error().to_string();
    for (const ChoicePrompt& prompt : *prompts) {
      ASSERT_EQ(prompt.labels.size(), 4U);
      EXPECT_EQ(prompt.pair.clean.size(), prompt.pair.corrupt.size());
      EXPECT_NE(prompt.correct, prompt.correct_corrupted);
      EXPECT_EQ(prompt.pair.right, std::vector<int32_t>{prompt.labels[prompt.correct]});
      for (size_t i = 0; i < 4; ++i) {
        const auto at = static_cast<size_t>(prompt.label_positions[i]);
        EXPECT_EQ(prompt.pair.clean.tokens[at].id, prompt.labels[i]);
        EXPECT_EQ(prompt.pair.corrupt.tokens[at].id, prompt.labels[i]);
        EXPECT_GT(prompt.content_positions[i], prompt.label_positions[i]);
      }
    }
  }
}

choices::LabelMasses masses(std::vector<double> labels, size_t correct, double content = 0.0) {
  return {std::move(labels), correct, content};
}

TEST(OutputNodes, categories_follow_where_the_last_row_looks) {
  using choices::category_of;
  EXPECT_EQ(category_of({masses({0.6, 0.1, 0.1, 0.1}, 0), masses({0.1, 0.1, 0.5, 0.1}, 2)}),
            "correct-letter");
  EXPECT_EQ(category_of({masses({0.6, 0.1, 0.1, 0.1}, 0), masses({0.7, 0.1, 0.1, 0.1}, 1),
                         masses({0.6, 0.1, 0.1, 0.1}, 2)}),
            "single-letter");
  EXPECT_EQ(category_of({masses({0.2, 0.2, 0.2, 0.2}, 0), masses({0.15, 0.15, 0.2, 0.2}, 1)}), "uniform");
  EXPECT_EQ(category_of({masses({0.1, 0.0, 0.0, 0.0}, 0, 0.7), masses({0.0, 0.1, 0.0, 0.0}, 2, 0.6)}),
            "content");
  EXPECT_EQ(category_of({masses({0.1, 0.0, 0.0, 0.0}, 1, 0.2)}), "other");
}

TEST(OutputNodes, a_subspace_keeps_what_varies_and_gives_everything_back_at_full_rank) {
  // Points on a plane through (1, 1, 1): no variance along the third direction.
  HostTensor samples({4, 3}, false);
  const std::vector<float> points{3, 1, 1, -1, 1, 1, 1, 2, 1, 1, 0, 1};
  std::copy(points.begin(), points.end(), samples.mutable_values().begin());
  const Subspace subspace = Subspace::of(samples);
  EXPECT_NEAR(subspace.explained(1), 8.0 / 10.0, 1e-12);
  EXPECT_NEAR(subspace.explained(2), 1.0, 1e-12);
  const std::vector<float> x{2.0F, 3.0F, 5.0F};
  const auto first = subspace.projected(x, 1), second = subspace.projected(x, 2),
             all = subspace.projected(x, 3);
  const std::vector<std::vector<float>> expected{{2, 1, 1}, {2, 3, 1}, {2, 3, 5}};
  for (size_t i = 0; i < 3; ++i) {
    EXPECT_NEAR(first[i], expected[0][i], 1e-6);
    EXPECT_NEAR(second[i], expected[1][i], 1e-6);
    EXPECT_NEAR(all[i], expected[2][i], 1e-6);
  }
}

TEST(OutputNodes, total_effects_are_those_of_plain_runs_with_the_twins_value) {
  const auto result =
      demo().method("output-nodes",
                    {{"count", 2}, {"mutations", false}, {"most", 2}, {"subspace-heads", 1}, {"ranks", 64}});
  ASSERT_TRUE(result.ok()) << result.error().to_string();
  const auto prompts = choice_prompts("letters", *demo().model, 2, 1);
  ASSERT_TRUE(prompts.ok());
  double effect = 0.0, loss = 0.0;
  for (const ChoicePrompt& prompt : *prompts) {
    RunRequest request = demo().runner->request(prompt.pair.corrupt);
    request.capture.sites = {{HookSite::z, 1}};
    const auto corrupt = demo().run(request);
    const auto said = [&](const saccade::Run& run) {
      return choices::said_by(keep_answer(run.capture->last_logits, prompt.labels, nullptr), prompt);
    };
    RunRequest patched = demo().runner->request(prompt.pair.clean);
    const auto clean = demo().run(patched);
    patched.edits = {parse_edit("replace 1.3 from=other").value()};
    patched.references["other"] = corrupt->capture;
    effect += (said(*demo().run(patched)).centred - said(*clean).centred) / 2;
    loss += said(*clean).loss / 2;
  }
  EXPECT_NEAR(result->field("total_effect")->values.at({1, 3}), effect, 1e-4);
  // Kept whole, q, k and v leave the loss as it was.
  const Table* subspaces = table_of(*result, "subspaces");
  ASSERT_TRUE(subspaces);
  ASSERT_EQ(subspaces->rows.size(), 3U * 24U);
  for (const auto& row : subspaces->rows)
    if (std::get<int64_t>(row[2]) == 24) {
      EXPECT_NEAR(std::get<double>(row[4]), loss, 1e-4);
    }
}

TEST(OutputNodes, direct_effects_of_all_nodes_and_formats_are_reported_with_a_category) {
  const auto result = demo().method("output-nodes", {{"count", 2}, {"most", 3}, {"subspace-heads", 0}});
  ASSERT_TRUE(result.ok()) << result.error().to_string();
  EXPECT_EQ(table_of(*result, "effects")->rows.size(), 15U);
  const Table *nodes = table_of(*result, "nodes"), *formats = table_of(*result, "formats");
  ASSERT_FALSE(nodes->rows.empty());
  for (size_t r = 1; r < nodes->rows.size(); ++r)
    EXPECT_LE(std::abs(std::get<double>(nodes->rows[r][1])),
              std::abs(std::get<double>(nodes->rows[r - 1][1])));
  const auto heads = std::count_if(nodes->rows.begin(), nodes->rows.end(),
                                   [](const auto& row) { return std::get<std::string>(row[2]) != "mlp"; });
  EXPECT_EQ(formats->rows.size(), static_cast<size_t>(heads) * (choice_formats().size() - 1));
  EXPECT_THAT(result->findings[0], HasSubstr("the right letter is the best of four in"));
}

TEST(OutputNodes, an_unknown_format_is_refused_with_those_there_are) {
  const auto refused = demo().method("output-nodes", {{"format", "roman"}});
  ASSERT_FALSE(refused.ok());
  EXPECT_THAT(refused.error().to_string(), HasSubstr("letters, random-letters"));
}

}  // namespace
}  // namespace saccade
