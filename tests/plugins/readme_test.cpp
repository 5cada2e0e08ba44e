// The example of plugins/README.md, compiled from its text.
#include <gtest/gtest.h>

#include "tests/plugins/plugin_lab.h"

namespace saccade {
namespace {

TEST(plugins_readme, its_example_is_a_plugin_that_says_the_truth) {
  const PluginLab lab;
  lab.library("key_share.so");
  std::filesystem::copy_file(SACCADE_README_PLUGIN "/key_share.json", lab.folder() / "key_share.json");
  const MethodCatalogue catalogue = lab.open();
  ASSERT_TRUE(catalogue.refused().empty()) << catalogue.refused()[0].reason;
  const auto result = run_on_demo(catalogue, "key-share", {{"key", 1}});
  ASSERT_TRUE(result.ok()) << result.error().to_string();
  const Capture& capture = *demo_run()->capture;
  const int64_t n = capture.n_token();
  for (int64_t layer = 0; layer < 3; ++layer)
    for (int64_t head = 0; head < 4; ++head) {
      const auto received = capture.layers[static_cast<size_t>(layer)]->statistics.received.slice(head);
      EXPECT_FLOAT_EQ(result->fields[0].values.at({layer, head}), received[1] / static_cast<float>(n - 1));
    }
  const auto beyond = run_on_demo(catalogue, "key-share", {{"key", 500}});
  ASSERT_FALSE(beyond.ok());
  EXPECT_NE(beyond.error().to_string().find("no token at that position"), std::string::npos);
}

}  // namespace
}  // namespace saccade
