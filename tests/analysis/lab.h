// A model opened for analysis tests, with runs made on request.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>

#include "analysis/run_method.h"
#include "core/model/model.h"
#include "core/run/runner.h"

namespace saccade {

struct Lab {
  std::shared_ptr<const Model> model;
  std::unique_ptr<Runner> runner;

  static Lab open(const std::string& where, int threads = 2) {
    auto model = Model::open(where);
    EXPECT_TRUE(model.ok()) << model.error().to_string();
    if (!model.ok()) return {};
    auto runner = Runner::create(*model, {&kernel_sets().front(), threads});
    EXPECT_TRUE(runner.ok());
    return {*model, std::move(*runner)};
  }
  [[nodiscard]] std::shared_ptr<const Run> run(const RunRequest& request) const {
    auto done = runner->run(request, nullptr, {});
    EXPECT_TRUE(done.ok()) << done.error().to_string();
    return done.ok() ? *done : nullptr;
  }
  [[nodiscard]] std::shared_ptr<const Run> run(const std::string& prompt) const {
    auto tokens = model->tokenizer().encode(prompt, {});
    EXPECT_TRUE(tokens.ok());
    return run(runner->request(*tokens));
  }
  [[nodiscard]] Result<AnalysisResult> method(const std::string& id, const nlohmann::json& parameters,
                                              const std::filesystem::path& journal = {},
                                              const JobContext& job = {}) const {
    auto found = find_method(id);
    if (!found.ok()) return found.error();
    return run_method(**found, parameters, run("The cat sat."), {model, runner.get(), journal}, job);
  }
};

// demo:induction, opened once per program.
inline const Lab& demo() {
  static const Lab lab = Lab::open("demo:induction");
  return lab;
}

// Null where the result has no such table.
inline const Table* table_of(const AnalysisResult& result, const std::string& name) {
  const auto found = std::find_if(result.tables.begin(), result.tables.end(),
                                  [&](const Table& table) { return table.name == name; });
  return found == result.tables.end() ? nullptr : &*found;
}

}  // namespace saccade
