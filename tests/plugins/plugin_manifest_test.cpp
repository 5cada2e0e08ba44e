#include "plugins/host/plugin_manifest.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <chrono>
#include <random>

#include "tests/plugins/plugin_lab.h"

namespace saccade::plugins {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;
using testing::HasSubstr;

std::string refusal(const json& manifest) {
  const auto read = parse_manifest(manifest.dump());
  return read.ok() ? "" : read.error().to_string();
}

json full() {
  json manifest = hostile_manifest("full");
  manifest["sites"] = "v";
  manifest["parameters"] = json::parse(R"([
    {"name": "n", "type": "integer", "default": 3, "minimum": 1, "maximum": 9, "label": "N", "help": "How many."},
    {"name": "x", "type": "number", "default": 1},
    {"name": "b", "type": "boolean", "default": true},
    {"name": "t", "type": "text", "default": "near", "choices": ["far", "near"]},
    {"name": "p", "type": "file", "default": ""}])");
  manifest["fields"][0]["kind"] = "signed";
  manifest["fields"][0]["unit"] = "nats";
  return manifest;
}

TEST(plugin_manifest, says_everything_about_a_method) {
  const auto read = parse_manifest(full().dump());
  ASSERT_TRUE(read.ok()) << read.error().to_string();
  EXPECT_EQ(read->info.id, "full");
  EXPECT_EQ(read->library, "hostile_plugin.so");
  EXPECT_EQ(read->sites, "v");
  ASSERT_EQ(read->info.parameters.size(), 5u);
  EXPECT_EQ(read->info.parameters[0].maximum, 9.0);
  EXPECT_EQ(read->info.parameters[0].help, "How many.");
  EXPECT_TRUE(read->info.parameters[1].default_value.is_number_float());  // a number, though written 1
  EXPECT_EQ(read->info.parameters[3].choices, (std::vector<std::string>{"far", "near"}));
  EXPECT_TRUE(read->info.parameters[4].is_file);
  EXPECT_EQ(read->fields[0].kind, ValueKind::signed_difference);
  EXPECT_EQ(read->fields[0].unit, "nats");
  EXPECT_EQ(read->fields[1].axes, (std::vector<std::string>{"row", "column"}));
  EXPECT_EQ(read->tables[0].columns, (std::vector<std::string>{"number", "text"}));
  // Its parameters are checked like those of any method.
  EXPECT_FALSE(complete_parameters(read->info, {{"n", 10}}).ok());
  EXPECT_FALSE(complete_parameters(read->info, {{"t", "middle"}}).ok());
}

struct Spoilt {
  const char* pointer;  // what is replaced, RFC 6901
  json value;
  const char* reason;
};

TEST(plugin_manifest, every_member_that_does_not_fit_is_named) {
  const std::vector<Spoilt> cases{
      {"/api", 2, "made for version 2 of the plugin interface, this program has version 1"},
      {"/api", "1", "api: expected a whole number"},
      {"/api", 1.5, "api: expected a whole number"},
      {"/api", -1, "version -1"},
      {"/id", "Has Space", "id: expected an id"},
      {"/id", "", "id: expected an id"},
      {"/id", 7, "id: expected text"},
      {"/title", "", "title: expected a text that is not empty"},
      {"/title", "\x1b[31mred", "title holds a control character"},
      {"/title", std::string(300, 'x'), "title is longer than 256 bytes"},
      {"/summary", json::array(), "summary: expected text"},
      {"/citation", nullptr, "citation: expected text"},
      {"/library", "../evil.so", "library: expected the name of a file"},
      {"/library", "/lib/evil.so", "library: expected the name of a file"},
      {"/library", "evil.sh", "library: expected the name of a file"},
      {"/library", ".so", "library: expected the name of a file"},
      {"/library", std::string("a\0.so", 5), "library holds a control character"},
      {"/sites", 3, "sites: expected text"},
      {"/parameters", 3, "parameters: expected an array"},
      {"/parameters", json::array({1}), "parameters[0]: expected an object"},
      {"/parameters/0/type", "complex", "parameters[0].type: expected integer, number"},
      {"/parameters/0/default", 2.5, "parameters[0].default: expected a default of type integer"},
      {"/parameters/0/default", "3", "parameters[0].default: expected a default of type integer"},
      {"/parameters/0/default", 12, "parameters[0].default: expected a default between"},
      {"/parameters/0/default", 1e300, "parameters[0].default: expected a default of type integer"},
      {"/parameters/0/maximum", 0, "parameters[0].maximum: expected a maximum above"},
      {"/parameters/0/maximum", nullptr, "parameters[0].maximum: expected a number"},
      {"/parameters/0/minimum", "x", "parameters[0].minimum: expected a number"},
      {"/parameters/0/minimun", 1, "parameters[0]: unknown member 'minimun'"},
      {"/parameters/2/minimum", 1, "beside a type that is no number"},
      {"/parameters/3/choices", json::array(), "parameters[3].choices: expected 1 to 64"},
      {"/parameters/3/choices", {"other"}, "parameters[3].default: expected one of the choices"},
      {"/parameters/4/choices", {"x"}, "no choices beside a type that is no text"},
      {"/parameters/1/name", "n", "parameters[1].name: expected a name that is not taken"},
      {"/fields/0/axes", json::array(), "fields[0].axes: expected 1 to 6"},
      {"/fields/0/axes", {"a", "b", "c", "d", "e", "f", "g"}, "fields[0].axes: expected 1 to 6"},
      {"/fields/0/axes", {"layer", "layer"}, "fields[0].axes[1]: expected a name that is not in"},
      {"/fields/0/axes/1", {{"deep", 1}}, "fields[0].axes[1]: expected text"},
      {"/fields/0/kind", "colourful", "fields[0].kind: expected probability, signed or magnitude"},
      {"/fields/1/name", "f", "fields[1].name: expected a name that is not taken"},
      {"/tables/0/columns", "all", "tables[0].columns: expected an array"},
      {"/author", "me", "unknown member 'author'"},
  };
  ASSERT_EQ(refusal(full()), "");
  for (const Spoilt& spoilt : cases) {
    json manifest = full();
    manifest[json::json_pointer(spoilt.pointer)] = spoilt.value;
    EXPECT_THAT(refusal(manifest), HasSubstr(spoilt.reason)) << spoilt.pointer;
  }
  json many = full();
  for (int i = 0; i < 70; ++i)
    many["tables"].push_back({{"name", "t" + std::to_string(i)}, {"columns", {"a"}}});
  EXPECT_THAT(refusal(many), HasSubstr("tables: expected at most 64"));
  for (const char* needed : {"api", "id", "title", "summary", "citation", "library"}) {
    json manifest = full();
    manifest.erase(needed);
    EXPECT_THAT(refusal(manifest), HasSubstr(std::string(needed) + ": expected"));
  }
}

