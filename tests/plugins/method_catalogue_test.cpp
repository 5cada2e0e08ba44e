#include "plugins/host/method_catalogue.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/plugins/plugin_lab.h"

namespace saccade {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;
using testing::HasSubstr;

TEST(method_catalogue, without_plugins_has_the_built_in_methods) {
  const MethodCatalogue catalogue;
  ASSERT_EQ(catalogue.methods().size(), methods().size());
  EXPECT_TRUE(catalogue.find("head-table").ok());
  EXPECT_TRUE(catalogue.manifest_of(**catalogue.find("head-table")).empty());
  EXPECT_THAT(catalogue.find("nothing").error().message, HasSubstr("head-table"));
}

TEST(method_catalogue, lists_plugins_beside_them_in_the_order_of_ids) {
  const PluginLab lab;
  lab.library("hostile_plugin.so");
  lab.write("one.json", hostile_manifest("well-behaved"));
  lab.write("notes.txt", std::string("not a manifest"));
  const MethodCatalogue catalogue = lab.open();
  EXPECT_TRUE(catalogue.refused().empty());
  ASSERT_EQ(catalogue.methods().size(), methods().size() + 1);
  EXPECT_EQ(catalogue.methods().back()->info().id, "well-behaved");
  EXPECT_EQ(catalogue.manifest_of(*catalogue.methods().back()), lab.folder() / "one.json");
  const auto result = run_on_demo(catalogue, "well-behaved");
  ASSERT_TRUE(result.ok()) << result.error().to_string();
  EXPECT_EQ(result->method, "well-behaved");
  EXPECT_EQ(result->parameters, json({{"n", 3}}));
  ASSERT_EQ(result->fields.size(), 1u);
  EXPECT_EQ(result->fields[0].values.shape(), (std::vector<int64_t>{3, 4}));
  EXPECT_TRUE(result->fields[0].has_axes({AxisKind::layer, AxisKind::head}));
  EXPECT_EQ(result->fields[0].request, demo_run()->digest);
}

TEST(method_catalogue, an_id_is_taken_once_and_built_in_ones_never) {
  const PluginLab lab, other;
  lab.library("hostile_plugin.so");
  other.library("hostile_plugin.so");
  lab.write("a.json", hostile_manifest("well-behaved"));
  other.write("b.json", hostile_manifest("well-behaved"));
  other.write("c.json", hostile_manifest("head-table"));
  const std::vector<PluginFolder> folders{{lab.folder(), true},
                                          {other.folder(), true},
                                          {lab.folder() / ".", true},
                                          {"/nowhere/at/all", true},
                                          {"/nor/here"}};
  const MethodCatalogue catalogue = MethodCatalogue::open(folders);
  EXPECT_EQ(catalogue.methods().size(), methods().size() + 1);
  ASSERT_EQ(catalogue.refused().size(), 3u);
  EXPECT_EQ(catalogue.refused()[0].where, (other.folder() / "b.json").string());
  EXPECT_THAT(catalogue.refused()[0].reason, HasSubstr("taken by " + (lab.folder() / "a.json").string()));
  EXPECT_THAT(catalogue.refused()[1].reason, HasSubstr("taken by a built-in method"));
  EXPECT_THAT(catalogue.refused()[2].reason, HasSubstr("cannot be read"));
  EXPECT_THAT(catalogue.find("nothing").error().message, HasSubstr("3 plugins were refused"));
}

struct BadLibrary {
  const char* id;
  const char* library;
  const char* reason;
};

TEST(method_catalogue, a_library_that_does_not_fit_is_refused_with_its_reason) {
  const std::vector<BadLibrary> cases{
      {"x", "no_entry.so", "no function 'saccade_plugin_entry'"},
      {"x", "undefined_symbol.so", "a_function_that_nobody_has"},
      {"x", "absent.so", "absent.so cannot be found"},
      {"unknown", "hostile_plugin.so", "serves no method 'unknown' for version 1"},
      {"newer", "hostile_plugin.so",
       "made for version 2 of the plugin interface, this program has version 1"},
      {"small", "hostile_plugin.so", "describes itself with 8 bytes"},
      {"other", "hostile_plugin.so", "calls itself 'another', the manifest 'other'"},
      {"no-id", "hostile_plugin.so", "the id in its library is a null pointer"},
      {"idle", "hostile_plugin.so", "no compute function"},
      {"entry-throws", "hostile_plugin.so", "its entry threw an exception"},
  };
  for (const BadLibrary& bad : cases) {
    const PluginLab lab;
    for (const char* library : {"no_entry.so", "undefined_symbol.so", "hostile_plugin.so"})
      lab.library(library);
    json manifest = hostile_manifest(bad.id);
    manifest["library"] = bad.library;
    lab.write("x.json", manifest);
    EXPECT_THAT(lab.refusal(), HasSubstr(bad.reason)) << bad.id;
  }
}

TEST(method_catalogue, a_file_that_is_no_whole_library_is_not_given_to_the_loader) {
  const PluginLab lab;
  lab.write("x.json", hostile_manifest("well-behaved"));
  lab.write("hostile_plugin.so", std::string("#!/bin/sh\n"));
  EXPECT_THAT(lab.refusal(), HasSubstr("no ELF library"));
  lab.write("hostile_plugin.so", std::string());
  EXPECT_FALSE(lab.refusal().empty());
  // As a copy that was interrupted leaves it: the system's loader would map it and die.
  const auto whole = fs::file_size(test_plugins / "hostile_plugin.so");
  for (const auto size : {uintmax_t{100}, whole / 4, whole / 2}) {
    lab.library("hostile_plugin.so");
    fs::resize_file(lab.folder() / "hostile_plugin.so", size);
    EXPECT_THAT(lab.refusal(), HasSubstr("cut off")) << size;
  }
  fs::remove(lab.folder() / "hostile_plugin.so");
  fs::create_symlink(test_plugins / "hostile_plugin.so", lab.folder() / "hostile_plugin.so");
  EXPECT_THAT(lab.refusal(), HasSubstr("leads out of the folder"));
}

TEST(method_catalogue, names_that_cannot_be_shown_are_made_harmless) {
  const PluginLab lab;
  lab.write("a\x1b[2J\xff.json", std::string("{"));
  const MethodCatalogue catalogue = lab.open();
  ASSERT_EQ(catalogue.refused().size(), 1u);
  EXPECT_THAT(catalogue.refused()[0].where, HasSubstr("a?[2J\xEF\xBF\xBD.json"));
}

}  // namespace
}  // namespace saccade
