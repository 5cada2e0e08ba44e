// fit-offsets: its parts by hand, and that what it finds on the demo does what it says.
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <filesystem>

#include "analysis/methods/metric.h"
#include "analysis/methods/offset_fit.h"
#include "tests/analysis/lab.h"

namespace saccade {
namespace {

namespace fs = std::filesystem;
using testing::ElementsAre;
using testing::HasSubstr;
using Vectors = std::vector<std::vector<double>>;

TEST(OffsetFit, the_worked_example_of_an_offset) {
  const std::vector<double> z{1.0, 2.0}, a{0.5, 0.0}, v{0.0, -1.0};
  EXPECT_THAT(offset_z(z, a, v), ElementsAre(1.5, 1.0));
}

// The first step is the learning rate against the gradient's sign, whatever its size.
TEST(OffsetFit, adams_first_step_is_the_rate) {
  Vectors numbers{{1.0, 1.0}};
  Adam adam(0.1);
  adam.step(numbers, {{5.0, -0.01}});
  EXPECT_NEAR(numbers[0][0], 0.9, 1e-6);
  EXPECT_NEAR(numbers[0][1], 1.1, 1e-6);
}

// Means (2, 0) and (0, 0): the direction is x; along it 1, 3, -1, 1 with mean 1 and variance 2.
TEST(OffsetFit, a_probe_by_hand) {
  const HeadProbe probe = probe_head({{1, 1}, {3, -1}}, {{-1, 0}, {1, 0}});
  EXPECT_THAT(probe.direction, ElementsAre(1.0, 0.0));
  EXPECT_DOUBLE_EQ(probe.spread, std::sqrt(2.0));
  const HeadProbe apart = probe_head({{5, 0}, {6, 0}}, {{-5, 0}, {-6, 0}});
  EXPECT_DOUBLE_EQ(apart.accuracy, 1.0);
}

double loss_with(const std::string& edit, const std::shared_ptr<const VectorFile>& file, int count) {
  const PromptSet prompts = preset("repeat", *demo().model, count, 1).value();
  double sum = 0.0;
  for (const PromptPair& pair : prompts.pairs) {
    RunRequest request = demo().runner->request(pair.clean);
    if (file) {
      request.edits = {parse_edit(edit).value()};
      request.vectors["fit.h5"] = file;
    }
    sum += value_of(Metric::loss, demo().run(request)->capture->last_logits, pair, nullptr) / count;
  }
  return sum;
}

class FitOffsets : public testing::TestWithParam<const char*> {};

TEST_P(FitOffsets, the_file_it_writes_does_to_the_loss_what_the_finding_says) {
  const fs::path out = fs::temp_directory_path() / (std::string("saccade_offsets_") + GetParam() + ".h5");
  const auto result = demo().method("fit-offsets", {{"fit", GetParam()},
                                                    {"count", 2},
                                                    {"steps", 4},
                                                    {"heads", 3},
                                                    {"rate", 0.05},
                                                    {"strength", 1.0},
                                                    {"out", out.string()}});
  ASSERT_TRUE(result.ok()) << result.error().to_string();
  const auto file = read_vectors(out);
  ASSERT_TRUE(file.ok()) << file.error().to_string();
  const double before = loss_with("", nullptr, 2), after = loss_with("offset *.* from=fit.h5", *file, 2);
  EXPECT_THAT(result->findings[0], HasSubstr(fmt::format("from {:.3g} to {:.3g} nats", before, after)));
  if (std::string(GetParam()) == "gradient") {
    EXPECT_LT(after, before) << "training lowers the loss";
  }
  int offset = 0;
  for (const float length : result->field("offset")->values.values()) offset += length > 0.0F ? 1 : 0;
  EXPECT_EQ(offset, 3);
  fs::remove(out);
}
INSTANTIATE_TEST_SUITE_P(Ways, FitOffsets, testing::Values("gradient", "examples"));

// Moving v of one head along its gradient, and a, changes the loss as add_gradients says.
TEST(OffsetFit, gradients_of_offsets_are_slopes_of_the_loss) {
  const ModelSpec& spec = demo().model->spec();
  const PromptPair pair = preset("repeat", *demo().model, 1, 1)->pairs[0];
  HeadOffsets offsets(spec);
  offsets.a[6][0] = 0.3;
  offsets.v[6][1] = -0.2;
  const auto request_of = [&](const HeadOffsets& of) {
    RunRequest request = demo().runner->request(pair.clean);
    request.edits = {parse_edit("offset *.* from=fit.h5").value()};
    request.vectors["fit.h5"] = of.file(spec);
    return request;
  };
  GradientRequest request;
  request.run = request_of(offsets);
  request.scalar = scalar_of(Metric::loss, pair);
  for (int32_t l = 0; l < spec.n_layer; ++l) request.sites.push_back({HookSite::z, l});
  const auto gradient = demo().runner->gradients(request, nullptr, {});
  ASSERT_TRUE(gradient.ok()) << gradient.error().to_string();
  HeadOffsets sums(spec);
  add_gradients(**gradient, spec, offsets, sums);
  for (Vectors HeadOffsets::*part : {&HeadOffsets::a, &HeadOffsets::v})
    for (const size_t d : {size_t{0}, size_t{1}}) {
      const auto loss = [&](double step) {
        HeadOffsets moved = offsets;
        (moved.*part)[6][d] += step;
        return value_of(Metric::loss, demo().run(request_of(moved))->capture->last_logits, pair, nullptr);
      };
      constexpr double step = 0.1;
      const double slope =
          (8 * (loss(step) - loss(-step)) - (loss(2 * step) - loss(-2 * step))) / (12 * step);
      EXPECT_NEAR((sums.*part)[6][d], slope, 5e-3 * std::abs(slope) + 1e-4);
    }
}

TEST(OffsetFit, examples_without_twins_are_refused) {
  const auto refused = demo().method("fit-offsets", {{"fit", "examples"}, {"count", 1}});
  ASSERT_FALSE(refused.ok());
  EXPECT_THAT(refused.error().to_string(), HasSubstr("at least 2 prompts"));
}

}  // namespace
}  // namespace saccade
