#include "analysis/export/metadata.h"

#include <gtest/gtest.h>

namespace saccade {
namespace {

TEST(Metadata, markup_and_characters_xml_cannot_hold_are_replaced) {
  EXPECT_EQ(xml_escaped("a<b>&\"\x01\tc"), "a&lt;b&gt;&amp;&quot;\xEF\xBF\xBD\tc");
}

TEST(Metadata, what_is_not_a_png_or_an_svg_is_refused) {
  EXPECT_FALSE(png_with_metadata("GIF89a and some more bytes that go on for a while", {}, 72.0).ok());
  EXPECT_FALSE(png_with_metadata("", {}, 72.0).ok());
  EXPECT_FALSE(svg_with_metadata("<html></html>", {}).ok());
}

TEST(Metadata, the_elements_come_first_inside_the_root) {
  const auto svg =
      svg_with_metadata("<?xml version=\"1.0\"?>\n<svg a=\"1\"><g/></svg>", {"T", "C", "{}", "", ""});
  ASSERT_TRUE(svg.ok());
  EXPECT_EQ(*svg,
            "<?xml version=\"1.0\"?>\n<svg "
            "a=\"1\">\n<title>T</title>\n<desc>C</desc>\n<metadata>{}</metadata><g/></svg>");
}

}  // namespace
}  // namespace saccade
