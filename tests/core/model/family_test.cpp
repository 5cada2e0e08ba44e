// What a family reads out of a config.json: both rotary spellings, defaults, and refusals by name.
#include "core/model/family.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <nlohmann/json.hpp>

namespace saccade {
namespace {

using Json = nlohmann::json;
using testing::AllOf;
using testing::HasSubstr;

Json llama() {
  return {{"model_type", "llama"},    {"hidden_size", 64}, {"intermediate_size", 172},
          {"num_hidden_layers", 2},   {"vocab_size", 512}, {"max_position_embeddings", 256},
          {"num_attention_heads", 8}, {"eos_token_id", 2}};
}

Json gpt2() {
  return {{"model_type", "gpt2"}, {"n_embd", 48},      {"n_layer", 2},
          {"n_head", 4},          {"n_positions", 64}, {"vocab_size", 96}};
}

Result<ModelSpec> read(const Json& config) {
  return find_family(config["model_type"].get<std::string>())->read_config(config);
}

std::string refusal(const Json& config) {
  const auto spec = read(config);
  return spec.ok() ? "accepted" : spec.error().to_string();
}

TEST(LlamaConfig, what_is_not_said_has_the_value_transformers_gives_it) {
  const auto spec = read(llama());
  ASSERT_TRUE(spec.ok()) << spec.error().to_string();
  EXPECT_EQ(spec->n_kv_head, 8);
  EXPECT_EQ(spec->d_head, 8);
  EXPECT_EQ(spec->rotary.base, 10000.0);
  EXPECT_EQ(spec->rotary.dimensions, 8);
  EXPECT_EQ(spec->norm_epsilon, 1e-6);
  EXPECT_EQ(spec->activation, Activation::silu);
  EXPECT_EQ(spec->eos_ids, std::vector<int32_t>{2});
  EXPECT_DOUBLE_EQ(spec->attention_scale, 1.0 / std::sqrt(8.0));
  EXPECT_FALSE(spec->tied_unembedding);
  EXPECT_FALSE(spec->qkv_bias);
  EXPECT_FALSE(spec->mlp_bias);
}

TEST(LlamaConfig, a_head_size_of_its_own_and_several_end_tokens_are_read) {
  Json config = llama();
  config["head_dim"] = 16;
  config["num_key_value_heads"] = 2;
  config["eos_token_id"] = {2, 7};
  const auto spec = read(config);
  ASSERT_TRUE(spec.ok()) << spec.error().to_string();
  EXPECT_EQ(spec->d_head, 16);
  EXPECT_EQ(spec->kv_head_of(3), 0);
  EXPECT_EQ(spec->kv_head_of(4), 1);
  EXPECT_EQ(spec->eos_ids, (std::vector<int32_t>{2, 7}));
  EXPECT_DOUBLE_EQ(spec->attention_scale, 0.25);
}

TEST(LlamaConfig, every_spelling_of_the_rotary_settings_means_the_same) {
  const Json scaling{{"factor", 8.0},
                     {"low_freq_factor", 1.0},
                     {"high_freq_factor", 4.0},
                     {"original_max_position_embeddings", 64}};
  std::vector<Json> configs(3, llama());
  for (size_t i = 0; i < 2; ++i) {
    configs[i]["rope_theta"] = 5000.0;
    configs[i]["rope_scaling"] = scaling;
    configs[i]["rope_scaling"][i == 0 ? "type" : "rope_type"] = "llama3";
  }
  configs[2]["rope_theta"] = 1.0;  // the one inside wins
  configs[2]["rope_parameters"] = scaling;
  configs[2]["rope_parameters"]["rope_type"] = "llama3";
  configs[2]["rope_parameters"]["rope_theta"] = 5000.0;
  for (const Json& config : configs) {
    const auto spec = read(config);
    ASSERT_TRUE(spec.ok()) << spec.error().to_string();
    EXPECT_EQ(spec->rotary.scaling, RotaryScaling::llama3);
    EXPECT_EQ(spec->rotary.base, 5000.0);
    EXPECT_EQ(spec->rotary.factor, 8.0);
    EXPECT_EQ(spec->rotary.low_frequency_factor, 1.0);
    EXPECT_EQ(spec->rotary.high_frequency_factor, 4.0);
    EXPECT_EQ(spec->rotary.original_context, 64);
  }
}

TEST(LlamaConfig, rotary_settings_that_are_incomplete_contradictory_or_not_known_are_refused_by_key) {
  const auto with = [](const char* key, const Json& value) {
    Json config = llama();
    config[key] = value;
    return config;
  };
  EXPECT_THAT(refusal(with("rope_scaling", {{"type", "linear"}})),
              AllOf(HasSubstr("rope_scaling.factor"), HasSubstr("found nothing")));
  EXPECT_THAT(refusal(with("rope_scaling", {{"rope_type", "llama3"}, {"factor", 8.0}})),
              HasSubstr("rope_scaling.low_freq_factor"));
  EXPECT_THAT(refusal(with("rope_scaling", {{"rope_type", "llama3"},
                                            {"factor", 8.0},
                                            {"low_freq_factor", 4.0},
                                            {"high_freq_factor", 4.0},
                                            {"original_max_position_embeddings", 64}})),
              AllOf(HasSubstr("high_freq_factor"), HasSubstr("more than low_freq_factor")));
  EXPECT_THAT(refusal(with("rope_parameters", {{"rope_type", "spiral"}, {"factor", 2.0}})),
              AllOf(HasSubstr("'rope_parameters.rope_type'"), HasSubstr("spiral"), HasSubstr("yarn")));
  EXPECT_THAT(refusal(with("rope_parameters", {{"rope_type", "longrope"}, {"short_factor", {1.0, -1.0}}})),
              AllOf(HasSubstr("rope_parameters.short_factor"), HasSubstr("positive numbers")));
  EXPECT_THAT(refusal(with("rope_parameters", {{"partial_rotary_factor", 0.4}})),
              HasSubstr("an even number of dimensions"));
  EXPECT_THAT(refusal(with("rope_parameters", {{"full_attention", {{"rope_type", "default"}}}})),
              HasSubstr("rope_parameters.full_attention"));
  Json both = with("rope_parameters", {{"rope_type", "linear"}, {"factor", 2.0}});
  both["rope_scaling"] = {{"type", "dynamic"}, {"factor", 2.0}};
  EXPECT_THAT(refusal(both), AllOf(HasSubstr("rope_scaling"), HasSubstr("dynamic"), HasSubstr("linear")));
}

TEST(LlamaConfig, sizes_that_do_not_go_together_are_refused_with_both) {
  Json config = llama();
  config["hidden_size"] = 60;
  EXPECT_THAT(refusal(config), AllOf(HasSubstr("hidden_size"), HasSubstr("60"), HasSubstr("8")));
  config = llama();
  config["num_key_value_heads"] = 16;
  EXPECT_THAT(refusal(config), AllOf(HasSubstr("num_key_value_heads"), HasSubstr("16")));
  config = llama();
  config["head_dim"] = 7;
  EXPECT_THAT(refusal(config), HasSubstr("an even number of dimensions of a head, found 7 of 7"));
  config = llama();
  config["eos_token_id"] = -1;
  EXPECT_THAT(refusal(config), AllOf(HasSubstr("eos_token_id"), HasSubstr("-1")));
}

TEST(Gpt2Config, the_mlp_is_four_times_as_wide_unless_said_and_scores_may_stay_unscaled) {
  Json config = gpt2();
  config["n_inner"] = nullptr;
  EXPECT_EQ(read(config)->d_mlp, 192);
  config["n_inner"] = 100;
  EXPECT_EQ(read(config)->d_mlp, 100);
  EXPECT_EQ(read(config)->activation, Activation::gelu_tanh);
  EXPECT_DOUBLE_EQ(read(config)->attention_scale, 1.0 / std::sqrt(12.0));
  config["scale_attn_weights"] = false;
  EXPECT_DOUBLE_EQ(read(config)->attention_scale, 1.0);
}

TEST(Gpt2Config, two_spellings_must_agree_except_the_one_that_later_files_only_carry_along) {
  Json config = gpt2();
  config["n_ctx"] = 32;
  EXPECT_EQ(read(config)->n_context, 64);
  config.erase("n_positions");
  EXPECT_EQ(read(config)->n_context, 32);
  config = gpt2();
  config["num_attention_heads"] = 8;
  EXPECT_THAT(refusal(config), AllOf(HasSubstr("num_attention_heads"), HasSubstr("4 as in 'n_head'")));
}

TEST(Gpt2Config, variants_with_other_arithmetic_are_refused_by_key) {
  for (const char* key : {"add_cross_attention"}) {
    Json config = gpt2();
    config[key] = true;
    EXPECT_THAT(refusal(config), HasSubstr(key));
  }
}

}  // namespace
}  // namespace saccade
