#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <filesystem>
#include <fstream>

#include "analysis/methods/act_filter_plan.h"
#include "analysis/methods/head_lists.h"
#include "analysis/methods/registry.h"
#include "tests/analysis/lab.h"

namespace saccade {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

class ActFilterTest : public testing::Test {
 protected:
  void SetUp() override {
    folder_ = std::filesystem::temp_directory_path() / "saccade_act_filter_test";
    std::filesystem::create_directories(folder_);
  }
  [[nodiscard]] std::string file(const std::string& name, const std::string& content) const {
    std::ofstream(folder_ / name) << content;
    return (folder_ / name).string();
  }
  std::filesystem::path folder_;
};

ModelSpec shape(int32_t layers, int32_t heads) {
  ModelSpec spec;
  spec.n_layer = layers;
  spec.n_head = spec.n_kv_head = heads;
  return spec;
}

HeadId head(int32_t layer, int32_t index) { return {LayerIndex{layer}, HeadIndex{index}}; }

TEST_F(ActFilterTest, published_lists_begin_at_layer_2) {
  const auto read = read_head_list(file("list.json", "[[0, 3], [], [7, 1]]"), shape(8, 8), 2);
  ASSERT_TRUE(read.ok()) << read.error().to_string();
  EXPECT_THAT(*read, ElementsAre(head(2, 0), head(2, 3), head(4, 1), head(4, 7)));
}

TEST_F(ActFilterTest, other_forms_of_lists_name_their_layers) {
  const ModelSpec spec = shape(8, 8);
  EXPECT_THAT(*read_head_list(file("a.json", R"({"2": [0, 3], "5": [1]})"), spec, 2),
              ElementsAre(head(2, 0), head(2, 3), head(5, 1)));
  EXPECT_THAT(*read_head_list(file("b.json", R"({"7-1": [0.5, 0.25], "0-4": []})"), spec, 2),
              ElementsAre(head(0, 4), head(7, 1)));
  EXPECT_THAT(*read_head_list(file("c.json", R"(["5.1", "L3H2"])"), spec, 2),
              ElementsAre(head(3, 2), head(5, 1)));
  EXPECT_THAT(*read_head_list(file("d.txt", "5.1, L3H2\n5.1"), spec, 2), ElementsAre(head(3, 2), head(5, 1)));
}

TEST_F(ActFilterTest, a_list_for_another_model_is_refused_with_the_shape) {
  const auto read = read_head_list(file("list.json", "[[0], [0], [31]]"), shape(4, 4), 2);
  ASSERT_FALSE(read.ok());
  EXPECT_THAT(read.error().message, HasSubstr("head 4.31"));
  EXPECT_THAT(read.error().message, HasSubstr("4 layers of 4 heads"));
  EXPECT_FALSE(read_head_list(file("empty.json", "[]"), shape(4, 4), 2).ok());
  EXPECT_FALSE(read_head_list(file("odd.json", R"({"two": [1]})"), shape(4, 4), 2).ok());
}

TEST_F(ActFilterTest, auto_leaves_the_ends_of_a_deep_model_out) {
  const auto deep = act::heads_to_try("auto", shape(32, 4));
  ASSERT_TRUE(deep.ok());
  EXPECT_EQ(deep->front().layer.value, 2);
  EXPECT_EQ(deep->back().layer.value, 30);
  EXPECT_EQ(act::heads_to_try("auto", shape(3, 4))->size(), 12U);
}

TEST_F(ActFilterTest, accuracies_are_means_over_datasets) {
  act::FilterPlan plan;
  plan.set.datasets = {"a", "b"};
  for (const size_t dataset : {0U, 0U, 0U, 1U}) plan.set.texts.push_back({{}, 0, dataset});
  plan.texts = {0, 1, 2, 3};
  const auto values = act::accuracies(plan, {0, 1, 2, 3}, {1.0, 0.0, NAN, 1.0});
  EXPECT_EQ(values.of[0], 0.5);
  EXPECT_EQ(values.of[1], 1.0);
  EXPECT_EQ(values.mean, 0.75);
}

const char* texts =
    "text,label,dataset\n"
    "The old sailor found a silver key. The old sailor found a silver, key,repeat\n"
    "A cat sat on the warm table. A cat sat on the warm, table,repeat\n"
    "He saw a river and a garden. He saw a river and a, garden,other\n"
    "She made a paper house. She made a paper, house,other\n";

// Every number of the sweep once more, one run at a time.
TEST_F(ActFilterTest, the_sweep_agrees_with_edited_runs_one_by_one) {
  const Lab lab = Lab::open("demo:induction");
  ASSERT_TRUE(lab.model);
  const auto path = file("texts.csv", texts);
  const auto set = read_labelled_set(path, *lab.model);
  ASSERT_TRUE(set.ok()) << set.error().to_string();
  ASSERT_EQ(set->datasets, (std::vector<std::string>{"repeat", "other"}));
  const auto result =
      lab.method("act-filter", {{"file", path}, {"threshold", 0.05}, {"controls", 1}, {"heads", "1.*"}});
  ASSERT_TRUE(result.ok()) << result.error().to_string();
  EXPECT_FALSE(result->partial);

  act::Settings settings;
  settings.threshold = 0.05;
  settings.least_rows = 4;
  const auto right = [&](const LabelledText& text, const std::vector<Edit>& edits) {
    RunRequest request = lab.runner->request(text.tokens);
    request.edits = edits;
    request.capture.loss = false;
    const HostTensor logits = lab.run(request)->capture->last_logits;
    int32_t best = -1;
    for (const int32_t id : set->labels[text.dataset])
      if (best < 0 || logits.data()[id] > logits.data()[best]) best = id;
    return best == text.label ? 1.0 : 0.0;
  };
  std::array<double, 2> before{};
  for (const LabelledText& text : set->texts) before[text.dataset] += right(text, {}) / 2.0;
  const HeadId tried = head(1, 1);
  std::array<double, 2> after{};
  int with_sinks = 0;
  for (const LabelledText& text : set->texts) {
    const auto capture = lab.run(lab.runner->request(text.tokens))->capture;
    const auto received = capture->layers[1]->statistics.received.slice(1);
    const auto sinks = act::sinks_of(act::column_means(capture->spec, 1, received), received, settings);
    const std::string edit = act::edit_text(tried, sinks.keys, settings.beta);
    with_sinks += edit.empty() ? 0 : 1;
    after[text.dataset] +=
        right(text, edit.empty() ? std::vector<Edit>{} : std::vector<Edit>{parse_edit(edit).value()}) / 2.0;
  }
  EXPECT_GT(with_sinks, 0) << "otherwise this compares nothing";
  EXPECT_NEAR(result->field("accuracy_change")->values.at({1, 1}),
              (after[0] + after[1] - before[0] - before[1]) / 2.0, 1e-6);
  EXPECT_NEAR(result->field("change_repeat")->values.at({1, 1}), after[0] - before[0], 1e-6);
  EXPECT_NEAR(result->field("texts_with_sinks")->values.at({1, 1}), with_sinks / 4.0, 1e-6);
  const Table& accuracy = result->tables[1];
  EXPECT_THAT(accuracy.columns, ElementsAre("heads", "count", "repeat", "other", "mean"));
  EXPECT_NEAR(std::get<double>(accuracy.rows[0][2]), before[0], 1e-12);
  EXPECT_THAT(result->findings[0], HasSubstr("one head at a time"));
}

TEST_F(ActFilterTest, a_published_list_is_calibrated_together) {
  const Lab lab = Lab::open("demo:induction");
  const auto result = lab.method("act-filter", {{"file", file("texts.csv", texts)},
                                                {"list", file("list.json", "[[0, 1], [1, 2]]")},
                                                {"list_first_layer", 0},
                                                {"heads", "0.0"},
                                                {"threshold", 0.05}});
  ASSERT_TRUE(result.ok()) << result.error().to_string();
  const Table& accuracy = result->tables[1];
  const auto list = std::find_if(accuracy.rows.begin(), accuracy.rows.end(),
                                 [](const auto& row) { return std::get<std::string>(row[0]) == "list"; });
  ASSERT_NE(list, accuracy.rows.end());
  EXPECT_EQ(std::get<int64_t>((*list)[1]), 4);
  EXPECT_FALSE(std::isnan(std::get<double>(list->back())));
  EXPECT_TRUE(std::isnan(result->field("accuracy_change")->values.at({1, 1}))) << "not tried";
}

TEST_F(ActFilterTest, where_nothing_is_a_sink_it_says_so) {
  const Lab lab = Lab::open("demo:induction");
  const auto result =
      lab.method("act-filter", {{"file", file("texts.csv", texts)}, {"threshold", 1.0}, {"heads", "0.*"}});
  ASSERT_TRUE(result.ok()) << result.error().to_string();
  EXPECT_THAT(result->findings[0], HasSubstr("nothing to calibrate"));
}

TEST_F(ActFilterTest, texts_that_cannot_be_judged_are_refused_with_the_reason) {
  const Lab lab = Lab::open("demo:induction");
  const auto refusal = [&](const std::string& name, const std::string& content) {
    const auto result = lab.method("act-filter", {{"file", file(name, content)}});
    EXPECT_FALSE(result.ok());
    return result.ok() ? std::string() : result.error().to_string();
  };
  EXPECT_THAT(refusal("one.csv", "text,label\nThe cat, sat\n"), HasSubstr("one label only"));
  EXPECT_THAT(refusal("none.json", R"([{"text": "The cat"}])"), HasSubstr("'label' is missing"));
  EXPECT_THAT(refusal("odd.json", R"([{"text": "a", "lable": "b"}])"), HasSubstr("'lable'"));
  EXPECT_THAT(refusal("empty.json", "[]"), HasSubstr("at least one"));
  const auto without = lab.method("act-filter", nlohmann::json::object());
  ASSERT_FALSE(without.ok());
  EXPECT_THAT(without.error().message, HasSubstr("set file"));
}

}  // namespace
}  // namespace saccade
