// A folder of plugins for one test, and the catalogue made of it.
#pragma once

#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <string>

#include "plugins/host/method_catalogue.h"
#include "tests/analysis/lab.h"

namespace saccade {

// Where CMake puts the libraries that tests load.
inline const std::filesystem::path test_plugins = SACCADE_TEST_PLUGINS;

class PluginLab {
 public:
  PluginLab() {
    std::string made = (std::filesystem::temp_directory_path() / "saccade-plugins-XXXXXX").string();
    EXPECT_NE(::mkdtemp(made.data()), nullptr);
    folder_ = std::filesystem::canonical(made);
  }
  ~PluginLab() { std::filesystem::remove_all(folder_); }
  PluginLab(const PluginLab&) = delete;
  PluginLab& operator=(const PluginLab&) = delete;

  [[nodiscard]] const std::filesystem::path& folder() const { return folder_; }
  void write(const std::string& name, const std::string& text) const {
    std::ofstream(folder_ / name, std::ios::binary) << text;
  }
  void write(const std::string& name, const nlohmann::json& manifest) const { write(name, manifest.dump()); }
  void library(const std::string& name) const {
    std::filesystem::copy_file(test_plugins / name, folder_ / name,
                               std::filesystem::copy_options::overwrite_existing);
  }
  [[nodiscard]] MethodCatalogue open() const {
    const PluginFolder folder{folder_, true};
    return MethodCatalogue::open({&folder, 1});
  }
  // The reason why the one plugin of the folder was refused.
  [[nodiscard]] std::string refusal() const {
    const MethodCatalogue catalogue = open();
    EXPECT_EQ(catalogue.methods().size(), methods().size()) << "it was taken";
    EXPECT_EQ(catalogue.refused().size(), 1u);
    return catalogue.refused().empty() ? "" : catalogue.refused().front().reason;
  }

 private:
  std::filesystem::path folder_;
};

// What tests/plugins/hostile/hostile_plugin.cpp expects, for one of its ids.
inline nlohmann::json hostile_manifest(const std::string& id) {
  return {
      {"api", 1},
      {"id", id},
      {"title", "A test"},
      {"summary", "One thing that a plugin must not do."},
      {"citation", "own"},
      {"library", "hostile_plugin.so"},
      {"parameters", {{{"name", "n"}, {"type", "integer"}, {"default", 3}, {"minimum", 1}, {"maximum", 9}}}},
      {"fields",
       {{{"name", "f"}, {"axes", {"layer", "head"}}}, {{"name", "g"}, {"axes", {"row", "column"}}}}},
      {"tables", {{{"name", "t"}, {"columns", {"number", "text"}}}}}};
}

// The demo and one run of it, opened once for all tests of a program.
inline const Lab& demo_lab() {
  static const Lab lab = Lab::open("demo:induction");
  return lab;
}
inline const std::shared_ptr<const Run>& demo_run() {
  static const std::shared_ptr<const Run> run = demo_lab().run(" house goat moon table house goat moon");
  return run;
}
inline Result<AnalysisResult> run_on_demo(const MethodCatalogue& catalogue, const std::string& id,
                                          const nlohmann::json& parameters = nlohmann::json::object(),
                                          const JobContext& job = {}) {
  const auto method = catalogue.find(id);
  if (!method.ok()) return method.error();
  return run_method(**method, parameters, demo_run(), {demo_lab().model, demo_lab().runner.get(), {}}, job);
}

}  // namespace saccade
