#include "core/capture/encoding.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <random>

namespace saccade {
namespace {

TEST(Encoding, TextThatCanStayStays) {
  for (const char* text : {"", " cat", "a\\b", "日本", "line\nend", "\\x41"})
    EXPECT_FALSE(needs_escape(text)) << text;
}

TEST(Encoding, BytesThatCannotStayAreWrittenInHexAndBackslashesDoubled) {
  EXPECT_EQ(escape(std::string("a\0b", 3)), "a\\x00b");
  EXPECT_EQ(escape("\xe2\x82"), "\\xe2\\x82");
  EXPECT_EQ(escape("\\\xff"), "\\\\\\xff");
  EXPECT_EQ(escape("日\xff本"), "日\\xff本");
}

TEST(Encoding, EveryByteStringComesBack) {
  std::mt19937 random(3);
  for (int i = 0; i < 2000; ++i) {
    std::string text(random() % 12, '\0');
    for (char& c : text) c = random() % 3 == 0 ? '\\' : static_cast<char>(random());
    const std::string escaped = escape(text);
    EXPECT_FALSE(needs_escape(escaped));
    const auto back = unescape(escaped);
    ASSERT_TRUE(back.ok()) << escaped;
    EXPECT_EQ(*back, text);
  }
}

TEST(Encoding, ABrokenEscapeIsAnError) {
  for (const char* text : {"\\", "\\x", "\\x1", "\\xzz", "\\x-1", "\\n", "ok\\x 1"})
    EXPECT_FALSE(unescape(text).ok()) << text;
}

// The value of a binary16, from its definition.
double value_of(uint16_t half) {
  const int exponent = (half >> 10) & 31, mantissa = half & 1023;
  const double sign = half & 0x8000 ? -1.0 : 1.0;
  if (exponent == 31) return mantissa ? std::numeric_limits<double>::quiet_NaN() : sign * INFINITY;
  return sign * (exponent == 0 ? std::ldexp(mantissa, -24) : std::ldexp(1024 + mantissa, exponent - 25));
}

TEST(Encoding, HalvesThatAreExactStayExact) {
  for (uint32_t bits = 0; bits < 0x10000; ++bits) {
    const auto half = static_cast<uint16_t>(bits);
    const double value = value_of(half);
    if (std::isnan(value))
      EXPECT_TRUE(std::isnan(value_of(to_float16(static_cast<float>(value)))));
    else
      ASSERT_EQ(to_float16(static_cast<float>(value)), half) << value;
  }
}

TEST(Encoding, FloatsGoToTheNearestHalfAndTiesToTheEvenOne) {
  EXPECT_EQ(to_float16(2049.0F), to_float16(2048.0F));  // between 2048 and 2050
  EXPECT_EQ(to_float16(2051.0F), to_float16(2052.0F));
  EXPECT_EQ(value_of(to_float16(65519.0F)), 65504.0);
  EXPECT_EQ(value_of(to_float16(65520.0F)), INFINITY);
  EXPECT_EQ(value_of(to_float16(-1e30F)), -INFINITY);
  EXPECT_EQ(value_of(to_float16(-std::numeric_limits<float>::infinity())), -INFINITY);
  std::mt19937 random(5);
  std::uniform_real_distribution<float> exponent(-26.0F, 15.9F);
  for (int i = 0; i < 20000; ++i) {
    const float value = std::exp2(exponent(random)) * (i % 2 ? 1.0F : -1.0F);
    const uint16_t half = to_float16(value);
    const double error = std::fabs(value_of(half) - value);
    for (const int step : {-1, 1}) {
      const double neighbour = value_of(static_cast<uint16_t>(half + step));
      if (!std::isfinite(neighbour)) continue;
      ASSERT_LE(error, std::fabs(neighbour - value)) << value;
    }
  }
}

}  // namespace
}  // namespace saccade
