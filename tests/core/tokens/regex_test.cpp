#include "core/tokens/regex.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace saccade::tokens {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

std::vector<std::string> found(const std::string& expression, const std::string& subject) {
  const auto regex = Regex::compile(expression);
  if (!regex.ok()) return {"error: " + regex.error().to_string()};
  RegexScratch scratch;
  std::vector<Match> matches;
  const auto done = (*regex)->find_all(subject, scratch, matches);
  if (!done.ok()) return {"error: " + done.error().to_string()};
  std::vector<std::string> texts;
  for (const Match& match : matches) texts.push_back(subject.substr(match.begin, match.end - match.begin));
  return texts;
}

TEST(Regex, FindsGpt2Words) {
  const std::string words = R"('s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+)";
  EXPECT_THAT(found(words, "I've  3 caf\u00E9s!  "),
              ElementsAre("I", "'ve", " ", " 3", " caf\u00E9s", "!", "  "));
}

TEST(Regex, ShorthandClassesMeanWhatOnigurumaSays) {
  EXPECT_THAT(found(R"(\s)", "a\u0085\u180E\u3000"),
              ElementsAre("\u0085", "\u3000"));  // no Mongolian separator
  EXPECT_THAT(found(R"([^\s]+)", "\u180E \u2003x"), ElementsAre("\u180E", "x"));
  EXPECT_THAT(found(R"(\w+)", "\u00BD \u0301a_1 \u24B6-"), ElementsAre("\u00BD", "\u0301a_1", "\u24B6"));
  EXPECT_THAT(found(R"(\W)", "a-\u00BD"), ElementsAre("-"));
  EXPECT_THAT(found(R"(\h+)", "0fGA"), ElementsAre("0f", "A"));  // hexadecimal digits
  EXPECT_THAT(found(R"([\h-]+)", "a-g"), ElementsAre("a-"));
  EXPECT_THAT(found(R"(\d+)", "12\u0663\u00BD"), ElementsAre("12\u0663"));
}

TEST(Regex, LineAnchorsAreAboutLines) { EXPECT_THAT(found("^.", "ab\ncd"), ElementsAre("a", "c")); }

TEST(Regex, SetsInsideSetsAreJoined) {
  EXPECT_THAT(found("[a[bc]d]+", "xabcdx"), ElementsAre("abcd"));
  EXPECT_THAT(found("[[:digit:]a]+", "x1a2"), ElementsAre("1a2"));
  EXPECT_THAT(found(R"([\[\]]+)", "x[]"), ElementsAre("[]"));
  EXPECT_THAT(found("[]a]+", "x]a"), ElementsAre("]a"));
}

TEST(Regex, EmptyMatchesAreFoundOncePerPlace) {
  EXPECT_THAT(found("x*", "axxb"), ElementsAre("", "xx", ""));
  EXPECT_THAT(found("(?=[A-Z])", "aBC\u00E9"), ElementsAre("", ""));
}

TEST(Regex, RefusesWhatItCannotSay) {
  EXPECT_THAT(Regex::compile("[a&&b]").error().to_string(), HasSubstr("intersects character sets"));
  EXPECT_THAT(Regex::compile("[a[^b]]").error().to_string(), HasSubstr("negated set inside a set"));
  EXPECT_THAT(Regex::compile("a\\").error().to_string(), HasSubstr("ends in a backslash"));
  EXPECT_THAT(Regex::compile("(a").error().to_string(), HasSubstr("cannot be compiled"));
  EXPECT_THAT(Regex::compile(std::string(70'000, 'a')).error().to_string(), HasSubstr("70000 bytes"));
  EXPECT_EQ(Regex::compile("((((((a{900}){900}){900}){900}){900})").ok(), false);
}

TEST(Regex, GivesUpWhereMatchingWouldNotEnd) {
  EXPECT_THAT(found("(x+x+)+[yz]", std::string(200, 'x')), ElementsAre(HasSubstr("was given up at byte 0")));
}

TEST(Regex, ALongRunOfSpacesIsNoProblem) {
  const std::string spaces(200'000, ' ');
  EXPECT_THAT(found(R"(\s+(?!\S)|\s+|\S+)", spaces + "x"), ElementsAre(spaces.substr(1), " ", "x"));
}

TEST(Pattern, LiteralTextIsFoundWithoutOverlap) {
  RegexScratch scratch;
  std::vector<Match> matches;
  ASSERT_TRUE(find_all(Pattern(std::string("aa")), "aaaaa", scratch, matches).ok());
  ASSERT_EQ(matches.size(), 2U);
  EXPECT_EQ(matches[1].begin, 2U);
  ASSERT_TRUE(find_all(Pattern(std::string()), "aaa", scratch, matches).ok());
  EXPECT_TRUE(matches.empty());
}

}  // namespace
}  // namespace saccade::tokens
