// Scores by hand, bootstrap, and the whole method on a random model with words.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <limits>

#include "analysis/methods/hallucination_plan.h"
#include "analysis/methods/hallucination_score.h"
#include "tests/analysis/methods/seeing_lab.h"

namespace saccade {
namespace {

using namespace hallucination;  // NOLINT(google-build-using-namespace): what is tested
using testing::HasSubstr;

TEST(YesOrNo, is_the_first_of_the_two_words) {
  EXPECT_EQ(says_yes("Yes, there is."), true);
  EXPECT_EQ(says_yes("There is not a dog, yes?"), false);
  EXPECT_EQ(says_yes("No."), false);
  EXPECT_EQ(says_yes("nothing yesterday"), std::nullopt);
  EXPECT_EQ(says_yes(""), std::nullopt);
}

const Measure& measure(const std::string& name) {
  for (const Measure& one : measures())
    if (name == one.name) return one;
  ADD_FAILURE() << name;
  return measures().front();
}

TEST(Chair, counts_captions_and_mentions) {
  const std::map<std::string, std::vector<std::string>> vocabulary{
      {"dog", {"dog"}}, {"cat", {"cat"}}, {"cup", {"cup"}}};
  ObjectPicture picture;
  picture.objects = {"dog"};
  Counts sums(n_count, 0.0);
  for (const char* caption : {"a dog and a cat and a cat", "a dog", "nothing", "a cup"})
    hallucination::add(sums, count_caption(caption, picture, vocabulary));
  EXPECT_EQ(measure("chair_s").value(sums), 0.5);  // two of four captions
  EXPECT_EQ(measure("chair_i").value(sums), 0.6);  // 2 cats and a cup of 5 mentions
  EXPECT_EQ(measure("mentions").value(sums), 1.25);
  EXPECT_TRUE(std::isnan(measure("chair_i").value(Counts(n_count, 0.0))));
}

TEST(Pope, counts_answers) {
  Counts sums(n_count, 0.0);
  const ObjectQuestion yes{"", true, "random"}, no{"", false, "random"};
  // tp, fp, tn, fn, unclear where yes is right
  for (const auto& [answer, question] :
       {std::pair("yes", yes), {"Yes it is", no}, {"no", no}, {"no", yes}, {"well", yes}})
    hallucination::add(sums, count_answer(answer, question));
  EXPECT_EQ(measure("accuracy").value(sums), 0.4);
  EXPECT_EQ(measure("precision").value(sums), 0.5);
  EXPECT_NEAR(measure("recall").value(sums), 1.0 / 3.0, 1e-12);
  EXPECT_NEAR(measure("f1").value(sums), 0.4, 1e-12);
  EXPECT_EQ(measure("yes_ratio").value(sums), 0.4);
  EXPECT_EQ(measure("unclear").value(sums), 0.2);
}

double share(std::span<const double> sums) {
  return sums[1] > 0.0 ? sums[0] / sums[1] : std::numeric_limits<double>::quiet_NaN();
}

TEST(Bootstrap, surrounds_the_value_and_is_the_same_every_time) {
  std::vector<std::vector<double>> counts;
  for (int i = 0; i < 100; ++i) counts.push_back({i % 4 == 0 ? 1.0 : 0.0, 1.0});
  const auto a = bootstrap(counts, share, 2000, 7), b = bootstrap(counts, share, 2000, 7);
  EXPECT_EQ(a.value, 0.25);
  EXPECT_EQ(a.low, b.low);
  EXPECT_EQ(a.high, b.high);
  // binomial: 0.25 +- 1.96 sqrt(0.25 0.75 / 100) = 0.165 to 0.335; percentiles of 2,000 draws within 0.02
  EXPECT_NEAR(a.low, 0.165, 0.02);
  EXPECT_NEAR(a.high, 0.335, 0.02);
}

TEST(Bootstrap, of_differences_draws_pairs_together) {
  std::vector<std::vector<double>> a, b;
  for (int i = 0; i < 40; ++i) {
    a.push_back({i % 2 ? 1.0 : 0.0, 1.0});
    b.push_back({i % 2 ? 2.0 : 1.0, 1.0});  // one more at each
  }
  const auto apart = paired_bootstrap(a, b, share, 500, 3);
  for (const double bound : {apart.value, apart.low, apart.high}) EXPECT_NEAR(bound, 1.0, 1e-12);
  EXPECT_TRUE(std::isnan(paired_bootstrap({}, {}, share, 10, 1).value));
  EXPECT_TRUE(std::isnan(bootstrap({{0.0, 0.0}}, share, 10, 1).low));
}

class HallucinationMethod : public testing::Test {
 protected:
  static void SetUpTestSuite() {
    words_ = new seeing::WithWords;
    lab_ = new Lab(Lab::open((words_->folder / "model").string(), 1));
    nlohmann::json document{
        {"objects", {{"red circle", {"red circle"}}, {"square", {"square"}}, {"w", nlohmann::json::array()}}},
        {"caption_prompt", "<s> <image> describe the picture ."},
        {"question_prompt", "<s> <image> {question}"},
        {"pictures", nlohmann::json::array()}};
    for (int id = 20; id < 96; ++id)
      if (id != 92) document["objects"]["w"].push_back("w" + std::to_string(id));
    for (const std::string file : {"colours.png", "palette.png", "grey.png"}) {
      std::filesystem::copy_file(seeing::data("pictures/" + file), words_->folder / file);
      document["pictures"].push_back(
          {{"file", file},
           {"objects", {"square"}},
           {"questions",
            {{{"text", "is there a square ?"}, {"answer", "yes"}, {"kind", "random"}},
             {{"text", "is there a red circle ?"}, {"answer", "no"}, {"kind", "adversarial"}}}}});
    }
    std::ofstream(words_->folder / "objects.json") << document;
  }
  static void TearDownTestSuite() {
    delete lab_;
    delete words_;
  }
  static nlohmann::json parameters() {
    return {{"folder", words_->folder.string()},
            {"caption_tokens", 6},
            {"question_tokens", 3},
            {"draws", 50},
            {"tau", 1.5},
            {"layers", "0-1"},
            {"outliers", 3}};
  }
  static Result<AnalysisResult> run(const nlohmann::json& parameters,
                                    const std::vector<std::string>& edits = {},
                                    const std::filesystem::path& journal = {}, const JobContext& job = {}) {
    RunRequest request =
        lab_->runner->request(lab_->model->tokenizer().encode("is there a square", {}).value());
    const auto looked_at = lab_->run(request);
    auto about = std::make_shared<saccade::Run>(*looked_at);
    for (const std::string& edit : edits) about->request.edits.push_back(parse_edit(edit).value());
    return run_method(*find_method("hallucination").value(), parameters, about,
                      {lab_->model, lab_->runner.get(), journal}, job);
  }
  static inline seeing::WithWords* words_ = nullptr;
  static inline Lab* lab_ = nullptr;
};

TEST_F(HallucinationMethod, asks_every_picture_in_every_way) {
  nlohmann::json all = parameters();
  for (const char* way : {"var", "vhr", "damro"}) all[way] = true;
  const auto result = run(all, {"knockout *.* query=txt,gen key=img"});
  ASSERT_TRUE(result.ok()) << result.error().to_string();
  EXPECT_FALSE(result->partial);
  const Table* captions = table_of(*result, "captions");
  ASSERT_EQ(captions->rows.size(), 3U * 5U);
  EXPECT_EQ(table_of(*result, "answers")->rows.size(), 3U * 5U * 2U);
  // the caption of the first picture as it is, and under the edit, made by hand
  const auto picture = read_picture(words_->folder / "colours.png");
  const auto image = prepare_image(*lab_->model, *picture);
  RunRequest request = lab_->runner->request(
      place_images(*lab_->model,
                   lab_->model->tokenizer().encode("<s> <image> describe the picture .", {}).value(),
                   {*image})
          .value());
  SamplingOptions sampling;
  sampling.max_tokens = 6;
  const auto decoded = [&](const Generation& answer) {
    std::vector<int32_t> ids;
    for (const Token& token : answer.tokens) ids.push_back(token.id);
    return lab_->model->tokenizer().decode(ids).value();
  };
  EXPECT_EQ(std::get<std::string>(captions->rows[0][2]),
            decoded(*lab_->runner->generate(request, sampling, {}, {})));
  RunRequest edited = request;
  edited.edits = {parse_edit("knockout *.* query=txt,gen key=img").value()};
  EXPECT_EQ(std::get<std::string>(captions->rows[1][2]),
            decoded(*lab_->runner->generate(edited, sampling, {}, {})));
  RunRequest var_request = request;
  const auto plain = lab_->run(request);
  var::Settings settings;
  settings.tau = 1.5;
  settings.layers = "0-1";
  var_request.edits = var::edits_of(*plain->capture, settings).value();
  EXPECT_EQ(std::get<std::string>(captions->rows[2][2]),
            decoded(*lab_->runner->generate(var_request, sampling, {}, {})));
  RunRequest vhr = request;
  vhr.edits = vhd::select_heads(*lab_->runner, request, {}, {}).value();
  EXPECT_EQ(std::get<std::string>(captions->rows[3][2]),
            decoded(*lab_->runner->generate(vhr, sampling, {}, {})));
  SamplingOptions contrasted = sampling;
  contrasted.contrast =
      damro::contrast(request, damro::outliers_in(*lab_->runner, request, {.k = 3}, {}).value(), {.k = 3})
          .value();
  EXPECT_EQ(std::get<std::string>(captions->rows[4][2]),
            decoded(*lab_->runner->generate(request, contrasted, {}, {})));
  // the table's CHAIR_S is that of the captions
  const auto set = read_object_set(words_->folder).value();
  Counts sums(n_count, 0.0);
  for (size_t p = 0; p < 3; ++p)
    hallucination::add(sums, count_caption(std::get<std::string>(captions->rows[5 * p][2]), set.pictures[p],
                                           set.vocabulary));
  const Table* table = table_of(*result, "measures");
  EXPECT_EQ(std::get<std::string>(table->rows[0][0]), "chair_s");
  EXPECT_EQ(std::get<double>(table->rows[0][3]), measure("chair_s").value(sums));
  EXPECT_GT(sums[mentions], 0.0) << "the captions name something";
}

TEST_F(HallucinationMethod, goes_on_from_its_journal_and_gives_the_same) {
  const auto journal = words_->folder / "kept.jsonl";
  JobContext job;
  int seen = 0;
  job.on_progress = [&seen, cancel = job.cancel](double, std::string_view what) {
    if (what.find("palette.png") != std::string_view::npos && ++seen == 2) cancel.cancel();
  };
  const auto stopped = run(parameters(), {}, journal, job);
  ASSERT_TRUE(stopped.ok()) << stopped.error().to_string();
  EXPECT_TRUE(stopped->partial);
  EXPECT_EQ(table_of(*stopped, "captions")->rows.size(), 1U) << "the first picture was finished";
  int answers = 0;
  JobContext second;
  second.on_progress = [&](double, std::string_view what) {
    answers += what.find("colours.png") != std::string_view::npos;
  };
  const auto whole = run(parameters(), {}, journal, second);
  ASSERT_TRUE(whole.ok()) << whole.error().to_string();
  EXPECT_EQ(answers, 0) << "what was kept is not asked again";
  const auto plain = run(parameters());
  ASSERT_TRUE(plain.ok());
  EXPECT_EQ(to_json(*plain), to_json(*whole));
}

TEST_F(HallucinationMethod, refuses_what_it_cannot_do) {
  const auto refused = [&](nlohmann::json changes) {
    nlohmann::json all = parameters();
    all.merge_patch(changes);
    const auto result = run(all);
    EXPECT_FALSE(result.ok());
    return result.ok() ? "" : result.error().to_string();
  };
  EXPECT_THAT(refused({{"folder", ""}}), HasSubstr("needs folder=PATH"));
  EXPECT_THAT(refused({{"folder", "/nowhere"}}), HasSubstr("objects.json"));
  EXPECT_THAT(refused({{"caption_prompt", "describe"}}), HasSubstr("needs one place for the picture"));
  EXPECT_THAT(refused({{"question_prompt", "<image> well"}}), HasSubstr("{question}"));
  EXPECT_THAT(seeing::refusal_on_text("hallucination", {{"folder", "/nowhere"}}),
              HasSubstr("reads text only"));
  EXPECT_THAT(
      seeing::llava().method("hallucination", {{"folder", words_->folder.string()}}).error().to_string(),
      HasSubstr("hallucination asks in words"));
}

}  // namespace
}  // namespace saccade
