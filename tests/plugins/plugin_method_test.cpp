// What a loaded plugin may see and hand over.
#include "plugins/host/plugin_method.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "core/capture/attention_map.h"
#include "tests/plugins/plugin_lab.h"

namespace saccade {
namespace {

using nlohmann::json;
using testing::HasSubstr;

struct BadResult {
  const char* id;
  const char* reason;
};

TEST(plugin_method, whatever_does_not_fit_is_refused_by_name_and_the_host_lives_on) {
  const std::vector<BadResult> cases{
      {"throws", "threw an exception: out of?[2J ideas"},
      {"throws-a-number", "threw an exception"},
      {"odd-status", "returned 4711, which is no status"},
      {"silent", "did not say why"},
      {"bad-reason", "its reason is not UTF-8"},
      {"null-field", "add_field was given a null pointer"},
      {"old-field", "a struct of 8 bytes"},
      {"unknown-field", "the name of a field holds a control character"},
      {"nameless", "the name of a field is a null pointer"},
      {"twice", "field 'f' was handed over twice"},
      {"wrong-rank", "field 'f': it has 1073741824 axes, the manifest declares 2 (layer, head)"},
      {"wrong-axis", "axis 'key' stands where the manifest declares 'head'"},
      {"wrong-length", "axis 'head' has length 5, the run has 4"},
      {"wrong-count", "it has 13 values, its axes [3, 4] make 12"},
      {"wrong-kind", "its kind -5"},
      {"null-axes", "its axes or values are a null pointer"},
      {"null-values", "its axes or values are a null pointer"},
      {"negative", "axis 'row' has length -3"},
      {"none", "axis 'row' has length 0"},
      {"huge", "more than 268435456 values"},
      {"wraps", "axis 'row' has length 4294967296"},
      {"null-label", "label 0 of axis 'head' is a null pointer"},
      {"bad-utf8", "label 0 of axis 'head' is not UTF-8 at byte 1"},
      {"control", "holds a control character"},
      {"long-label", "longer than 256 bytes"},
      {"unit", "its label or unit holds a control character"},
      {"few-columns", "table 't': it has 1 columns, the manifest declares 2 (number, text)"},
      {"minus-rows", "it has -1 rows"},
      {"many-rows", "it has 9223372036854775807 rows"},
      {"null-cells", "its cells are a null pointer"},
      {"cell-type", "row 0: a cell's type 9"},
      {"null-cell", "a cell is a null pointer"},
      {"null-finding", "a finding is a null pointer"},
      {"chatter", "more than 1000 findings"},
  };
  const PluginLab lab;
  lab.library("hostile_plugin.so");
  for (const BadResult& bad : cases) lab.write(std::string(bad.id) + ".json", hostile_manifest(bad.id));
  lab.write("good.json", hostile_manifest("well-behaved"));
  const MethodCatalogue catalogue = lab.open();
  ASSERT_TRUE(catalogue.refused().empty()) << catalogue.refused()[0].reason;
  for (const BadResult& bad : cases) {
    const auto result = run_on_demo(catalogue, bad.id);
    ASSERT_FALSE(result.ok()) << bad.id;
    EXPECT_THAT(result.error().to_string(), HasSubstr(bad.reason));
    EXPECT_THAT(result.error().to_string(), HasSubstr(std::string("plugin ") + bad.id));
  }
  EXPECT_TRUE(run_on_demo(catalogue, "well-behaved").ok());
}

TEST(plugin_method, null_pointers_and_ranges_that_do_not_exist_fail_the_call_only) {
  const PluginLab lab;
  lab.library("hostile_plugin.so");
  lab.write("x.json", hostile_manifest("null-pointers"));
  const auto result = run_on_demo(lab.open(), "null-pointers");
  ASSERT_TRUE(result.ok()) << result.error().to_string();
  EXPECT_EQ(result->findings, std::vector<std::string>{"16 calls were refused"});
}

TEST(plugin_method, a_cancelled_plugin_keeps_what_it_handed_over_and_a_deaf_one_gets_no_more_tiles) {
  const PluginLab lab;
  lab.library("hostile_plugin.so");
  lab.write("deaf.json", hostile_manifest("deaf"));
  lab.write("partial.json", hostile_manifest("partial"));
  const MethodCatalogue catalogue = lab.open();
  JobContext job;
  job.cancel.cancel();
  const auto deaf = run_on_demo(catalogue, "deaf", json::object(), job);
  ASSERT_FALSE(deaf.ok());
  EXPECT_EQ(deaf.error().code, ErrorCode::cancelled);
  const auto partial = run_on_demo(catalogue, "partial", json::object(), job);
  ASSERT_TRUE(partial.ok()) << partial.error().to_string();
  EXPECT_TRUE(partial->partial);
  EXPECT_EQ(partial->fields.size(), 1u);
}

class Inspector : public testing::Test {
 protected:
  void SetUp() override {
    lab_.library("inspector.so");
    open("");
  }
  void open(const std::string& sites) {
    json manifest = hostile_manifest("inspector");
    manifest["library"] = "inspector.so";
    manifest["sites"] = sites;
    manifest["parameters"] = json::parse(R"([
      {"name": "view", "type": "text", "default": "q"}, {"name": "layer", "type": "integer", "default": 1},
      {"name": "tile", "type": "boolean", "default": false}, {"name": "level", "type": "integer", "default": 0},
      {"name": "half", "type": "number", "default": 0.5}])");
    manifest["fields"] = json::parse(R"([{"name": "view", "axes": ["a", "b", "c", "d"]},
                                         {"name": "tile", "axes": ["which", "row", "column"]}])");
    lab_.write("inspector.json", manifest);
    catalogue_ = std::make_unique<MethodCatalogue>(lab_.open());
    ASSERT_TRUE(catalogue_->refused().empty()) << catalogue_->refused()[0].reason;
  }
  Result<AnalysisResult> look(const json& parameters, const JobContext& job = {}) {
    return run_on_demo(*catalogue_, "inspector", parameters, job);
  }
  PluginLab lab_;
  std::unique_ptr<MethodCatalogue> catalogue_;
};

