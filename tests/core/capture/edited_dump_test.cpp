// Dumps of runs with edited maps, and of statistics kept on request.
#include <fmt/format.h>
#include <gmock/gmock.h>

#include <cstring>

#include "core/capture/attention_map.h"
#include "core/capture/dump.h"
#include "tests/core/capture/capture_fixture.h"
#include "tests/core/capture/python.h"

namespace saccade {
namespace {

using fixtures::python_with_h5py, fixtures::run_python;
using testing::HasSubstr;

// Two layers of two heads; head 1.1 goes through every kind of edit, head 0.0 has one of weights, head 0.1
// one of scores.
std::shared_ptr<Capture> edited_capture(int64_t n = 20) {
  std::mt19937 random(3);
  auto capture = fixtures::random_capture(n, 2, 2, 1);
  WeightEdit redistribute;
  redistribute.kind = WeightEditKind::redistribute;
  redistribute.keys = {{0, 1}};
  redistribute.to = {{1, 1000}};
  redistribute.value = 0.4F;
  ScoreEdit temperature;
  temperature.kind = ScoreEditKind::temperature;
  temperature.keys = {{0, 1000}};
  temperature.value = 0.5F;
  HeadPlan all;
  for (const ScoreEditKind kind : {ScoreEditKind::temperature, ScoreEditKind::bias, ScoreEditKind::boost,
                                   ScoreEditKind::cut, ScoreEditKind::stream, ScoreEditKind::flat}) {
    ScoreEdit edit = temperature;
    edit.kind = kind;
    edit.query = {4, 9};
    edit.keys = {{1, 3}, {5, 6}};
    edit.sink = 2;
    edit.recent = 7;
    all.scores.push_back(edit);
  }
  for (const WeightEditKind kind :
       {WeightEditKind::scale_columns, WeightEditKind::renormalise, WeightEditKind::redistribute,
        WeightEditKind::identity, WeightEditKind::uniform, WeightEditKind::power, WeightEditKind::sharpen,
        WeightEditKind::replace}) {
    WeightEdit edit = redistribute;
    edit.kind = kind;
    edit.query = {3, 12};
    edit.least_mass = 0.1F;
    if (kind == WeightEditKind::redistribute) {
      edit.to = {{1, 7}};
      edit.among = {{0, 9}};
    }
    if (kind == WeightEditKind::scale_columns) edit.values = {0.25F};
    if (kind == WeightEditKind::replace) {
      edit.query = {6, 8};
      edit.keys = {{1, 4}};
      edit.block_first_key = 1;
      edit.block_columns = 3;
      edit.block = {0.1F, 0.2F, 0.3F, 0.05F, 0.0F, 0.15F};
    }
    all.weights.push_back(edit);
  }
  const std::vector<std::vector<HeadPlan>> plans{{{{}, {redistribute}, {}}, {{temperature}, {}, {}}},
                                                 {{}, all}};
  for (size_t l = 0; l < 2; ++l)
    capture->layers[l] = std::make_shared<LayerCapture>(
        fixtures::random_layer(capture->spec, n, random, capture->layers[l]->knockouts, plans[l]));
  return capture;
}

std::shared_ptr<const Capture> through_a_file(const Capture& capture, const std::filesystem::path& path,
                                              const DumpOptions& options = {}) {
  const auto written = write_dump(capture, path, options, fixtures::kernels(), {});
  EXPECT_TRUE(written.ok()) << written.error().to_string();
  auto read = read_dump(path);
  EXPECT_TRUE(read.ok()) << read.error().to_string();
  return read.ok() ? *read : nullptr;
}

std::vector<float> map_of(const std::shared_ptr<const Capture>& capture, int32_t l, int32_t h) {
  const auto map = AttentionMap::of(capture, {LayerIndex{l}, HeadIndex{h}}, fixtures::kernels());
  EXPECT_TRUE(map.ok()) << map.error().to_string();
  std::vector<float> values(static_cast<size_t>(map->size() * map->size()));
  EXPECT_TRUE(map->rows(0, map->size(), map->size(), values).ok());
  return values;
}

TEST(EditedDump, RegeneratesEveryEditedMapBitForBit) {
  const fixtures::TemporaryFolder folder;
  const std::shared_ptr<const Capture> capture = edited_capture();
  const auto again = through_a_file(*capture, folder / "a.h5");
  ASSERT_TRUE(again);
  for (int32_t l = 0; l < 2; ++l)
    for (int32_t h = 0; h < 2; ++h) EXPECT_EQ(map_of(again, l, h), map_of(capture, l, h)) << l << "." << h;
  EXPECT_TRUE(again->layers[1]->plans[0].empty());
  EXPECT_EQ(again->layers[1]->plans[1].weights.back().block,
            capture->layers[1]->plans[1].weights.back().block);
  const auto twice = through_a_file(*again, folder / "b.h5");
  EXPECT_EQ(fixtures::bytes_of(folder / "a.h5"), fixtures::bytes_of(folder / "b.h5"));
}

TEST(EditedDump, AMapWithoutItsFactorsSaysWhatIsMissing) {
  auto capture = edited_capture();
  auto bare = std::make_shared<LayerCapture>(*capture->layers[0]);
  bare->row_factors.clear();
  capture->layers[0] = bare;
  const auto map = AttentionMap::of(capture, {LayerIndex{0}, HeadIndex{0}}, fixtures::kernels());
  ASSERT_FALSE(map.ok());
  EXPECT_THAT(map.error().message,
              HasSubstr("head 0.0: its map was edited, but the run kept no row factors [2, 20]"));
  EXPECT_TRUE(AttentionMap::of(capture, {LayerIndex{0}, HeadIndex{1}}, fixtures::kernels()).ok())
      << "edits of scores need none";
}

// The oracle is numpy: FORMAT.md's formulas on what h5py reads.
TEST(EditedDump, H5pyMakesTheEditedMapFromThePlanAndTheFactors) {
  if (python_with_h5py().empty()) GTEST_SKIP() << "no python3 with h5py here";
  const fixtures::TemporaryFolder folder;
  through_a_file(*edited_capture(), folder / "a.h5",
                 {{{HookSite::pattern, 0}, {HookSite::attn_scores, 0}}, false});
  EXPECT_EQ(run_python(folder / "a.h5", R"(
f = h5py.File(path, "r")
plans = [json.loads(t) for t in f["edits/plans"].asstr()]
assert [(p["layer"], p["head"], p["factors"]) for p in plans] == [(0, 0, 2), (0, 1, 0), (1, 1, 16)]
assert f["edits/row_factors"].shape == (18, 20) and f["edits/blocks"].shape == (6,)
assert f["edits/row_factors"].dims[1].label == "query" and f["edits/plans"].dims[0].label == "plan"
q, k = f["blocks.0.attn.hook_q"][:].astype(float), f["blocks.0.attn.hook_k"][:].astype(float)
lse = f["blocks.0.attn.lse"][:].astype(float)
s = np.einsum("qhd,kd->hqk", q, k[:, 0]) / math.sqrt(8)
s[:, np.triu(np.ones((20, 20), bool), 1)] = -np.inf
edit = plans[1]["scores"][0]
assert edit["kind"] == "temperature" and edit["query"][0] == 0
s[1, :, edit["keys"][0][0]:edit["keys"][0][1]] /= edit["value"]
p = np.exp(s - lse[..., None])
edit = plans[0]["weights"][0]
assert edit["kind"] == "redistribute"
a, b = f["edits/row_factors"][0], f["edits/row_factors"][1]
p[0, :, 0] *= a
p[0, :, 1:] *= b[:, None]
assert np.abs(p.sum(-1) - 1).max() < 1e-5
# lse is float32: where it is 16 and more, p carries 1e-6 of its rounding and more.
assert np.abs(p - f["blocks.0.attn.hook_pattern"][:]).max() < 1e-5
scores = f["blocks.0.attn.hook_attn_scores"][:]
finite = np.isfinite(s)
assert (np.isfinite(scores) == finite).all() and np.abs(s[finite] - scores[finite]).max() < 2e-5
)"),
            "");
}

TEST(EditedDump, AFileOfVersionOneIsReadAsItWas) {
  if (python_with_h5py().empty()) GTEST_SKIP() << "no python3 with h5py here";
  const fixtures::TemporaryFolder folder;
  const std::shared_ptr<const Capture> capture = fixtures::random_capture(12, 2, 2, 1);
  through_a_file(*capture, folder / "a.h5");
  ASSERT_EQ(run_python(folder / "a.h5", R"(
with h5py.File(path, "r+") as f:
    assert "edits" not in f and "statistics/key_sets" not in f
    f.attrs["version"] = np.int64(1)
    del f.attrs["block_size"]
)"),
            "");
  const auto read = read_dump(folder / "a.h5");
  ASSERT_TRUE(read.ok()) << read.error().to_string();
  EXPECT_EQ(inspect_dump(folder / "a.h5")->version, 1);
  EXPECT_EQ(map_of(*read, 1, 1), map_of(capture, 1, 1));
}

TEST(EditedDump, KeepsStatisticsOnRequestAndClampsKnockoutsWithoutAnEnd) {
  const fixtures::TemporaryFolder folder;
  const auto capture = fixtures::random_capture(12, 2, 2, 1);
  std::mt19937 random(5);
  capture->block_size = 5;
  for (auto& layer : capture->layers) {
    auto more = std::make_shared<LayerCapture>(*layer);
    HeadStatistics& s = more->statistics;
    s.value_mass = fixtures::random_tensor({2, 12}, random);
    s.key_mass["image / tokens"] = fixtures::random_tensor({2, 12}, random);
    s.key_mass["sinks"] = fixtures::random_tensor({2, 12}, random);
    s.block_max = fixtures::random_tensor({2, 3, 3}, random);
    s.block_mass = fixtures::random_tensor({2, 3, 3}, random);
    more->knockouts = {{}, {{3, std::numeric_limits<int32_t>::max(), 0, 2}}};
    layer = more;
  }
  const auto again = through_a_file(*capture, folder / "a.h5");
  ASSERT_TRUE(again);
  const auto same = [](const HostTensor& a, const HostTensor& b) {
    return a.shape() == b.shape() && std::memcmp(a.data(), b.data(), static_cast<size_t>(a.bytes())) == 0;
  };
  for (size_t l = 0; l < 2; ++l) {
    const HeadStatistics &a = capture->layers[l]->statistics, &b = again->layers[l]->statistics;
    EXPECT_TRUE(same(a.value_mass, b.value_mass) && same(a.block_max, b.block_max) &&
                same(a.block_mass, b.block_mass));
    ASSERT_EQ(b.key_mass.size(), 2U);
    for (const auto& [name, mass] : a.key_mass) EXPECT_TRUE(same(mass, b.key_mass.at(name))) << name;
  }
  EXPECT_EQ(again->layers[0]->knockouts[1][0].query_end, 12);
}

TEST(EditedDump, PlansThatTheKernelsCouldNotTrustAreRefused) {
  if (python_with_h5py().empty()) GTEST_SKIP() << "no python3 with h5py here";
  struct Forgery {
    std::string script, expected;
  };
  const auto plan = [](const std::string& change, size_t index = 2) {
    return fmt::format(
        "t = f['edits/plans'].asstr()[:]; p = json.loads(t[{0}]); {1}; f['edits/plans'][{0}] = json.dumps(p)",
        index, change);
  };
  const std::vector<Forgery> forgeries{
      {"f['edits/plans'][0] = '{'", "expected JSON"},
      {"f['edits/plans'][0] = '[' * 5000 + ']' * 5000", "expected a layer below 2"},
      {plan("p['layer'] = 2"), "expected a layer below 2"},
      {plan("p['head'] = -1"), "expected a head below 2"},
      {plan("p['layer'] = 0; p['head'] = 1"), "head 0.1 has two plans"},
      {plan("p['scores'][0]['kind'] = 'magic'"), "expected the name of a kind, found \"magic\""},
      {plan("p['scores'][0]['value'] = 0"), "expected a temperature above 0, found 0"},
      {plan("p['scores'][0]['keys'] = [[3, 1]]"), "expected ranges in order"},
      {plan("p['scores'][1]['value'] = 'two'"), "expected a finite number, found \"two\""},
      {plan("p['scores'][0]['query'] = [5]"), "expected [begin, end], found [5]"},
      {plan("del p['weights'][2]['to']"), "to: expected a value"},
      {plan("p['weights'][0]['values'] = [1, 2]"), "values: expected one for each of 1 keys, found 2"},
      {plan("p['weights'][7]['block_columns'] = 4"), "expected 2 rows of 4 from number 0, there are 6"},
      {plan("p['weights'][7]['block_begin'] = 1 << 62"), "there are 6"},
      {plan("p['weights'][7]['query'] = [0, 1 << 62]"), "there are 6"},
      {plan("p['weights'][5]['value'] = -1"), "expected an exponent above 0"},
      {plan("p['factors'] = 3"), "expected 16 factors or none"},
      {"del f['edits/blocks']", "there are 0"},
      {"v = f['edits/row_factors'][:3]; del f['edits/row_factors']; f['edits/row_factors'] = v",
       "'edits/row_factors': expected 18 rows"},
  };
  const fixtures::TemporaryFolder folder;
  through_a_file(*edited_capture(), folder / "a.h5");
  std::string script = "whole = open(path, 'rb').read()\n";
  for (size_t i = 0; i < forgeries.size(); ++i)
    script += fmt::format(
        "open(path + '.{0}', 'wb').write(whole)\nf = h5py.File(path + '.{0}', 'r+')\n{1}\nf.close()\n", i,
        forgeries[i].script);
  ASSERT_EQ(run_python(folder / "a.h5", script), "");
  for (size_t i = 0; i < forgeries.size(); ++i) {
    const auto read = read_dump(folder / fmt::format("a.h5.{}", i));
    ASSERT_FALSE(read.ok()) << forgeries[i].script;
    EXPECT_THAT(read.error().to_string(), HasSubstr(forgeries[i].expected)) << forgeries[i].script;
  }
}

}  // namespace
}  // namespace saccade
