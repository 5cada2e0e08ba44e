#include "core/run/edit_values.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace saccade {
namespace {

using testing::ElementsAre;
using testing::FloatNear;
using testing::HasSubstr;

Edit edit(const std::string& text) {
  auto edit = parse_edit(text);
  EXPECT_TRUE(edit.ok()) << edit.error().to_string();
  return *edit;
}

TEST(Gates, KeepTheHeadsWithTheLongestQueries) {
  const std::vector<float> norms{2.0F, 1.5F, 0.5F, 1.0F};
  EXPECT_THAT(gates_of(norms, 2, false), ElementsAre(1.0F, 1.0F, 0.0F, 0.0F));
  EXPECT_THAT(gates_of(norms, 4, false), ElementsAre(1.0F, 1.0F, 1.0F, 1.0F));
  EXPECT_THAT(gates_of(norms, 9, false), ElementsAre(1.0F, 1.0F, 1.0F, 1.0F));
}

// Sample standard deviation .6455, softmax .565, .260, .055, .120: the example of the method's description.
TEST(Gates, SoftOnesAreTheSoftmaxOfThoseThatStayTimesTheirNumber) {
  const std::vector<float> norms{2.0F, 1.5F, 0.5F, 1.0F};
  EXPECT_THAT(gates_of(norms, 4, true),
              ElementsAre(FloatNear(4 * .565F, 2e-3F), FloatNear(4 * .260F, 2e-3F),
                          FloatNear(4 * .055F, 2e-3F), FloatNear(4 * .120F, 2e-3F)));
  const std::vector<float> two = gates_of(norms, 2, true);
  EXPECT_NEAR(two[0] + two[1], 2.0F, 1e-6F);
  EXPECT_NEAR(two[0] / two[1], .565 / .260, 5e-3);
  EXPECT_EQ(two[2] + two[3], 0.0F);
}

TEST(Gates, EqualQueriesKeepTheLowerHeads) {
  EXPECT_THAT(gates_of(std::vector<float>{1.0F, 1.0F, 1.0F}, 2, false), ElementsAre(1.0F, 1.0F, 0.0F));
  EXPECT_THAT(gates_of(std::vector<float>{1.0F}, 1, true), ElementsAre(1.0F));
}

VectorFile offsets() {
  VectorFile file;
  file.vectors["head_offsets/5/1/a"] = {0.5F, 0.0F};
  file.vectors["head_offsets/5/1/v"] = {0.0F, -1.0F};
  file.vectors["head_offsets/5/2/v"] = {0.0F};
  return file;
}

TEST(HeadOffset, IsThePairOfTheHeadWhereTheFileHasIt) {
  const VectorFile file = offsets();
  const Edit of = edit("offset 5.* from=a.h5");
  const auto both = head_offset(file, of, {LayerIndex{5}, HeadIndex{1}}, 2);
  ASSERT_TRUE(both.ok());
  EXPECT_THAT(*both->a, ElementsAre(0.5F, 0.0F));
  EXPECT_THAT(*both->v, ElementsAre(0.0F, -1.0F));
  const auto none = head_offset(file, of, {LayerIndex{5}, HeadIndex{0}}, 2);
  ASSERT_TRUE(none.ok());
  EXPECT_FALSE(none->a || none->v);
  const auto wrong = head_offset(file, of, {LayerIndex{5}, HeadIndex{2}}, 2);
  ASSERT_FALSE(wrong.ok());
  EXPECT_THAT(wrong.error().message,
              HasSubstr("head_offsets/5/2/v of 'a.h5' has 1 numbers, heads of this model have 2"));
}

TEST(SteeringVector, IsTheNamedOneOrTheOneOfTheSiteOrTheOnlyOne) {
  VectorFile file;
  file.vectors["happy"] = {1.0F, 2.0F};
  const Edit plain = edit("add blocks.3.hook_resid_post from=s.h5");
  EXPECT_EQ((**steering_vector(file, plain, 2))[1], 2.0F);
  file.vectors["blocks.3.hook_resid_post"] = {5.0F, 6.0F};
  EXPECT_EQ((**steering_vector(file, plain, 2))[1], 6.0F);
  EXPECT_EQ((**steering_vector(file, edit("add blocks.3.hook_resid_post from=s.h5 dataset=happy"), 2))[1],
            2.0F);
  const auto missing = steering_vector(file, edit("add blocks.2.hook_resid_post from=s.h5"), 2);
  ASSERT_FALSE(missing.ok());
  EXPECT_THAT(missing.error().message,
              HasSubstr("no vector 'blocks.2.hook_resid_post'; dataset= takes one of "
                        "blocks.3.hook_resid_post, happy"));
  const auto length = steering_vector(file, plain, 3);
  ASSERT_FALSE(length.ok());
  EXPECT_THAT(length.error().message, HasSubstr("has 2 numbers, blocks.3.hook_resid_post has 3"));
}

}  // namespace
}  // namespace saccade
