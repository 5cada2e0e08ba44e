#include "analysis/table_filter.h"

#include <gtest/gtest.h>

#include <limits>

using namespace saccade;

namespace {

const std::vector<std::string> columns{"head", "effect", "kind"};
const std::vector<std::vector<Cell>> rows{
    {"0.1", 0.5, "zero"}, {"1.2", -0.75, "Mean"}, {"2.0", std::numeric_limits<double>::quiet_NaN(), "zero"}};

// Which rows pass, as "102".
std::string passing(const std::string& text) {
  const auto filter = TableFilter::parse(text, columns);
  if (!filter.ok()) return filter.error().message;
  std::string which;
  for (size_t r = 0; r < rows.size(); ++r)
    if (filter->matches(rows[r])) which += std::to_string(r);
  return which;
}

}  // namespace

TEST(TableFilter, ComparesNumbersAndTheirSizes) {
  EXPECT_EQ(passing(""), "012");
  EXPECT_EQ(passing("effect > 0.1"), "0");
  EXPECT_EQ(passing("|effect|>=0.5"), "01");
  EXPECT_EQ(passing("Effect <= -0.75"), "1");
  EXPECT_EQ(passing("effect < 1"), "01") << "what is no number fits no comparison";
  EXPECT_EQ(passing("effect != 0.5"), "12");
}

TEST(TableFilter, FindsWordsAndTextsWhateverTheirCase) {
  EXPECT_EQ(passing("MEAN"), "1");
  EXPECT_EQ(passing("kind = mean"), "1");
  EXPECT_EQ(passing("head = 0.1"), "0");
  EXPECT_EQ(passing("zero 2.0"), "2");
}

TEST(TableFilter, JoinsClauses) {
  EXPECT_EQ(passing("kind = zero and effect > 0.1"), "0");
  EXPECT_EQ(passing("kind=zero & |effect| > 0.1, 0.1"), "0");
}

TEST(TableFilter, SaysWhatItDoesNotUnderstand) {
  EXPECT_EQ(passing("effekt > 1"), "there is no column 'effekt'; the columns are head, effect, kind");
  EXPECT_EQ(passing("effect >"), "effect > what? Write a number, such as effect > 0.1");
  EXPECT_EQ(passing("effect > much"), "'much' is no number to compare effect with");
}
