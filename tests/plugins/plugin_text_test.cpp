#include "plugins/host/plugin_text.h"

#include <gtest/gtest.h>

#include <vector>

namespace saccade::plugins {
namespace {

TEST(plugin_text, only_utf8_without_control_characters_can_be_shown) {
  EXPECT_TRUE(check_text("Größe \xE2\x86\x92 7", 32).ok());
  EXPECT_TRUE(check_text("", 0).ok());
  EXPECT_FALSE(check_text("a\xff", 32).ok());
  EXPECT_FALSE(check_text("a\x1b[2J", 32).ok());
  EXPECT_FALSE(check_text("a\xC2\x9B"
                          "31m",
                          32)
                   .ok());  // CSI in one character
  EXPECT_FALSE(check_text("a\x7f", 32).ok());
  EXPECT_FALSE(check_text("abcd", 3).ok());
}

TEST(plugin_text, a_c_text_is_read_no_further_than_its_bound) {
  EXPECT_FALSE(read_c_text(nullptr, 8).ok());
  const std::vector<char> unended(5, 'x');  // no zero byte: the address sanitizer sees a read behind it
  EXPECT_FALSE(read_c_text(unended.data(), 4).ok());
  EXPECT_EQ(read_c_text("four", 4).value(), "four");
}

TEST(plugin_text, what_is_shown_is_harmless_and_short) {
  EXPECT_EQ(shown("a\x1b[2J"), "a?[2J");
  EXPECT_EQ(shown("\xC2\x9B"
                  "1m"),
            "?1m");
  EXPECT_TRUE(check_text(shown(std::string(1000, '\xff')), 256).ok());
  EXPECT_EQ(shown(std::string(100, 'x')).size(), 63u);
}

TEST(plugin_text, a_name_begins_with_a_letter) {
  EXPECT_TRUE(is_name("max_key-2"));
  for (const char* bad : {"", "2a", "-a", "a b", "a/b", "\xC3\xA4"}) EXPECT_FALSE(is_name(bad)) << bad;
  EXPECT_FALSE(is_name(std::string(65, 'a')));
}

}  // namespace
}  // namespace saccade::plugins
