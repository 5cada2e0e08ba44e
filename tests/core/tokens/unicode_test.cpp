#include "core/tokens/unicode.h"

#include <gtest/gtest.h>

#include "core/tokens/byte_alphabet.h"
#include "core/tokens/normalizer.h"

namespace saccade::tokens {
namespace {

TEST(Unicode, FindsTheFirstIllFormedByte) {
  EXPECT_FALSE(find_invalid_utf8("plain \u00E9 \u4F60 \U0001F600 \U0010FFFF").has_value());
  EXPECT_EQ(find_invalid_utf8("ab\x80"), 2U);
  EXPECT_EQ(find_invalid_utf8("\xC0\xAF"), 0U);          // overlong
  EXPECT_EQ(find_invalid_utf8("a\xED\xA0\x80"), 1U);     // surrogate
  EXPECT_EQ(find_invalid_utf8("\xF4\x90\x80\x80"), 0U);  // beyond U+10FFFF
  EXPECT_EQ(find_invalid_utf8("\xE4\xBD"), 0U);          // cut
}

TEST(Unicode, ReplacesMaximalIllFormedParts) {
  // The examples of the Unicode Standard, section 3.9, tables 3-8 to 3-11.
  const std::string r = "\uFFFD";
  EXPECT_EQ(replace_invalid_utf8("\xC0\xAF\xE0\x80\xBF\xF0\x81\x82\x41"),
            r + r + r + r + r + r + r + r + "A");
  EXPECT_EQ(replace_invalid_utf8("\xED\xA0\x80\xED\xBF\xBF\xED\xAF\x41"),
            r + r + r + r + r + r + r + r + "A");
  EXPECT_EQ(replace_invalid_utf8("\xE1\x80\xE2\xF0\x91\x92\xF1\xBF\x41"), r + r + r + r + "A");
}

TEST(Unicode, EveryCharacterSurvivesEncoding) {
  for (char32_t c = 1; c < 0x110000; c = c == 0xD7FF ? 0xE000 : c + 1) {
    std::string text;
    append_utf8(text, c);
    ASSERT_EQ(utf8_length(text[0]), text.size());
    ASSERT_EQ(character_at(text, 0), c);
    ASSERT_FALSE(find_invalid_utf8(text).has_value());
  }
}

TEST(Unicode, KnowsTheClassesTokenizersAskFor) {
  EXPECT_TRUE(is_whitespace(0x3000) && is_whitespace(0x85) && is_whitespace('\v'));
  EXPECT_FALSE(is_whitespace(0x180E) || is_whitespace(0x200B));
  EXPECT_TRUE(is_numeric(0xBD) && is_numeric(0x2167) && is_numeric(0x663) && !is_numeric('a'));
  EXPECT_TRUE(is_punctuation('$') && is_punctuation(0x2014) && !is_punctuation(0x20AC) &&
              !is_punctuation('a'));
  EXPECT_TRUE(is_word(0x24B6) && is_word(0x200D) && is_word('_') && !is_word(0xBD) && !is_word('-'));
}

TEST(ByteAlphabet, IsGpt2sAndGoesBothWays) {
  EXPECT_EQ(byte_to_letter(' '), U'\u0120');
  EXPECT_EQ(byte_to_letter('\n'), U'\u010A');
  EXPECT_EQ(byte_to_letter('A'), U'A');
  EXPECT_EQ(byte_to_letter(0xAD), U'\u0143');
  for (int byte = 0; byte < 256; ++byte) {
    EXPECT_EQ(letter_to_byte(byte_to_letter(static_cast<unsigned char>(byte))),
              static_cast<unsigned char>(byte));
  }
  EXPECT_FALSE(letter_to_byte(U' ').has_value());
  EXPECT_FALSE(letter_to_byte(0x144).has_value());
  EXPECT_EQ(letters_to_bytes("\u0120a"), " a");
  EXPECT_FALSE(letters_to_bytes("a b").has_value());
}

std::string normalized(bool compatibility, bool composed, const std::string& text) {
  const Normalizer normalizer{{UnicodeFormNormalizer{compatibility, composed}}};
  const auto done = normalizer.apply(text);
  return done.ok() ? *done : done.error().to_string();
}

TEST(NormalForms, AgreeWithTheAnnexsExamples) {
  // Unicode Standard Annex 15, figures 3 to 6.
  EXPECT_EQ(normalized(false, false, "\u212B\u2126\u1E69"), "A\u030A\u03A9s\u0323\u0307");
  EXPECT_EQ(normalized(false, true, "\u212B\u2126s\u0307\u0323"), "\u00C5\u03A9\u1E69");
  EXPECT_EQ(normalized(false, true, "d\u0307\u0323 q\u0307\u0323"), "\u1E0D\u0307 q\u0323\u0307");
  EXPECT_EQ(normalized(true, true, "\uFB01 2\u2075 \u017F\u0323\u0307"), "fi 25 \u1E69");
  EXPECT_EQ(normalized(true, false, "\u1E9B\u0323"), "s\u0323\u0307");
  EXPECT_EQ(normalized(false, true, "\u1100\u1161\u11A8"), "\uAC01");
  EXPECT_EQ(normalized(false, false, "\uAC01"), "\u1100\u1161\u11A8");
}

}  // namespace
}  // namespace saccade::tokens
