// saliency-metrics and gaze-compare as methods: files in, tables and findings out, without any run.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <cmath>

#include "analysis/method.h"
#include "analysis/scanpath/write_scanpath.h"
#include "core/base/files.h"
#include "tests/analysis/scanpath/gaze_data.h"

namespace saccade {
namespace {

using testing::Contains;
using testing::HasSubstr;

class GazeMethods : public testing::Test {
 protected:
  void SetUp() override {
    folder_ = std::filesystem::path(testing::TempDir()) / ("saccade-gaze-" + std::to_string(::getpid()));
    std::filesystem::create_directories(folder_);
    // Two viewers on two pictures of 40 x 30: on "a" they look left, on "b" right.
    for (const auto& [stimulus, x] : {std::pair("a.jpg", 8.0), std::pair("b.jpg", 32.0)})
      for (const char* subject : {"1", "2"}) {
        Scanpath path =
            gaze::path_of({{x, 10, 200, {}, {}}, {x + 2, 14, 200, {}, {}}, {x, 18, 200, {}, {}}}, {40, 30});
        path.stimulus = stimulus;
        path.subject = subject;
        if (*subject == '2')
          for (Fixation& fixation : path.fixations) fixation.y += 1.0;
        people_.push_back(path);
      }
    ASSERT_TRUE(write_scanpaths_csv(people_, folder_ / "people.csv").ok());
    std::string left;
    for (int y = 0; y < 3; ++y) left += "4,3,1,1\n";
    ASSERT_TRUE(write_text_file(folder_ / "left.csv", left).ok());
  }
  void TearDown() override { std::filesystem::remove_all(folder_); }

  [[nodiscard]] std::string file(const char* name) const { return (folder_ / name).string(); }

  static Result<AnalysisResult> compute(const char* method, nlohmann::json parameters,
                                        const JobContext& job = {}) {
    MethodInput input;
    input.parameters = std::move(parameters);
    return (*find_method(method))->compute(input, job);
  }
  static double number(const AnalysisResult& result, size_t row, const char* column) {
    const Table& table = result.tables.at(0);
    for (size_t i = 0; i < table.columns.size(); ++i)
      if (table.columns[i] == column) return std::get<double>(table.rows.at(row).at(i));
    ADD_FAILURE() << "no column " << column;
    return 0.0;
  }

  std::filesystem::path folder_;
  std::vector<Scanpath> people_;
};

TEST_F(GazeMethods, a_map_that_looks_left_is_good_where_people_look_left_and_bad_where_right) {
  nlohmann::json parameters{
      {"map", file("left.csv")}, {"gaze", file("people.csv")}, {"stimulus", "a.jpg"}, {"sigma", 2.0}};
  const auto left = compute("saliency-metrics", parameters);
  ASSERT_TRUE(left.ok()) << left.error().to_string();
  parameters["stimulus"] = "b";  // names match without their ending
  const auto right = compute("saliency-metrics", parameters);
  ASSERT_TRUE(right.ok()) << right.error().to_string();
  EXPECT_GT(number(*left, 0, "nss"), 0.5);
  EXPECT_LT(number(*right, 0, "nss"), -0.5);
  EXPECT_EQ(number(*left, 0, "shuffled_auc"), 1.0);  // the others' fixations all lie in the low half
  EXPECT_EQ(left->tables[0].rows.size(), 3U);
  EXPECT_GT(number(*left, 2, "nss"), number(*left, 0, "nss"));  // people predict each other better
  EXPECT_THAT(left->findings, Contains(HasSubstr("stretched to the picture's 40 x 30")));
  EXPECT_EQ(left->method, "saliency-metrics");
}

TEST_F(GazeMethods, missing_files_and_unnamed_pictures_are_told_what_to_give) {
  EXPECT_THAT(compute("saliency-metrics", {{"gaze", file("people.csv")}}).error().to_string(),
              HasSubstr("parameter 'map' is empty"));
  EXPECT_THAT(compute("saliency-metrics", {{"map", file("left.csv")}, {"gaze", file("people.csv")}})
                  .error()
                  .to_string(),
              HasSubstr("name one of 'a.jpg', 'b.jpg'"));
  EXPECT_THAT(compute("saliency-metrics", {{"map", file("none.npy")}, {"gaze", file("people.csv")}})
                  .error()
                  .to_string(),
              HasSubstr("none.npy"));
  EXPECT_THAT(compute("saliency-metrics",
                      {{"map", file("people.csv")}, {"gaze", file("people.csv")}, {"stimulus", "a.jpg"}})
                  .error()
                  .to_string(),
              HasSubstr("is no number"));
  EXPECT_THAT(compute("gaze-compare",
                      {{"paths", file("people.csv")}, {"human", file("people.csv")}, {"stimulus", "c"}})
                  .error()
                  .to_string(),
              HasSubstr("there is no picture 'c'; there are 'a.jpg', 'b.jpg'"));
}

TEST_F(GazeMethods, people_compared_with_themselves_stand_above_other_pictures) {
  const auto result = compute("gaze-compare", {{"paths", file("people.csv")}, {"human", file("people.csv")}});
  ASSERT_TRUE(result.ok()) << result.error().to_string();
  const size_t scanmatch = 5;
  EXPECT_EQ(std::get<std::string>(result->tables[0].rows[scanmatch][0]), "ScanMatch");
  EXPECT_GT(number(*result, scanmatch, "paths"), number(*result, scanmatch, "other_pictures"));
  // Each path against itself and the other viewer's; so at least what people have among themselves.
  EXPECT_GE(number(*result, scanmatch, "paths"), number(*result, scanmatch, "people"));
  EXPECT_EQ(result->tables[1].rows.size(), 2U);
  EXPECT_THAT(result->findings, Contains(HasSubstr("ScanMatch")));
  JobContext job;
  job.cancel.cancel();
  EXPECT_EQ(compute("gaze-compare", {{"paths", file("people.csv")}, {"human", file("people.csv")}}, job)
                .error()
                .code,
            ErrorCode::cancelled);
}

}  // namespace
}  // namespace saccade
