// Foreign gaze data: $SACCADE_TEST_DATA, or ../shared/data from the project's root; tests are skipped
// without.
#pragma once

#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <string>

#include "analysis/scanpath/scanpath.h"

namespace saccade::gaze {

inline std::filesystem::path data_folder() {
  const char* set = std::getenv("SACCADE_TEST_DATA");
  const std::filesystem::path root =
      set != nullptr && *set != '\0'
          ? std::filesystem::path(set)
          : std::filesystem::path(SACCADE_SOURCE_DIR).parent_path() / "shared" / "data";
  return root / "gaze";
}

inline nlohmann::json read_json(const std::filesystem::path& path) {
  std::ifstream in(path);
  return nlohmann::json::parse(in);
}

inline Scanpath path_of(std::initializer_list<Fixation> fixations, PictureSize size = {100, 100}) {
  Scanpath path;
  path.size = size;
  path.fixations = fixations;
  return path;
}

}  // namespace saccade::gaze

#define SACCADE_NEEDS_GAZE(name)                                       \
  if (!std::filesystem::exists(saccade::gaze::data_folder() / (name))) \
  GTEST_SKIP() << "no ../shared/data and no $SACCADE_TEST_DATA: gaze/" << (name) << " is not here"
