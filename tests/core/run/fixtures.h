// Models and runs that several tests share, opened once per program.
#pragma once

#include <gtest/gtest.h>

#include <filesystem>
#include <memory>
#include <string>

#include "core/model/model.h"
#include "core/run/runner.h"

namespace saccade::fixtures {

struct Opened {
  std::shared_ptr<const Model> model;
  std::unique_ptr<Runner> runner;
};

// Opens a folder with two threads and the best kernels; fails the test with the error's text.
inline Opened open(const std::string& where) {
  Opened opened;
  auto model = Model::open(where);
  if (!model.ok()) {
    ADD_FAILURE() << model.error().to_string();
    return opened;
  }
  opened.model = *model;
  auto runner = Runner::create(opened.model, {nullptr, 2});
  if (!runner.ok()) {
    ADD_FAILURE() << runner.error().to_string();
    return opened;
  }
  opened.runner = std::move(*runner);
  return opened;
}

inline std::filesystem::path golden(const std::string& variant) {
  return std::filesystem::path(SACCADE_SOURCE_DIR) / "tests" / "data" / "goldens" / variant;
}

// Other people's data; empty where it is not there.
inline std::filesystem::path test_data() {
  if (const char* set = std::getenv("SACCADE_TEST_DATA"); set && std::filesystem::exists(set)) return set;
  const std::filesystem::path beside = std::filesystem::path(SACCADE_SOURCE_DIR) / ".." / "shared" / "data";
  return std::filesystem::exists(beside) ? beside : std::filesystem::path();
}

inline RunRequest request(const Opened& opened, const std::vector<int32_t>& ids,
                          const std::vector<std::string>& edits = {}) {
  auto tokens = opened.model->tokenizer().sequence(ids);
  EXPECT_TRUE(tokens.ok());
  RunRequest request = opened.runner->request(*tokens);
  for (const std::string& text : edits) {
    auto edit = parse_edit(text);
    EXPECT_TRUE(edit.ok()) << edit.error().to_string();
    request.edits.push_back(*edit);
  }
  return request;
}

inline std::shared_ptr<const Run> run(const Opened& opened, const RunRequest& request,
                                      const std::shared_ptr<const Run>& base = nullptr) {
  auto run = opened.runner->run(request, base, {});
  if (!run.ok()) {
    ADD_FAILURE() << run.error().to_string();
    return nullptr;
  }
  return *run;
}

}  // namespace saccade::fixtures
