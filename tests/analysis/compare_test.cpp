#include "analysis/compare.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "tests/analysis/synthetic_capture.h"

namespace saccade {
namespace {

using synthetic::random_capture;

constexpr float minus_infinity = -std::numeric_limits<float>::infinity();

// A tokenizer is only asked for texts here.
class Names final : public Tokenizer {
 public:
  explicit Names(std::vector<std::string> texts) : texts_(std::move(texts)) {}
  [[nodiscard]] Result<TokenSequence> encode(std::string_view, const EncodeOptions&) const override {
    return TokenSequence{};
  }
  [[nodiscard]] Result<std::string> decode(std::span<const int32_t>, bool) const override {
    return std::string();
  }
  [[nodiscard]] Result<Token> token(int32_t id) const override {
    if (id < 0 || id >= vocabulary_size()) return make_error(ErrorCode::invalid_argument, "outside");
    Token token;
    token.id = id;
    token.text = texts_[static_cast<size_t>(id)];
    return token;
  }
  [[nodiscard]] int32_t vocabulary_size() const override { return static_cast<int32_t>(texts_.size()); }
  [[nodiscard]] std::optional<int32_t> bos() const override { return {}; }
  [[nodiscard]] std::optional<int32_t> eos() const override { return {}; }
  [[nodiscard]] std::string description() const override { return "names"; }

