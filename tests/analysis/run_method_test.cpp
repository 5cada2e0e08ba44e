#include "analysis/run_method.h"

#include <gtest/gtest.h>

#include "tests/analysis/lab.h"

using namespace saccade;

TEST(RunMethod, GivesWhatThereIsSoFarBetweenThePartsOfASweep) {
  const Lab lab = Lab::open("demo:induction");
  const auto method = find_method("ablation-sweep");
  ASSERT_TRUE(method.ok());
  int pauses = 0, partial = 0;
  Laboratory laboratory{lab.model, lab.runner.get(), {}};
  laboratory.between = [&](const std::function<Result<AnalysisResult>()>& so_far) {
    ++pauses;
    const auto made = so_far();
    partial += made.ok() && made->partial && made->method == "ablation-sweep";
  };
  const nlohmann::json parameters{{"count", 3}, {"controls", 1}};
  const auto whole = run_method(**method, parameters, lab.run("The cat sat."), laboratory, {});
  ASSERT_TRUE(whole.ok()) << whole.error().to_string();
  EXPECT_FALSE(whole->partial);
  EXPECT_GE(pauses, 3) << "after each of the prompts' own runs";
  EXPECT_GT(partial, 0);
  // Looking on the way changes nothing.
  laboratory.between = {};
  const auto plain = run_method(**method, parameters, lab.run("The cat sat."), laboratory, {});
  ASSERT_TRUE(plain.ok());
  EXPECT_EQ(to_json(*plain), to_json(*whole));
}
