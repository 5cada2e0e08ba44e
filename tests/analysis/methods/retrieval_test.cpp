// Retrieval heads on demo:recall, against plain runs; what cannot be measured is refused.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <filesystem>
#include <fstream>

#include "analysis/answer_journal.h"
#include "analysis/methods/head_fields.h"
#include "analysis/methods/needle_plan.h"
#include "core/capture/attention_map.h"
#include "tests/analysis/lab.h"

namespace saccade {
namespace {

using nlohmann::json;
using testing::HasSubstr;
namespace fs = std::filesystem;

const Lab& recall() {
  static const Lab lab = Lab::open("demo:recall");
  return lab;
}

fs::path written(const std::string& name, const std::string& text) {
  const fs::path path = fs::temp_directory_path() / name;
  std::ofstream(path) << text;
  return path;
}

const Table& table(const AnalysisResult& result, const std::string& name) {
  return *std::find_if(result.tables.begin(), result.tables.end(),
                       [&](const Table& t) { return t.name == name; });
}

std::string finding(const AnalysisResult& result, const std::string& part) {
  for (const std::string& text : result.findings)
    if (text.find(part) != std::string::npos) return text;
  return "";
}

const json small{{"lengths", 2}, {"depths", 2}, {"shortest", 64}, {"longest", 128}, {"tokens", 6}};

TEST(Needles, a_prompt_has_the_needle_at_its_depth_and_the_span_is_the_answer) {
  const Model& model = *recall().model;
  const auto set = read_needles("auto", model);
  ASSERT_TRUE(set.ok()) << set.error().to_string();
  EXPECT_EQ(set->name, "recall");
  const auto haystack = Haystack::read(set->haystack, model);
  ASSERT_TRUE(haystack.ok()) << haystack.error().to_string();
  int64_t before = -1;
  for (const double depth : {0.0, 0.3, 0.7, 1.0}) {
    const auto prompt = haystack->prompt(*set, set->needles[0], 200, depth);
    ASSERT_TRUE(prompt.ok()) << prompt.error().to_string();
    EXPECT_LE(prompt->tokens.size(), 200);
    EXPECT_GE(prompt->tokens.size(), 198);
    EXPECT_EQ(*model.tokenizer().decode(prompt->needle_ids), " amber pearl copper");
    EXPECT_EQ(prompt->span.end - prompt->span.begin, 3);
    EXPECT_GT(prompt->span.begin, before);
    before = prompt->span.begin;
    const std::string& text = prompt->tokens.text;
    EXPECT_THAT(text, testing::EndsWith("What is the code of Mary? Answer:"));
    const size_t at = text.find("The code of Mary is");
    EXPECT_TRUE(at == 0 || depth == 1.0 || text.substr(at - 2, 2) == ". ") << "between two sentences";
  }
}

TEST(Needles, what_cannot_be_hidden_is_refused_with_what_would_do) {
  const auto refusal = [](const json& parameters) {
    const auto result = recall().method("retrieval", parameters);
    return result.ok() ? std::string() : result.error().to_string();
  };
  EXPECT_THAT(refusal({{"shortest", 16}, {"longest", 16}}), HasSubstr("cannot hold the needle"));
  EXPECT_THAT(refusal({{"longest", 5000}}), HasSubstr("at most longest=496 fits"));
  EXPECT_THAT(refusal({{"shortest", 400}, {"longest", 300}}),
              HasSubstr("shortest=400 is more than longest=300"));
  EXPECT_THAT(
      refusal({{"haystack", written("saccade_short.txt", "The cat sat.").string()}, {"longest", 300}}),
      HasSubstr("give a longer text or shorter lengths"));
  EXPECT_THAT(refusal({{"needles", "/nowhere/needles.json"}}), HasSubstr("/nowhere/needles.json"));
  EXPECT_THAT(
      refusal({{"needles", written("saccade_needles.json", R"({"template": "{context}"})").string()}}),
      HasSubstr("'haystack'"));
  EXPECT_THAT(refusal({{"read", written("saccade_scores.json", R"({"31-31":[1]})").string()}}),
              HasSubstr("32 layers of 32 heads"));
}

TEST(Needles, an_answer_that_is_not_in_its_needle_is_left_out_and_said) {
  const fs::path haystack = resources_folder() / "texts" / "recall.txt";
  const auto file =
      written("saccade_unfound.json", json{{"template", "{context} {question}"},
                                           {"haystack", haystack.string()},
                                           {"stop", "."},
                                           {"needles",
                                            {{{"needle", "The code of Mary is amber pearl copper."},
                                              {"question", "What is the code of Mary? Answer:"},
                                              {"answer", "seven wild horses"}}}}}
                                          .dump());
  const auto result = recall().method(
      "retrieval", {{"needles", file.string()}, {"lengths", 1}, {"depths", 2}, {"longest", 150}});
  ASSERT_TRUE(result.ok()) << result.error().to_string();
  EXPECT_THAT(finding(*result, "samples count"), HasSubstr("0 of 2"));
  EXPECT_THAT(finding(*result, "samples count"),
              HasSubstr("2 because the answer's words are not in the needle"));
  EXPECT_THAT(finding(*result, "samples count"), HasSubstr("no head can be scored"));
}

// The first of an answer's three words always: what this model's heads reach. By chance a head hits less.
constexpr double every_first_word = 0.3;

std::vector<std::string> retrieval_heads(const AnalysisResult& result) {
  std::vector<std::string> heads;
  const auto scores = result.field("retrieval")->values.values();
  for (size_t at = 0; at < scores.size(); ++at)
    if (scores[at] >= every_first_word) heads.push_back(to_string(head_at(static_cast<int64_t>(at), 8)));
  return heads;
}

// Other needles than the bundled ones, in the second half of the bundled text.
fs::path other_context() {
  std::ifstream file(resources_folder() / "texts" / "recall.txt");
  const std::string text{std::istreambuf_iterator<char>(file), {}};
  const auto haystack =
      written("saccade_other_haystack.txt", text.substr(text.find(". ", text.size() / 2) + 2));
  json needles;
  for (const auto& [person, code] : std::vector<std::pair<std::string, std::string>>{
           {"Simon", "ruby linen cocoa"}, {"Anna", "copper silk ginger"}, {"Rose", "honey opal velvet"}})
    needles.push_back({{"needle", "The code of " + person + " is " + code + "."},
                       {"question", "What is the code of " + person + "? Answer:"},
                       {"answer", code}});
  return written("saccade_other_needles.json", json{{"template", "{context} {question}"},
                                                    {"stop", "."},
                                                    {"haystack", haystack.string()},
                                                    {"needles", needles}}
                                                   .dump());
}

TEST(Retrieval, few_heads_retrieve_and_other_needles_in_another_text_name_the_same) {
  const json shape{{"lengths", 2}, {"depths", 2}, {"longest", 240}, {"tokens", 6}, {"mask", 0}};
  json other_shape = shape;
  other_shape["needles"] = other_context().string();
  const auto result = recall().method("retrieval", shape);
  const auto other = recall().method("retrieval", other_shape);
  ASSERT_TRUE(result.ok()) << result.error().to_string();
  ASSERT_TRUE(other.ok()) << other.error().to_string();
  const std::vector<std::string> heads = retrieval_heads(*result);
  EXPECT_THAT(heads, testing::SizeIs(testing::AllOf(testing::Ge(1U), testing::Le(4U)))) << "of 24";
  EXPECT_EQ(retrieval_heads(*other), heads);
  double r = 0.0;
  ASSERT_EQ(std::sscanf(finding(*result, "correlate").c_str(), "%*[^=]= %lf", &r), 1);
  EXPECT_GT(r, 0.9);
}

// As many heads are masked as retrieve, and as many others: beside them the model recalls.
TEST(Retrieval, the_answer_is_lost_without_the_heads_that_retrieve_and_not_without_others) {
  json parameters{{"lengths", 2}, {"depths", 3}, {"longest", 320},
                  {"tokens", 6},  {"mask", 2},   {"controls", 4}};
  const auto result = recall().method("retrieval", parameters);
  ASSERT_TRUE(result.ok()) << result.error().to_string();
  ASSERT_EQ(retrieval_heads(*result).size(), 2U) << "as many as are masked";
  const Table& masked = table(*result, "masked");
  const auto recall_of = [&](size_t row) { return std::get<double>(masked.rows[row][2]); };
  ASSERT_EQ(masked.rows.size(), 6U);
  EXPECT_GT(recall_of(0), 0.9) << "intact";
  EXPECT_LT(recall_of(1), 1.0 / 3.0) << "not one word of three without "
                                     << std::get<std::string>(masked.rows[1][1]);
  EXPECT_GT((recall_of(2) + recall_of(3) + recall_of(4) + recall_of(5)) / 4, 0.7) << "without others";
  for (const char* grid : {"recall", "recall_masked", "recall_random"})
    EXPECT_EQ(result->field(grid)->values.shape(), (std::vector<int64_t>{2, 3})) << grid;
}

TEST(Retrieval, scores_are_those_of_the_maps_of_plain_runs) {
  const Lab& lab = recall();
  MethodInput input;
  input.model = lab.model;
  input.base = lab.runner->request({});
  auto found = find_method("retrieval");
  const auto parameters =
      complete_parameters((*found)->info(), {{"lengths", 1}, {"depths", 1}, {"longest", 160}});
  input.parameters = *parameters;
  const auto plan = needles::read_plan(input);
  ASSERT_TRUE(plan.ok()) << plan.error().to_string();
  const needles::Case& one = plan->cases[0];
  const auto wanted = needles::generation(*plan, one, input, {}, true);
  const auto generated = lab.runner->generate(wanted.request, wanted.options, {}, {});
  ASSERT_TRUE(generated.ok());
  std::vector<int32_t> produced, ids = one.prompt.tokens.ids();
  for (const Token& token : generated->tokens) produced.push_back(token.id);
  const CopyScores scores = copy_scores({ids, one.prompt.span, produced, generated->steps}, 24);
  std::vector<int32_t> whole = ids;
  whole.insert(whole.end(), produced.begin(), produced.end() - 1);
  const auto run = lab.run(lab.runner->request(*lab.model->tokenizer().sequence(whole)));
  for (int32_t at = 0; at < 24; ++at) {
    const auto map = AttentionMap::of(run->capture, head_at(at, 8), lab.runner->kernels());
    double hits = 0.0;
    for (size_t step = 0; step < produced.size(); ++step) {
      const auto row = static_cast<int64_t>(ids.size() + step) - 1;
      std::vector<float> weights(static_cast<size_t>(row + 1));
      ASSERT_TRUE(map->rows(row, row + 1, row + 1, weights).ok());
      const auto key = std::max_element(weights.begin(), weights.end()) - weights.begin();
      if (key >= one.prompt.span.begin && key < one.prompt.span.end &&
          ids[static_cast<size_t>(key)] == produced[step])
        hits += 1.0;
    }
    EXPECT_DOUBLE_EQ(scores.count[static_cast<size_t>(at)], hits / 3) << to_string(head_at(at, 8));
  }
}

TEST(Retrieval, every_way_of_masking_takes_out_the_heads_it_names) {
  for (const char* mode : {"uniform-decode", "uniform-all", "zero-output"}) {
    json parameters = small;
    parameters["mode"] = mode;
    parameters["controls"] = 0;
    parameters["mask"] = 2;
    const auto result = recall().method("retrieval", parameters);
    ASSERT_TRUE(result.ok()) << result.error().to_string();
    const Table& masked = table(*result, "masked");
    EXPECT_LT(std::get<double>(masked.rows[1][2]), std::get<double>(masked.rows[0][2])) << mode;
    EXPECT_EQ(std::get<std::string>(masked.rows[1][1]).size(), std::string("1.0 1.1").size()) << "two heads";
  }
}

TEST(Retrieval, scores_written_to_a_file_rank_the_same_heads_when_read) {
  const fs::path file = fs::temp_directory_path() / "saccade_recall_scores.json";
  fs::remove(file);
  json parameters = small;
  parameters["write"] = file.string();
  parameters["mask"] = 2;
  parameters["controls"] = 0;
  const auto first = recall().method("retrieval", parameters);
  ASSERT_TRUE(first.ok()) << first.error().to_string();
  parameters.erase("write");
  parameters["read"] = file.string();
  const auto second = recall().method("retrieval", parameters);
  ASSERT_TRUE(second.ok()) << second.error().to_string();
  for (int64_t at = 0; at < 24; ++at)
    EXPECT_FLOAT_EQ(first->field("retrieval")->values.data()[at],
                    second->field("retrieval")->values.data()[at]);
  EXPECT_EQ(table(*first, "masked").rows[1], table(*second, "masked").rows[1]);
  fs::remove(file);
}

TEST(Retrieval, decoding_that_was_stopped_goes_on_from_its_file_and_gives_the_same) {
  const fs::path file = fs::temp_directory_path() / "saccade_retrieval_journal.jsonl";
  fs::remove(file);
  const auto whole = recall().method("retrieval", small);
  ASSERT_TRUE(whole.ok()) << whole.error().to_string();
  JobContext job;
  job.on_progress = [&](double fraction, std::string_view) {
    if (fraction > 0.5) job.cancel.cancel();
  };
  const auto part = recall().method("retrieval", small, file, job);
  ASSERT_TRUE(part.ok()) << part.error().to_string();
  EXPECT_TRUE(part->partial);
  EXPECT_THAT(finding(*part, "samples count"), HasSubstr("were not decoded"));
  const size_t kept = AnswerJournal::open(file)->size();
  EXPECT_GT(kept, 4U);
  EXPECT_LT(kept, 16U);
  const auto resumed = recall().method("retrieval", small, file);
  ASSERT_TRUE(resumed.ok()) << resumed.error().to_string();
  EXPECT_FALSE(resumed->partial);
  EXPECT_EQ(resumed->findings, whole->findings);
  EXPECT_EQ(table(*resumed, "steps").rows, table(*whole, "steps").rows);
  fs::remove(file);
}

TEST(SemanticRetrieval, the_heads_that_copy_have_the_most_weight_on_the_answer) {
  const auto copied = recall().method("retrieval", small);
  const auto result = recall().method("semantic-retrieval", small);
  ASSERT_TRUE(result.ok()) << result.error().to_string();
  const auto best_of = [](const Field& field) {
    const auto values = field.values.values();
    return std::max_element(values.begin(), values.end()) - values.begin();
  };
  const auto best = best_of(*result->field("semantic"));
  EXPECT_GE(copied->field("retrieval")->values.data()[best], 0.3F);
  EXPECT_LE(result->field("semantic")->values.data()[best], 3.0F) << "three steps of weight at most 1";
  EXPECT_THAT(finding(*result, "no more than the window"), HasSubstr("all of them are kept"));
}

TEST(SemanticRetrieval, what_the_best_heads_would_keep_is_told_of_the_prompt_at_hand) {
  const Lab& lab = recall();
  const auto run = lab.run(
      "The code of Mary is amber pearl copper. The old cat slept behind the tree. Peter walked to the "
      "market. "
      "What is the code of Mary? Answer:");
  json parameters = small;
  parameters["budget"] = 20;
  const auto result =
      run_method(**find_method("semantic-retrieval"), parameters, run, {lab.model, lab.runner.get(), {}}, {});
  ASSERT_TRUE(result.ok()) << result.error().to_string();
  const Field& importance = *result->field("importance");
  EXPECT_EQ(importance.values.shape(), (std::vector<int64_t>{3, run->capture->n_token()}));
  EXPECT_TRUE(std::isnan(importance.values.at({0, run->capture->n_token() - 1})))
      << "the window is always kept";
  EXPECT_THAT(finding(*result, "KL ="), HasSubstr("20 of"));
}

TEST(AttentionInfluence, it_is_the_growth_of_the_loss_of_plain_runs) {
  const Lab& lab = recall();
  const auto run = lab.run(
      "The code of Mary is amber pearl copper. Peter walked to the market. What is the code of Mary? Answer: "
      "amber pearl copper.");
  const auto scores = written("saccade_influence.json", R"({"2-7":[0.1],"1-1":[0.9],"0-0":[0.0]})");
  const auto result = run_method(**find_method("attention-influence"),
                                 {{"read", scores.string()}, {"share", 0.04}, {"controls", 2}}, run,
                                 {lab.model, lab.runner.get(), {}}, {});
  ASSERT_TRUE(result.ok()) << result.error().to_string();
  RunRequest without = run->request;
  without.edits = {*parse_edit("uniform 1.1 by=1")};
  const auto masked = lab.run(without);
  const double expected =
      (masked->capture->mean_loss() - run->capture->mean_loss()) / run->capture->mean_loss();
  const Table& documents = table(*result, "documents");
  ASSERT_EQ(documents.rows.size(), 1U);
  EXPECT_NEAR(std::get<double>(documents.rows[0][4]), expected, 1e-5);
  EXPECT_FALSE(std::isnan(std::get<double>(documents.rows[0][5]))) << "the control";
  const Field& change = *result->field("change");
  ASSERT_EQ(change.values.size(), run->capture->n_token() - 1);
  EXPECT_NEAR(change.values.data()[10], masked->capture->loss[10] - run->capture->loss[10], 1e-5);
}

TEST(AttentionInfluence, the_text_that_asks_needs_the_heads_that_retrieve) {
  const Lab& lab = recall();
  const auto run = lab.run(
      "The code of Mary is amber pearl copper. Peter walked to the market. What is the code of Mary? Answer: "
      "amber pearl copper.");
  json parameters = small;
  parameters["share"] = 0.08;  // two of 24
  const auto result = run_method(**find_method("attention-influence"), parameters, run,
                                 {lab.model, lab.runner.get(), {}}, {});
  ASSERT_TRUE(result.ok()) << result.error().to_string();
  const Table& documents = table(*result, "documents");
  EXPECT_GT(std::get<double>(documents.rows[0][4]), std::get<double>(documents.rows[0][5]));
}

}  // namespace
}  // namespace saccade
