#include "plugins/host/plugin_folders.h"

#include <gtest/gtest.h>

#include <cstdlib>

namespace saccade {
namespace {

TEST(plugin_folders, come_from_the_option_the_environment_the_program_and_the_user) {
  ::setenv("SACCADE_PLUGINS", "/one::/two:", 1);
  ::setenv("XDG_DATA_HOME", "/data", 1);
  const auto folders = plugin_folders({"given"});
  ASSERT_EQ(folders.size(), 5u);
  EXPECT_EQ(folders[0].path, "given");
  EXPECT_EQ(folders[1].path, "/one");
  EXPECT_EQ(folders[2].path, "/two");
  EXPECT_TRUE(folders[2].wanted);
  EXPECT_TRUE(folders[3].path.is_absolute());
  EXPECT_EQ(folders[3].path.parent_path().filename(), "saccade");
  EXPECT_FALSE(folders[3].wanted);
  EXPECT_EQ(folders[4].path, "/data/saccade/plugins");
  ::setenv("XDG_DATA_HOME", "relative", 1);  // does not count
  ::setenv("HOME", "/home/someone", 1);
  EXPECT_EQ(plugin_folders({}).back().path, "/home/someone/.local/share/saccade/plugins");
  ::unsetenv("HOME");
  EXPECT_EQ(plugin_folders({}).size(), 3u);
}

}  // namespace
}  // namespace saccade
