// Files that are never torn, and the small values everything is named with.
#include "core/base/files.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <filesystem>
#include <fstream>
#include <numeric>

#include "core/base/digest.h"
#include "core/base/host_tensor.h"
#include "core/base/ids.h"
#include "core/base/memory.h"

namespace saccade {
namespace {

namespace fs = std::filesystem;
using testing::HasSubstr;

class Files : public testing::Test {
 protected:
  void SetUp() override {
    folder_ = fs::path(testing::TempDir()) / ("saccade-files-" + std::to_string(::getpid()));
    fs::create_directories(folder_);
    file_ = folder_ / "f.txt";
  }
  void TearDown() override { fs::remove_all(folder_); }
  [[nodiscard]] size_t entries() const {
    return static_cast<size_t>(std::distance(fs::directory_iterator(folder_), {}));
  }
  fs::path folder_, file_;
};

TEST_F(Files, a_writer_that_fails_leaves_the_old_file_and_nothing_else) {
  ASSERT_TRUE(write_text_file(file_, "old").ok());
  const auto outcome = write_atomically(file_, [](const fs::path& path) -> Result<void> {
    std::ofstream(path) << "half";
    return make_error(ErrorCode::cancelled, "cancelled");
  });
  EXPECT_EQ(outcome.error().code, ErrorCode::cancelled);
  EXPECT_EQ(*read_text_file(file_), "old");
  EXPECT_EQ(entries(), 1u);
}

TEST_F(Files, a_full_disk_is_an_error_and_leaves_the_old_file) {
  ASSERT_TRUE(write_text_file(file_, "old").ok());
  const pid_t child = ::fork();
  if (child == 0) {  // a limit on file size behaves like a full disk
    ::signal(SIGXFSZ, SIG_IGN);
    const struct rlimit limit { 1000, 1000 };
    ::setrlimit(RLIMIT_FSIZE, &limit);
    ::_exit(write_text_file(file_, std::string(100000, 'x')).ok() ? 0 : 7);
  }
  int status = 0;
  ::waitpid(child, &status, 0);
  EXPECT_EQ(WEXITSTATUS(status), 7);
  EXPECT_EQ(*read_text_file(file_), "old");
  EXPECT_EQ(entries(), 1u);
}

TEST_F(Files, errors_name_the_file_and_what_the_system_said) {
  EXPECT_THAT(read_text_file(folder_ / "none").error().message, HasSubstr("none"));
  EXPECT_EQ(read_text_file(folder_ / "none").error().code, ErrorCode::not_found);
  EXPECT_FALSE(read_text_file(folder_).ok());
  ASSERT_TRUE(write_text_file(file_, "0123456789").ok());
  EXPECT_THAT(read_text_file(file_, 5).error().message, HasSubstr("at most 5"));
  EXPECT_THAT(write_text_file("/nowhere/x", "a").error().to_string(), HasSubstr("/nowhere/x"));
}

TEST_F(Files, an_empty_file_maps_to_nothing) {
  std::ofstream{file_};
  const auto mapped = MappedFile::open(file_);
  ASSERT_TRUE(mapped.ok());
  EXPECT_TRUE((*mapped)->bytes().empty());
}

TEST_F(Files, a_pipe_without_a_writer_is_refused_instead_of_waited_for) {
  ASSERT_EQ(::mkfifo(file_.c_str(), 0600), 0);
  EXPECT_THAT(read_text_file(file_).error().message, HasSubstr("regular file"));
  EXPECT_FALSE(MappedFile::open(file_).ok());
}

TEST(HostTensors, are_row_major_zero_filled_and_share_their_numbers_when_copied) {
  HostTensor tensor({2, 3});
  EXPECT_EQ(tensor.bytes(), 24);
  for (const float value : tensor.values()) EXPECT_EQ(value, 0.0f);
  std::iota(tensor.mutable_values().begin(), tensor.mutable_values().end(), 0.0f);
  const HostTensor copy = tensor;
  EXPECT_EQ(copy.at({1, 2}), 5.0f);
  EXPECT_EQ(copy.slice(1)[0], 3.0f);
  EXPECT_EQ(copy.data(), tensor.data());
  EXPECT_TRUE(HostTensor().empty());
  EXPECT_TRUE(HostTensor({4, 0}).empty());
}

TEST(HeadNames, both_spellings_are_read_and_nothing_else) {
  EXPECT_EQ(to_string(*parse_head("9.10")), "9.10");
  EXPECT_EQ(to_string(*parse_head("L9H10")), "9.10");
  EXPECT_EQ(to_string(*parse_head("l0h3")), "0.3");
  for (const char* bad : {"", "9", "9.", ".9", "9.9.9", "L9", "L9.3", "9H3", "-1.2", "-0.2", "+1.2", "0.-0",
                          "a.b", "9.99999999999"})
    EXPECT_FALSE(parse_head(bad).ok()) << bad;
}

TEST(DigestValues, depend_on_content_and_on_where_one_text_ends) {
  EXPECT_EQ(Digest().add("abc").hex(), Digest().add("abc").hex());
  EXPECT_NE(Digest().add("ab").add("c").hex(), Digest().add("a").add("bc").hex());
  EXPECT_NE(Digest().add(int64_t{1}).hex(), Digest().add(int64_t{2}).hex());
  EXPECT_EQ(Digest().hex().size(), 32u);
}

TEST(Bytes, are_told_with_three_digits_and_a_unit) {
  EXPECT_EQ(format_bytes(0), "0 B");
  EXPECT_EQ(format_bytes(999), "999 B");
  EXPECT_EQ(format_bytes(1234), "1.23 kB");
  EXPECT_EQ(format_bytes(45'600'000), "45.6 MB");
  EXPECT_EQ(format_bytes(789'000'000'000), "789 GB");
}

}  // namespace
}  // namespace saccade
