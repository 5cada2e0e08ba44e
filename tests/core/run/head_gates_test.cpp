// DuoAttention's gates: reading them, cutting them, and streaming the heads that fall under the cut.
#include "core/run/head_gates.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <fstream>

#include "core/run/edit_references.h"
#include "core/run/run_request.h"
#include "tests/core/run/fixtures.h"

namespace saccade {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

std::filesystem::path written(const std::string& name, const std::string& text) {
  const auto path = std::filesystem::temp_directory_path() / name;
  std::ofstream(path) << text;
  return path;
}

ModelSpec spec_of(int32_t layers, int32_t heads, int32_t kv_heads) {
  ModelSpec spec;
  spec.n_layer = layers;
  spec.n_head = heads;
  spec.n_kv_head = kv_heads;
  return spec;
}

TEST(HeadGates, the_cut_is_the_linear_quantile_at_the_sparsity) {
  const std::vector<float> gates{0.1F, 0.4F, 0.6F, 0.9F};
  EXPECT_THAT(full_heads(gates, 0.5), ElementsAre(false, false, true, true));
  EXPECT_THAT(full_heads(gates, 0.75), ElementsAre(false, false, false, true));
  EXPECT_THAT(full_heads(gates, 0.0), ElementsAre(true, true, true, true));
  EXPECT_THAT(full_heads(gates, 1.0), ElementsAre(false, false, false, false));
}

TEST(HeadGates, ties_are_broken_the_same_way_each_time_and_by_less_than_any_difference) {
  const std::vector<float> gates{0.5F, 0.5F, 0.5F, 0.5F, 0.500002F};
  const auto full = full_heads(gates, 0.8);
  EXPECT_EQ(std::count(full.begin(), full.end(), true), 1);
  EXPECT_TRUE(full[4]) << "noise of at most 1e-6 cannot lift another over it";
  const auto most = full_heads(gates, 0.5);
  EXPECT_EQ(std::count(most.begin(), most.end(), true), 3);
  EXPECT_EQ(most, full_heads(gates, 0.5));
}

TEST(HeadGates, a_file_is_rows_of_layers_clipped_to_0_and_1) {
  const auto path = written("saccade_gates.tsv", "-1.4e-3\t0.25\n1.0e+00\t1.5\n");
  const auto gates = read_head_gates(path);
  ASSERT_TRUE(gates.ok()) << gates.error().to_string();
  EXPECT_THAT(*(*gates)->find("gates/0"), ElementsAre(0.0F, 0.25F));
  EXPECT_THAT(*(*gates)->find("gates/1"), ElementsAre(1.0F, 1.0F));
  EXPECT_EQ((*gates)->find("gates/2"), nullptr);
}

TEST(HeadGates, a_file_that_is_none_is_refused_with_its_line) {
  const auto refusal = [](const std::string& text) {
    const auto gates = read_head_gates(written("saccade_no_gates.tsv", text));
    return gates.ok() ? std::string() : gates.error().to_string();
  };
  EXPECT_THAT(refusal("0.1\t0.2\n0.3\n"), HasSubstr("line 2 has 1 gates, the first 2"));
  EXPECT_THAT(refusal("0.1\thigh\n"), HasSubstr("line 1: expected numbers between tabs, found 'high'"));
  EXPECT_THAT(refusal("0.1\tnan\n"), HasSubstr("line 1"));
  EXPECT_THAT(refusal(""), HasSubstr("expected a row of gates per layer"));
}

TEST(HeadGates, a_kv_head_under_the_cut_streams_with_all_its_query_heads) {
  const auto gates = read_head_gates(written("saccade_gates_2.tsv", "0.1\t0.9\n0.6\t0.4\n"));
  ASSERT_TRUE(gates.ok());
  const auto edit = parse_edit("stream *.* from=gates.tsv by=0.5 sink=4 recent=8");
  ASSERT_TRUE(edit.ok()) << edit.error().to_string();
  const auto streams = streams_of(*edit, **gates, spec_of(2, 4, 2));
  ASSERT_TRUE(streams.ok()) << streams.error().to_string();
  ASSERT_EQ(streams->size(), 2U);
  EXPECT_EQ(to_text((*streams)[0]), "stream 0.0,1 sink=4 recent=8");
  EXPECT_EQ(to_text((*streams)[1]), "stream 1.2,3 sink=4 recent=8");
  const auto layer = streams_of(*parse_edit("stream 1.3 from=gates.tsv by=0.5"), **gates, spec_of(2, 4, 2));
  ASSERT_EQ(layer->size(), 1U);
  EXPECT_EQ(to_text(layer->front()), "stream 1.3 sink=64 recent=256");
  const auto other = streams_of(*edit, **gates, spec_of(3, 4, 4));
  EXPECT_THAT(other.error().message, HasSubstr("gates for 2 layers of 2 KV heads, this model has 3 of 4"));
}

TEST(HeadGates, the_verb_has_a_text_a_slider_and_a_neutral_value) {
  const auto edit = parse_edit("stream *.* from=gates.tsv by=0.5");
  ASSERT_TRUE(edit.ok());
  EXPECT_EQ(to_text(*edit), "stream *.* from=gates.tsv by=0.5 sink=64 recent=256");
  EXPECT_TRUE(has_effect(*edit));
  EXPECT_FALSE(has_effect(*parse_edit("stream *.* from=gates.tsv by=0")));
  EXPECT_THAT(parse_edit("stream *.* by=0.5").error().message, HasSubstr("needs their gates"));
  EXPECT_THAT(parse_edit("stream *.* from=g.tsv by=1.5").error().message, HasSubstr("from 0 to 1"));
}

TEST(HeadGates, the_digest_of_a_request_follows_the_gates_and_not_their_name) {
  const auto request = [](const std::string& name, const std::string& text, const std::string& by) {
    RunRequest made;
    const auto path = written(name, text);
    made.edits = {*parse_edit("stream *.* from=" + path.string() + " by=" + by)};
    EditFiles known;
    EXPECT_TRUE(load_references(made, known, nullptr).ok());
    return made.digest();
  };
  const std::string digest = request("saccade_a.tsv", "0.1\t0.9\n", "0.5");
  EXPECT_EQ(digest, request("saccade_b.tsv", "0.1\t0.9\n", "0.5"));
  EXPECT_NE(digest, request("saccade_a.tsv", "0.9\t0.1\n", "0.5"));
  EXPECT_NE(digest, request("saccade_a.tsv", "0.1\t0.9\n", "0.25"));
}

TEST(HeadGates, a_run_under_gates_is_bit_for_bit_the_run_with_those_heads_streaming) {
  const auto opened = fixtures::open(fixtures::golden("llama_linear_rope_biases").string());
  const ModelSpec& spec = opened.model->spec();
  ASSERT_EQ(spec.n_head, 4);
  ASSERT_EQ(spec.n_kv_head, 2);
  std::string rows;
  for (int32_t layer = 0; layer < spec.n_layer; ++layer) rows += "0.1\t0.9\n";
  const auto path = written("saccade_gates_run.tsv", rows);
  const std::string text = "stream *.* from=" + path.string() + " by=0.5 sink=1 recent=2";
  const std::vector<int32_t> ids{5, 9, 23, 5, 9, 40, 11, 5};
  RunRequest gated = fixtures::request(opened, ids, {text});
  EXPECT_THAT(opened.runner->run(gated, nullptr, {}).error().message, HasSubstr("no file of vectors named"));
  EditFiles known;
  ASSERT_TRUE(load_references(gated, known, nullptr).ok());
  const auto a = opened.runner->run(gated, nullptr, {});
  ASSERT_TRUE(a.ok()) << a.error().to_string();
  const auto b = fixtures::run(opened, fixtures::request(opened, ids, {"stream *.0-1 sink=1 recent=2"}));
  const auto plain = fixtures::run(opened, fixtures::request(opened, ids));
  const auto logits = [](const auto& run) {
    const auto values = run->capture->last_logits.values();
    return std::vector<float>(values.begin(), values.end());
  };
  EXPECT_EQ(logits(*a), logits(b));
  EXPECT_NE(logits(*a), logits(plain));
}

TEST(HeadGates, published_files_keep_the_shares_that_their_paper_deploys) {
  const char* data = std::getenv("SACCADE_TEST_DATA");
  if (data == nullptr) GTEST_SKIP() << "SACCADE_TEST_DATA is not set: no published gates to read";
  const std::filesystem::path folder = std::filesystem::path(data) / "golden" / "duo_attention";
  const auto share_of = [&](const char* model, size_t layers, size_t kv_heads, double sparsity) {
    const auto gates = read_head_gates(folder / model);
    EXPECT_TRUE(gates.ok()) << gates.error().to_string();
    std::vector<float> all;
    for (size_t layer = 0; layer < layers; ++layer) {
      const auto* row = (*gates)->find("gates/" + std::to_string(layer));
      EXPECT_EQ(row->size(), kv_heads);
      all.insert(all.end(), row->begin(), row->end());
    }
    EXPECT_EQ(*(*gates)->find("sink_size"), std::vector<float>{128.0F});
    EXPECT_EQ(*(*gates)->find("recent_size"), std::vector<float>{256.0F});
    EXPECT_TRUE(std::all_of(all.begin(), all.end(), [](float gate) { return gate >= 0.0F && gate <= 1.0F; }));
    if (kv_heads == 32) {
      EXPECT_EQ(all.size(), 1024U);
      EXPECT_NEAR(
          static_cast<double>(std::count_if(all.begin(), all.end(), [](float g) { return g >= 0.5F; })) /
              1024,
          0.44, 0.005);  // two digits are published
    }
    const auto full = full_heads(all, sparsity);
    return static_cast<double>(std::count(full.begin(), full.end(), true)) / static_cast<double>(full.size());
  };
  EXPECT_DOUBLE_EQ(share_of("Llama-2-7B-32K-Instruct", 32, 32, 0.75), 0.25);
  EXPECT_DOUBLE_EQ(share_of("Meta-Llama-3.1-8B-Instruct", 32, 8, 0.5), 0.5);
}

}  // namespace
}  // namespace saccade