TEST(plugin_manifest, what_is_no_manifest_at_all_is_refused) {
  const std::string whole = full().dump();
  EXPECT_FALSE(parse_manifest("").ok());
  EXPECT_FALSE(parse_manifest("[1]").ok());
  EXPECT_FALSE(parse_manifest("null").ok());
  EXPECT_FALSE(parse_manifest(std::string(40000, '[')).ok());
  EXPECT_FALSE(parse_manifest(std::string("{\"api\": 1, \"id\": \"\xff\"}")).ok());
  EXPECT_FALSE(parse_manifest("{\"api\": 1e999}").ok());
  EXPECT_THAT(parse_manifest(whole + std::string(70000, ' ')).error().to_string(),
              HasSubstr("larger than 65536"));
  for (size_t size = 0; size < whole.size(); ++size)
    ASSERT_FALSE(parse_manifest(std::string_view(whole).substr(0, size)).ok()) << "cut at " << size;
}

TEST(plugin_manifest, a_file_has_to_lie_in_the_folder) {
  const PluginLab lab, elsewhere;
  elsewhere.write("outside.json", full());
  fs::create_symlink(elsewhere.folder() / "outside.json", lab.folder() / "link.json");
  EXPECT_THAT(lab.refusal(), HasSubstr("leads out of the folder"));
  fs::remove(lab.folder() / "link.json");
  fs::create_directory(lab.folder() / "folder.json");
  EXPECT_THAT(lab.refusal(), HasSubstr("no regular file"));
  fs::remove(lab.folder() / "folder.json");
  ASSERT_EQ(::mkfifo((lab.folder() / "pipe.json").c_str(), 0600), 0);  // reading it would wait for ever
  EXPECT_THAT(lab.refusal(), HasSubstr("no regular file"));
  fs::remove(lab.folder() / "pipe.json");
  fs::create_symlink("nowhere.json", lab.folder() / "broken.json");
  EXPECT_THAT(lab.refusal(), HasSubstr("cannot be found"));
  fs::remove(lab.folder() / "broken.json");
  lab.write("huge.json", std::string(size_t{1} << 20, ' '));
  EXPECT_THAT(lab.refusal(), HasSubstr("huge.json"));
  fs::remove(lab.folder() / "huge.json");
  lab.write("real.txt", full());
  fs::create_symlink("real.txt", lab.folder() / "inside.json");  // a link within the folder is fine
  EXPECT_THAT(lab.refusal(), HasSubstr("hostile_plugin.so cannot be found"));
}

// Bytes changed, dropped, doubled and swapped in a fitting manifest: it is read or refused, and what is read
// keeps the promises that the rest of the host relies on.
TEST(plugin_manifest, thousands_of_damaged_manifests_are_read_or_refused) {
  const std::string whole = full().dump();
  std::mt19937 random(20240817);
  const auto below = [&](size_t n) { return static_cast<size_t>(random() % n); };
  const std::string letters = "{}[]\",:0123456789.eE-+\\ntrufalsx/\x1b\xff";
  int taken = 0, refused = 0;
  for (int round = 0; round < 6000; ++round) {
    std::string text = whole;
    for (size_t change = 0, changes = 1 + below(4); change < changes; ++change) {
      const size_t at = below(text.size()), length = 1 + below(12);
      switch (below(4)) {
        case 0:
          text[at] = letters[below(letters.size())];
          break;
        case 1:
          text.erase(at, length);
          break;
        case 2:
          text.insert(at, text.substr(below(text.size()), length));
          break;
        default:
          std::swap(text[at], text[below(text.size())]);
      }
      if (text.empty()) text = "{";
    }
    const auto read = parse_manifest(text);
    if (!read.ok()) {
      ++refused;
      ASSERT_FALSE(read.error().message.empty());
      continue;
    }
    ++taken;
    ASSERT_EQ(read->library.find('/'), std::string::npos);
    ASSERT_FALSE(read->info.id.empty());
    for (const FieldPromise& field : read->fields) {
      ASSERT_GE(field.axes.size(), 1u);
      ASSERT_LE(field.axes.size(), 6u);
    }
    ASSERT_TRUE(complete_parameters(read->info, json::object()).ok());
    for (const ParameterInfo& parameter : read->info.parameters)
      ASSERT_TRUE(complete_parameters(read->info, {{parameter.name, parameter.default_value}}).ok()) << text;
  }
  EXPECT_GT(taken, 50);  // else the damage is too coarse to reach what comes after the parser
  EXPECT_GT(refused, 3000);
}

}  // namespace
}  // namespace saccade::plugins
