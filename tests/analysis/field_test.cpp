#include "analysis/field.h"

#include <gtest/gtest.h>

#include <limits>

namespace saccade {
namespace {

AnalysisResult small_result() {
  Field field{"score",
              "A score",
              "nats",
              ValueKind::magnitude,
              {{AxisKind::layer, "layer", {}}, {AxisKind::head, "head", {}}},
              HostTensor({2, 2}),
              "abcd"};
  field.values.mutable_values()[1] = 1.5F;
  field.values.mutable_values()[3] = std::numeric_limits<float>::quiet_NaN();
  AnalysisResult result;
  result.method = "test";
  result.parameters = {{"x", 1}};
  result.requests = {"abcd"};
  result.fields.push_back(std::move(field));
  result.tables.push_back({"heads",
                           {"head", "index", "score"},
                           {{std::string("0.1"), int64_t{1}, std::numeric_limits<double>::quiet_NaN()}}});
  result.findings = {"Nothing happened."};
  return result;
}

TEST(Field, has_axes_asks_for_exactly_these_in_order) {
  const auto result = small_result();
  const Field& field = result.fields[0];
  EXPECT_TRUE(field.has_axes({AxisKind::layer, AxisKind::head}));
  EXPECT_FALSE(field.has_axes({AxisKind::head, AxisKind::layer}));
  EXPECT_FALSE(field.has_axes({AxisKind::layer}));
  EXPECT_FALSE(field.has_axes({AxisKind::layer, AxisKind::head, AxisKind::token}));
}

TEST(Field, a_field_is_found_by_name) {
  const auto result = small_result();
  ASSERT_NE(result.field("score"), nullptr);
  EXPECT_EQ(result.field("score")->unit, "nats");
  EXPECT_EQ(result.field("scor"), nullptr);
}

TEST(Field, the_document_has_the_keys_of_analyze_and_null_for_what_is_not_a_number) {
  const auto document = to_json(small_result());
  EXPECT_EQ(document["method"], "test");
  EXPECT_EQ(document["params"]["x"], 1);
  EXPECT_EQ(document["requests"], nlohmann::json({"abcd"}));
  const auto& field = document["fields"]["score"];
  EXPECT_EQ(field["axes"], nlohmann::json({"layer", "head"}));
  EXPECT_EQ(field["shape"], nlohmann::json({2, 2}));
  EXPECT_EQ(field["unit"], "nats");
  EXPECT_EQ(field["values"], nlohmann::json({0.0, 1.5, 0.0, nullptr}));
  const auto& table = document["tables"]["heads"];
  EXPECT_EQ(table["columns"].size(), 3U);
  EXPECT_EQ(table["rows"], nlohmann::json::parse(R"([["0.1", 1, null]])"));
  EXPECT_EQ(document["findings"], nlohmann::json({"Nothing happened."}));
}

}  // namespace
}  // namespace saccade
