#include "analysis/method.h"

#include <gtest/gtest.h>

#include <algorithm>

namespace saccade {
namespace {

MethodInfo sample() {
  MethodInfo info;
  info.id = "sample";
  info.parameters = {{"count", "Count", "", 3, 1.0, 10.0},
                     {"share", "Share", "", 0.5, 0.0, 1.0},
                     {"flag", "Flag", "", false},
                     {"name", "Name", "", "x"}};
  return info;
}

std::string refusal(const nlohmann::json& given) {
  const auto result = complete_parameters(sample(), given);
  if (result.ok()) return "accepted";
  EXPECT_EQ(result.error().code, ErrorCode::invalid_argument);
  return result.error().message;
}

TEST(Method, the_registry_is_sorted_and_every_method_explains_itself) {
  ASSERT_FALSE(methods().empty());
  EXPECT_TRUE(std::is_sorted(methods().begin(), methods().end(),
                             [](const auto& a, const auto& b) { return a->info().id < b->info().id; }));
  for (const auto& method : methods()) {
    EXPECT_FALSE(method->info().title.empty());
    EXPECT_FALSE(method->info().summary.empty());
    EXPECT_FALSE(method->info().citation.empty());
    EXPECT_TRUE(complete_parameters(method->info(), nlohmann::json::object()).ok());
  }
}

TEST(Method, an_unknown_id_is_refused_with_the_list) {
  EXPECT_TRUE(find_method("head-table").ok());
  const auto missing = find_method("head-tabel");
  ASSERT_FALSE(missing.ok());
  EXPECT_EQ(missing.error().code, ErrorCode::not_found);
  EXPECT_NE(missing.error().message.find("head-table"), std::string::npos);
}

TEST(Method, defaults_fill_in_what_was_not_given) {
  const auto complete = complete_parameters(sample(), {{"count", 7}});
  ASSERT_TRUE(complete.ok());
  EXPECT_EQ((*complete)["count"], 7);
  EXPECT_EQ((*complete)["share"], 0.5);
  EXPECT_EQ((*complete)["flag"], false);
  EXPECT_EQ((*complete)["name"], "x");
}

TEST(Method, wrong_names_types_and_ranges_are_refused_by_name) {
  EXPECT_NE(refusal({{"cuont", 7}}).find("'cuont'"), std::string::npos);
  EXPECT_NE(refusal({{"count", 2.5}}).find("whole number"), std::string::npos);
  EXPECT_NE(refusal({{"count", "7"}}).find("whole number"), std::string::npos);
  EXPECT_NE(refusal({{"count", 11}}).find("from 1 to 10"), std::string::npos);
  EXPECT_NE(refusal({{"share", true}}).find("a number"), std::string::npos);
  EXPECT_NE(refusal({{"flag", 1}}).find("true or false"), std::string::npos);
  EXPECT_NE(refusal({{"name", 1}}).find("a text"), std::string::npos);
  EXPECT_NE(refusal(nlohmann::json::array()).find("object"), std::string::npos);
  EXPECT_EQ(refusal({{"count", 7.0}}), "accepted") << "a whole number may be written with a point";
}

TEST(Method, command_line_texts_become_values_of_the_declared_types) {
  const std::vector<std::string> texts{"count=7", "share=0.25", "flag=yes", "name=a=b"};
  const auto parsed = parse_parameters(sample(), texts);
  ASSERT_TRUE(parsed.ok());
  const auto complete = complete_parameters(sample(), *parsed);
  ASSERT_TRUE(complete.ok());
  EXPECT_EQ((*complete)["count"], 7);
  EXPECT_EQ((*complete)["share"], 0.25);
  EXPECT_EQ((*complete)["flag"], true);
  EXPECT_EQ((*complete)["name"], "a=b");
}

TEST(Method, command_line_texts_that_do_not_parse_are_refused) {
  for (const char* text : {"count", "count=seven", "count=", "flag=maybe", "other=1"}) {
    const std::vector<std::string> texts{text};
    EXPECT_FALSE(parse_parameters(sample(), texts).ok()) << text;
  }
}

}  // namespace
}  // namespace saccade
