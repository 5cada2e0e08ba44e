// Where the tokenizer tests find their files, and what they share.
#pragma once

#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <memory>
#include <sstream>
#include <string>

#include "core/tokens/tokenizer.h"

namespace saccade::tokens_test {

inline std::filesystem::path fixtures() {
  return std::filesystem::path(SACCADE_SOURCE_DIR) / "tests" / "data" / "tokenizers";
}

// Foreign data: $SACCADE_TEST_DATA, or ../shared/data from the project's root.
inline std::filesystem::path foreign_data() {
  if (const char* folder = std::getenv("SACCADE_TEST_DATA")) return folder;
  return std::filesystem::path(SACCADE_SOURCE_DIR) / ".." / "shared" / "data";
}

inline std::string read_file(const std::filesystem::path& path) {
  std::ifstream in(path, std::ios::binary);
  std::ostringstream text;
  text << in.rdbuf();
  return text.str();
}

inline std::shared_ptr<const Tokenizer> open_or_fail(const std::filesystem::path& folder) {
  auto opened = open_tokenizer(folder);
  if (!opened.ok()) {
    ADD_FAILURE() << opened.error().to_string();
    return nullptr;
  }
  return *opened;
}

// A folder that is gone when the test is over.
class TemporaryFolder {
 public:
  TemporaryFolder() {
    std::string pattern = (std::filesystem::temp_directory_path() / "saccade-tokens-XXXXXX").string();
    path_ = mkdtemp(pattern.data());
  }
  ~TemporaryFolder() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  TemporaryFolder(const TemporaryFolder&) = delete;
  TemporaryFolder& operator=(const TemporaryFolder&) = delete;
  void write(const std::string& name, const std::string& text) const {
    std::ofstream(path_ / name, std::ios::binary) << text;
  }
  [[nodiscard]] const std::filesystem::path& path() const { return path_; }

 private:
  std::filesystem::path path_;
};

}  // namespace saccade::tokens_test