TEST_F(Inspector, views_are_the_numbers_of_the_run) {
  const Capture& capture = *demo_run()->capture;
  const LayerCapture& layer = *capture.layers[1];
  HostTensor loss({static_cast<int64_t>(capture.loss.size())});
  std::copy(capture.loss.begin(), capture.loss.end(), loss.mutable_values().begin());
  HostTensor max_key(layer.statistics.max_weight.shape());
  std::copy(layer.statistics.max_key.begin(), layer.statistics.max_key.end(),
            max_key.mutable_values().begin());
  const std::vector<std::pair<const char*, const HostTensor*>> views{
      {"q", &layer.q},
      {"k", &layer.k},
      {"lse", &layer.lse},
      {"resid_pre", &layer.resid_pre},
      {"entropy", &layer.statistics.entropy},
      {"max_weight", &layer.statistics.max_weight},
      {"max_key", &max_key},
      {"sink_mass", &layer.statistics.sink_mass},
      {"local_mass", &layer.statistics.local_mass},
      {"mean_distance", &layer.statistics.mean_distance},
      {"received", &layer.statistics.received},
      {"received_max", &layer.statistics.received_max},
      {"final_resid", &capture.final_resid},
      {"last_logits", &capture.last_logits},
      {"loss", &loss}};
  for (const auto& [name, expected] : views) {
    if (expected->empty()) {
      EXPECT_THAT(look({{"view", name}}).error().to_string(), HasSubstr("kept no"));
      continue;
    }
    const auto result = look({{"view", name}});
    ASSERT_TRUE(result.ok()) << result.error().to_string();
    std::vector<int64_t> shape = expected->shape();
    shape.resize(4, 1);
    EXPECT_EQ(result->fields[0].values.shape(), shape) << name;
    EXPECT_TRUE(std::equal(expected->values().begin(), expected->values().end(),
                           result->fields[0].values.values().begin()))
        << name;
  }
}

TEST_F(Inspector, sites_of_the_manifest_are_recorded_for_it) {
  ASSERT_TRUE(demo_run()->capture->sites.empty());
  EXPECT_THAT(look({{"view", "blocks.2.attn.hook_v"}}).error().to_string(), HasSubstr("kept no"));
  open("v");
  const auto result = look({{"view", "blocks.2.attn.hook_v"}});
  ASSERT_TRUE(result.ok()) << result.error().to_string();
  RunRequest request = demo_run()->request;
  request.capture.sites = {{HookSite::v, 2}};
  const auto run = demo_lab().run(request);
  const HostTensor& v = run->capture->sites.at({HookSite::v, 2});
  ASSERT_EQ(result->fields[0].values.size(), v.size());
  EXPECT_TRUE(std::equal(v.values().begin(), v.values().end(), result->fields[0].values.values().begin()));
}

TEST_F(Inspector, tiles_are_those_of_the_map) {
  const auto map =
      AttentionMap::of(demo_run()->capture, {LayerIndex{1}, HeadIndex{1}}, demo_lab().runner->kernels());
  ASSERT_TRUE(map.ok());
  for (const int level : {0, 1, 2, 20}) {
    const auto tile = map->tile(0, map->size(), 0, map->size(), int64_t{1} << level);
    ASSERT_TRUE(tile.ok());
    const auto result = look({{"tile", true}, {"level", level}});
    ASSERT_TRUE(result.ok()) << result.error().to_string();
    const HostTensor& seen = result->fields[1].values;
    ASSERT_EQ(seen.shape(), (std::vector<int64_t>{2, tile->rows, tile->columns}));
    for (int64_t i = 0; i < tile->block_mass.size(); ++i) {
      EXPECT_EQ(seen.slice(0)[static_cast<size_t>(i)], tile->block_mass.data()[i]);
      EXPECT_EQ(seen.slice(1)[static_cast<size_t>(i)], tile->block_max.data()[i]);
    }
  }
}

TEST_F(Inspector, progress_reaches_the_job) {
  double fraction = 0.0;
  std::string what;
  JobContext job;
  job.on_progress = [&](double f, std::string_view w) {
    fraction = f;
    what = w;
  };
  ASSERT_TRUE(look({}, job).ok());
  EXPECT_EQ(fraction, 0.5);
  EXPECT_EQ(what, "half way");
}

}  // namespace
}  // namespace saccade
