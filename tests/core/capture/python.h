// Files as bytes, and what h5py makes of them.
#pragma once

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <string>

#include "core/base/files.h"

namespace saccade::fixtures {

inline std::string bytes_of(const std::filesystem::path& path) {
  auto text = read_text_file(path);
  EXPECT_TRUE(text.ok()) << text.error().to_string();
  return text.ok() ? *text : std::string();
}

inline void put(const std::filesystem::path& path, const std::string& bytes) {
  std::ofstream(path, std::ios::binary) << bytes;
}

inline std::string python_with_h5py() {
  for (const char* python : {"/usr/bin/python3", "python3"})
    if (std::system(fmt::format("{} -c 'import h5py' > /dev/null 2>&1", python).c_str()) == 0) return python;
  return {};
}

// Runs a script with the dump as `f` (h5py) and its path as `path`; gives what it printed on failure.
inline std::string run_python(const std::filesystem::path& dump, const std::string& script) {
  const std::filesystem::path file = dump.string() + ".py", log = dump.string() + ".log";
  put(file, "import sys, math, json, h5py, numpy as np\npath = sys.argv[1]\n" + script);
  const int status = std::system(
      fmt::format("{} '{}' '{}' > '{}' 2>&1", python_with_h5py(), file.string(), dump.string(), log.string())
          .c_str());
  return status == 0 ? std::string() : bytes_of(log);
}

}  // namespace saccade::fixtures
