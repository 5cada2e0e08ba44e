// Gradients of models that pool: against differences of runs whose first residual was moved a little.
#include <gmock/gmock.h>

#include <cmath>
#include <random>

#include "tests/core/run/vision_fixtures.h"

namespace saccade {
namespace {

using testing::HasSubstr;

class PooledGradients : public testing::TestWithParam<std::string> {};

TEST_P(PooledGradients, are_the_slopes_of_the_answer) {
  const fixtures::Opened opened = fixtures::open(fixtures::vision_golden(GetParam()).string());
  GradientRequest request;
  request.run = fixtures::vision_request(opened, fixtures::Numbers(GetParam()));
  request.scalar = {{ScalarKind::logit, 1.0, -1, {1}}, {ScalarKind::log_probability, 0.5, -1, {0, 2}}};
  const SiteRef entry{HookSite::resid_pre, 0}, embed{HookSite::embed, -1};
  request.sites = {entry, embed};
  const auto made = opened.runner->gradients(request, nullptr, {});
  ASSERT_TRUE(made.ok()) << made.error().to_string();
  const auto scalar_at = [&](const HostTensor& residual) {
    auto moved = std::make_shared<Capture>();
    moved->spec = opened.model->spec();
    moved->tokens = request.run.tokens.tokens;
    moved->provenance.request = "moved";
    moved->sites[entry] = residual;
    RunRequest run = request.run;
    run.edits = {*parse_edit("replace blocks.0.hook_resid_pre from=moved")};
    run.references["moved"] = moved;
    const auto done = opened.runner->run(run, nullptr, {});
    EXPECT_TRUE(done.ok()) << done.error().to_string();
    std::vector<const ScalarTerm*> terms{request.scalar.data(), &request.scalar[1]};
    std::vector<float> slopes(static_cast<size_t>((*done)->capture->last_logits.size()));
    std::vector<double> values(2);
    scalar_of((*done)->capture->last_logits.values(), terms, slopes, values);
    return values[0] + values[1];
  };
  const HostTensor& x = (*made)->values.at(entry);
  const HostTensor& g = (*made)->gradients.at(entry);
  EXPECT_NEAR(scalar_at(x), (*made)->scalar, 1e-5);
  std::mt19937 random(7);
  std::normal_distribution<float> normal(0.0F, 1.0F);
  for (int trial = 0; trial < 4; ++trial) {
    HostTensor up(x.shape(), false), down(x.shape(), false);
    double expected = 0.0;
    constexpr float step = 2e-3F;
    for (int64_t i = 0; i < x.size(); ++i) {
      const float direction = normal(random);
      up.mutable_values()[static_cast<size_t>(i)] = x.data()[i] + step * direction;
      down.mutable_values()[static_cast<size_t>(i)] = x.data()[i] - step * direction;
      expected += static_cast<double>(g.data()[i]) * direction;
    }
    // Central differences in float32: the answer's rounding over the step.
    EXPECT_NEAR((scalar_at(up) - scalar_at(down)) / (2.0 * step), expected, 2e-3 + 5e-3 * std::abs(expected));
  }
  ASSERT_EQ((*made)->gradients.at(embed).shape(), x.shape());
}

INSTANTIATE_TEST_SUITE_P(All, PooledGradients,
                         testing::Values("vit", "deit", "deit_one_head", "dinov2", "dinov2_registers",
                                         "dinov2_swiglu", "clip", "siglip_classes"),
                         [](const auto& info) { return info.param; });

TEST(PooledGradients, are_refused_where_there_are_none) {
  const fixtures::Opened vit = fixtures::open(fixtures::vision_golden("vit").string());
  GradientRequest request;
  request.run = fixtures::vision_request(vit, fixtures::Numbers("vit"));
  request.scalar = {{ScalarKind::logit, 1.0, 3, {1}}};
  request.sites = {{HookSite::embed, -1}};
  EXPECT_THAT(vit.runner->gradients(request, nullptr, {}).error().to_string(), HasSubstr("pools"));
  const fixtures::Opened siglip = fixtures::open(fixtures::vision_golden("siglip").string());
  request.run = fixtures::vision_request(siglip, fixtures::Numbers("siglip"));
  request.scalar[0].position = -1;
  EXPECT_THAT(siglip.runner->gradients(request, nullptr, {}).error().to_string(), HasSubstr("SigLIP"));
}

}  // namespace
}  // namespace saccade
