// moa-influence: its worked example, and a map's entries against slopes of plain runs.
#include "analysis/methods/moa_influence.h"

#include <gtest/gtest.h>

#include <cmath>

#include "tests/analysis/lab.h"

namespace saccade {
namespace {

TEST(MoaInfluence, the_worked_example) {
  const std::vector<float> a{0.7F, 0.3F}, g{0.2F, -0.4F};
  const std::vector<double> e = removal_effects(a, g);
  EXPECT_NEAR(e[0], -0.42, 1e-6);
  EXPECT_NEAR(e[1], 0.18, 1e-6);
  // Removed outright: the new row is [0, 1].
  EXPECT_NEAR(e[0], g[0] * (0.0 - a[0]) + g[1] * (1.0 - a[1]), 1e-6);
  const std::vector<double> alone = removal_effects(std::vector<float>{1.0F, 0.0F}, g);
  EXPECT_NEAR(alone[0], -0.2, 1e-6) << "nothing to renormalise with";
}

// Scaling an entry by 1 - step and renormalising moves the loss by E (1 - A) step.
TEST(MoaInfluence, entries_are_slopes_of_the_loss) {
  const Lab lab = Lab::open("demo:induction", 1);
  const auto result = lab.method("moa-influence", {{"head", "1.2"}});
  ASSERT_TRUE(result.ok()) << result.error().to_string();
  const HostTensor& effects = result->field("removal")->values;
  const auto run = lab.run("The cat sat.");
  const auto map = lab.run([&] {
    RunRequest request = run->request;
    request.capture.sites = {};
    return request;
  }());
  for (const auto& [query, key] : {std::pair{3, 1}, std::pair{4, 0}, std::pair{4, 4}}) {
    const auto loss = [&, query = query, key = key](double by) {
      RunRequest request = run->request;
      request.edits = {parse_edit("column-scale 1.2 query=" + std::to_string(query) + " key=" +
                                  std::to_string(key) + " by=" + std::to_string(by) + " renormalise=yes")
                           .value()};
      return lab.run(request)->capture->mean_loss();
    };
    RunRequest request = run->request;
    GradientRequest gradient{request, {{ScalarKind::logit, 1.0, -1, {0}}}, {{HookSite::pattern, 1}}, false};
    const double a = lab.runner->gradients(gradient, nullptr, {})
                         .value()
                         ->values.at({HookSite::pattern, 1})
                         .at({2, query, key});
    constexpr double step = 0.1;
    const double slope =
        (8 * (loss(1 - step) - loss(1 + step)) - (loss(1 - 2 * step) - loss(1 + 2 * step))) / (12 * step);
    EXPECT_NEAR(effects.at({query, key}) * (1.0 - a), slope, 1e-3 * std::abs(slope) + 2e-5)
        << query << ' ' << key;
  }
  const HostTensor& influence = result->field("influence")->values;
  double sum = 0.0;
  for (const float effect : effects.values()) sum += std::abs(effect);
  EXPECT_NEAR(influence.at({1, 2}), sum, 1e-5);
}

}  // namespace
}  // namespace saccade
