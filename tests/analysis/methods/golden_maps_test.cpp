// Recorded maps of GPT-2 small: sink and entropy numbers of head-table are those of the recorded matrices.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <cmath>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <sstream>

#include "analysis/methods/registry.h"
#include "tests/analysis/synthetic_capture.h"

namespace saccade {
namespace {

namespace fs = std::filesystem;
using synthetic::Pattern;

fs::path recordings() {
  const char* data = std::getenv("SACCADE_TEST_DATA");
  const fs::path beside = fs::path(SACCADE_SOURCE_DIR).parent_path() / "shared" / "data";
  return (data != nullptr ? fs::path(data) : beside) / "golden" / "transformer_explainer";
}

std::string text_of(const fs::path& path) {
  std::ostringstream text;
  text << std::ifstream(path).rdbuf();
  return text.str();
}

// The bracketed list after `key`. The files are JavaScript; the matrices in them are JSON.
nlohmann::json list_after(const std::string& text, const std::string& key) {
  const size_t at = text.find(key), begin = text.find('[', at);
  if (at == std::string::npos || begin == std::string::npos) return nullptr;
  size_t end = begin;
  for (int depth = 0; end < text.size(); ++end) {
    depth += text[end] == '[' ? 1 : text[end] == ']' ? -1 : 0;
    if (depth == 0) break;
  }
  return nlohmann::json::parse(text.substr(begin, end + 1 - begin), nullptr, false);
}

Pattern softmax_of(const std::string& text, int layer, int head) {
  Pattern pattern;
  const auto rows = list_after(text, fmt::format("block_{}_attn_head_{}_attn_softmax:", layer, head));
  for (const auto& row : rows) {
    pattern.emplace_back();
    for (size_t j = 0; j < pattern.size(); ++j) pattern.back().push_back(row[j].get<double>());
  }
  return pattern;
}

TEST(GoldenMaps, sink_and_entropy_are_those_of_the_recorded_matrices) {
  if (!fs::exists(recordings())) GTEST_SKIP() << "no " << recordings() << ": set SACCADE_TEST_DATA";
  int64_t heads_seen = 0;
  for (const char* name : {"ex0.js", "ex1.js", "ex2.js"}) {
    const std::string text = text_of(recordings() / name);
    for (int layer = 0; layer < 12; ++layer) {
      std::vector<Pattern> heads;
      for (int head = 0; head < 12; ++head) heads.push_back(softmax_of(text, layer, head));
      ASSERT_EQ(heads[0].size(), 6U) << name << " layer " << layer;
      const auto input = std::make_unique<MethodInput>();  // see head_table_test.cpp
      input->capture = synthetic::capture_of(synthetic::words(6), heads);
      input->kernels = &kernel_sets().front();
      const auto result = make_head_table()->compute(*input, {});
      ASSERT_TRUE(result.ok()) << result.error().to_string();
      for (int64_t head = 0; head < 12; ++head, ++heads_seen) {
        double sink = 0.0, entropy = 0.0;
        for (const auto& row : heads[static_cast<size_t>(head)]) {
          sink += row[0] / 6.0;
          for (const double p : row) entropy -= p > 0.0 ? p * std::log(p) / 6.0 : 0.0;
        }
        // The recordings are float32: their rows sum to 1 to about 1e-7.
        EXPECT_NEAR(result->field("sink_mass")->values.at({0, head}), sink, 1e-5) << layer << "." << head;
        EXPECT_NEAR(result->field("entropy")->values.at({0, head}), entropy, 1e-5) << layer << "." << head;
      }
    }
  }
  EXPECT_EQ(heads_seen, 3 * 144);
}

}  // namespace
}  // namespace saccade