 private:
  std::vector<std::string> texts_;
};

std::shared_ptr<Capture> with_probabilities(const std::vector<double>& probabilities, float shift = 0.0F) {
  auto capture = random_capture({"<s>", " a", " b"}, 1, 2, 5);
  capture->last_logits = HostTensor({static_cast<int64_t>(probabilities.size())});
  for (size_t i = 0; i < probabilities.size(); ++i)
    capture->last_logits.mutable_values()[i] =
        probabilities[i] > 0.0 ? static_cast<float>(std::log(probabilities[i])) + shift : minus_infinity;
  return capture;
}

bool mentions(const Comparison& comparison, const std::string& text) {
  for (const std::string& finding : comparison.findings)
    if (finding.find(text) != std::string::npos) return true;
  return false;
}

TEST(Compare, divergences_are_those_of_the_textbook_and_do_not_depend_on_a_shift_of_the_logits) {
  const auto a = with_probabilities({0.5, 0.25, 0.25}, 100.0F),
             b = with_probabilities({0.25, 0.25, 0.5}, -7.0F);
  const auto result = compare(*a, *b, nullptr);
  ASSERT_TRUE(result.ok()) << result.error().to_string();
  // KL = 0.5 ln 2 + 0 - 0.25 ln 2; JS: mixture (3/8, 1/4, 3/8). Float32 logits near 100 carry 8e-6.
  EXPECT_NEAR(result->kl, 0.25 * std::log(2.0), 2e-5);
  const double js = 0.5 * std::log(0.5 / 0.375) + 0.25 * std::log(0.25 / 0.375);
  EXPECT_NEAR(result->js, js, 2e-5);
}

TEST(Compare, what_one_run_rules_out_keeps_the_divergences_defined) {
  const auto a = with_probabilities({1.0, 0.0}), b = with_probabilities({0.0, 1.0});
  const auto result = compare(*a, *b, nullptr);
  ASSERT_TRUE(result.ok());
  EXPECT_TRUE(std::isinf(result->kl));
  EXPECT_NEAR(result->js, std::log(2.0), 1e-12);
  EXPECT_LE(result->js, std::log(2.0));
}

TEST(Compare, the_table_is_the_union_of_both_tops_with_ranks_in_each) {
  const auto a = with_probabilities({0.4, 0.3, 0.2, 0.06, 0.04}),
             b = with_probabilities({0.04, 0.06, 0.1, 0.3, 0.5});
  const auto result = compare(*a, *b, nullptr, 2);
  ASSERT_TRUE(result.ok());
  ASSERT_EQ(result->top.size(), 4U);
  const std::vector<int32_t> ids{result->top[0].id, result->top[1].id, result->top[2].id, result->top[3].id};
  EXPECT_THAT(ids, testing::ElementsAre(0, 1, 3, 4));
  EXPECT_EQ(result->top[0].rank_a, 1);
  EXPECT_EQ(result->top[0].rank_b, 5);
  EXPECT_EQ(result->top[3].rank_a, 5);
  EXPECT_EQ(result->top[3].rank_b, 1);
  EXPECT_NEAR(result->top[3].probability_b, 0.5, 1e-6);
  EXPECT_EQ(result->top[0].text, "0") << "without a tokenizer the id is the text";
}

TEST(Compare, the_answer_that_fell_is_named_with_its_probabilities) {
  const Names names({" Mary", " John"});
  const auto result = compare(*with_probabilities({0.61, 0.39}), *with_probabilities({0.08, 0.92}), &names);
  ASSERT_TRUE(result.ok());
  EXPECT_TRUE(mentions(*result, "' Mary' falls from 0.61 to 0.08")) << result->findings[0];
  EXPECT_TRUE(mentions(*result, "' John' is, at 0.92")) << result->findings[0];
}

TEST(Compare, a_run_compared_with_itself_changes_nothing_and_says_so) {
  const auto a = with_probabilities({0.7, 0.3});
  a->loss = {1.0F, 2.0F};
  const auto result = compare(*a, *a, nullptr);
  ASSERT_TRUE(result.ok());
  EXPECT_EQ(result->kl, 0.0);
  EXPECT_EQ(result->js, 0.0);
  EXPECT_THAT(result->loss_difference, testing::ElementsAre(0.0F, 0.0F));
  for (float value : result->pattern_change.values.values()) EXPECT_EQ(value, 0.0F);
  EXPECT_TRUE(mentions(*result, "same next-token distribution"));
  EXPECT_TRUE(mentions(*result, "No head's attention moved"));
}

TEST(Compare, losses_are_subtracted_b_minus_a_and_the_worst_token_is_named) {
  const auto a = with_probabilities({0.7, 0.3}), b = with_probabilities({0.6, 0.4});
  a->loss = {1.0F, 2.0F};
  b->loss = {1.25F, 4.5F};
  const auto result = compare(*a, *b, nullptr);
  ASSERT_TRUE(result.ok());
  EXPECT_THAT(result->loss_difference, testing::ElementsAre(0.25F, 2.5F));
  EXPECT_TRUE(mentions(*result, "most at token 2 (' b'), by +2.500"));
}

TEST(Compare, moved_attention_is_half_the_absolute_change_of_received_mass_per_row) {
  // Head 0: row 1 moves 0.4 from key 0 to key 1; head 1 stays.
  const auto a = synthetic::capture_of({"x", "y"}, {{{1.0}, {0.9, 0.1}}, {{1.0}, {0.5, 0.5}}});
  const auto b = synthetic::capture_of({"x", "y"}, {{{1.0}, {0.5, 0.5}}, {{1.0}, {0.5, 0.5}}});
  for (const auto& run : {a, b}) run->last_logits = HostTensor({2});
  const auto result = compare(*a, *b, nullptr);
  ASSERT_TRUE(result.ok());
  ASSERT_TRUE(result->pattern_change.has_axes({AxisKind::layer, AxisKind::head}));
  EXPECT_NEAR(result->pattern_change.values.at({0, 0}), (0.4 + 0.4) / 2.0 / 2.0, 1e-6);
  EXPECT_NEAR(result->pattern_change.values.at({0, 1}), 0.0, 1e-6);
  const double before = -(0.9 * std::log(0.9) + 0.1 * std::log(0.1));
  EXPECT_NEAR(result->entropy_change.values.at({0, 0}), (std::log(2.0) - before) / 2.0, 1e-5);
  EXPECT_TRUE(mentions(*result, "head 0.0 moved most: 20.0 %"));
}

TEST(Compare, runs_on_other_tokens_are_compared_in_their_answers_only) {
  auto a = with_probabilities({0.7, 0.3}), b = with_probabilities({0.6, 0.4});
  a->loss = b->loss = {1.0F, 2.0F};
  b->tokens[1].id = 77;
  const auto result = compare(*a, *b, nullptr);
  ASSERT_TRUE(result.ok());
  EXPECT_FALSE(result->same_tokens);
  EXPECT_TRUE(result->loss_difference.empty());
  EXPECT_TRUE(result->pattern_change.values.empty());
  EXPECT_GT(result->kl, 0.0);
  EXPECT_TRUE(mentions(*result, "different tokens"));
}

TEST(Compare, unequal_vocabularies_missing_and_broken_logits_are_refused_with_the_numbers) {
  const auto two = with_probabilities({0.7, 0.3}), three = with_probabilities({0.5, 0.3, 0.2});
  const auto sizes = compare(*two, *three, nullptr);
  ASSERT_FALSE(sizes.ok());
  EXPECT_NE(sizes.error().message.find("A has 2"), std::string::npos);
  EXPECT_NE(sizes.error().message.find("B has 3"), std::string::npos);
  const auto none = random_capture({"a", "b"}, 1, 1, 1);
  EXPECT_FALSE(compare(*two, *none, nullptr).ok());
  const auto broken = with_probabilities({0.7, 0.3});
  broken->last_logits.mutable_values()[0] = std::numeric_limits<float>::quiet_NaN();
  EXPECT_FALSE(compare(*broken, *two, nullptr).ok());
}

std::string joined(const std::vector<DiffPiece>& pieces, DiffKind with) {
  std::string text;
  for (const DiffPiece& piece : pieces)
    if (piece.kind == DiffKind::same || piece.kind == with) text += piece.text;
  return text;
}

TEST(DiffWords, the_pieces_put_together_are_both_texts_again) {
  const std::string a = "The old  cat sat on\nthe mat.", b = " The cat sat slowly on the mat. ";
  const auto pieces = diff_words(a, b);
  EXPECT_EQ(joined(pieces, DiffKind::only_a), a);
  EXPECT_EQ(joined(pieces, DiffKind::only_b), b);
}

TEST(DiffWords, only_the_words_that_differ_are_marked) {
  const auto pieces = diff_words("the old cat sat", "the young cat sat down");
  ASSERT_EQ(pieces.size(), 5U);
  EXPECT_EQ(pieces[0].text, "the");
  EXPECT_EQ(pieces[1].kind, DiffKind::only_a);
  EXPECT_EQ(pieces[1].text, " old");
  EXPECT_EQ(pieces[2].kind, DiffKind::only_b);
  EXPECT_EQ(pieces[2].text, " young");
  EXPECT_EQ(pieces[3].text, " cat sat");
  EXPECT_EQ(pieces[4].text, " down");
}

TEST(DiffWords, equal_and_empty_texts_are_one_piece_and_none) {
  EXPECT_TRUE(diff_words("", "").empty());
  ASSERT_EQ(diff_words("a b", "a b").size(), 1U);
  ASSERT_EQ(diff_words("", "a b").size(), 1U);
  EXPECT_EQ(diff_words("", "a b")[0].kind, DiffKind::only_b);
}

TEST(DiffWords, very_long_texts_fall_back_to_one_marked_middle) {
  std::string a = "start", b = "start";
  for (int i = 0; i < 5000; ++i) {
    a += " a" + std::to_string(i);
    b += " b" + std::to_string(i);
  }
  a += " end", b += " end";
  const auto pieces = diff_words(a, b);
  ASSERT_EQ(pieces.size(), 4U);
  EXPECT_EQ(pieces[3].text, " end");
  EXPECT_EQ(joined(pieces, DiffKind::only_a), a);
  EXPECT_EQ(joined(pieces, DiffKind::only_b), b);
}

}  // namespace
}  // namespace saccade
