// A lab on a model with random weights, made in a temporary folder that goes with it.
#pragma once

#include <unistd.h>

#include <filesystem>

#include "core/base/files.h"
#include "tests/analysis/lab.h"

namespace saccade {

struct RandomLab {
  std::filesystem::path folder;
  Lab lab;

  RandomLab(const std::string& shape, uint64_t seed)
      : folder(std::filesystem::temp_directory_path() /
               ("saccade_random_" + shape + "_" + std::to_string(::getpid()) + "_" + std::to_string(seed))) {
    std::filesystem::remove_all(folder);
    EXPECT_TRUE(make_random_model(shape, folder, seed).ok());
    lab = Lab::open(folder.string());
  }
  ~RandomLab() {
    lab = {};
    std::filesystem::remove_all(folder);
  }
  RandomLab(const RandomLab&) = delete;
  RandomLab& operator=(const RandomLab&) = delete;
};

}  // namespace saccade
