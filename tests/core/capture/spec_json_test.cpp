#include "core/capture/spec_json.h"

#include <gmock/gmock.h>

#include <nlohmann/json.hpp>

#include "tests/core/capture/capture_fixture.h"

namespace saccade {
namespace {

using testing::HasSubstr;

TEST(SpecJson, ComesBackTheSame) {
  for (const Activation activation :
       {Activation::gelu, Activation::gelu_tanh, Activation::silu, Activation::relu}) {
    ModelSpec spec = fixtures::spec_of(3, 4, 2);
    spec.activation = activation;
    spec.rotary.pairing = RotaryPairing::interleaved;
    spec.eos_ids = {2, 7};
    const auto back = spec_from_json(spec_to_json(spec));
    ASSERT_TRUE(back.ok()) << back.error().to_string();
    EXPECT_EQ(spec_to_json(*back), spec_to_json(spec));
    EXPECT_EQ(back->activation, activation);
    EXPECT_EQ(back->norm, NormKind::rms_norm);
    EXPECT_EQ(back->norm_epsilon, spec.norm_epsilon);
    EXPECT_EQ(back->rotary.scaling, RotaryScaling::llama3);
    EXPECT_EQ(back->rotary.pairing, RotaryPairing::interleaved);
    EXPECT_EQ(back->attention_scale, spec.attention_scale);
    EXPECT_EQ(back->eos_ids, spec.eos_ids);
    EXPECT_EQ(back->weight_dtype, "bfloat16");
    EXPECT_FALSE(back->qkv_bias);
    EXPECT_TRUE(back->mlp_bias);
  }
}

TEST(SpecJson, EveryKeyOfTheFirstVersionIsNeededLaterOnesHaveTheirDefaultsAndAllAreNamedWhenWrong) {
  const std::set<std::string> first{"family",
                                    "model_type",
                                    "n_layer",
                                    "n_head",
                                    "n_kv_head",
                                    "d_model",
                                    "d_head",
                                    "d_mlp",
                                    "n_vocab",
                                    "n_context",
                                    "norm",
                                    "norm_epsilon",
                                    "position",
                                    "rotary_base",
                                    "rotary_dimensions",
                                    "activation",
                                    "gated_mlp",
                                    "qkv_bias",
                                    "tied_unembedding",
                                    "attention_out_bias",
                                    "rotary_factor",
                                    "rotary_scaling",
                                    "mlp_bias",
                                    "rotary_pairing",
                                    "attention_scale",
                                    "bos_ids",
                                    "rotary_original_context",
                                    "eos_ids",
                                    "weight_dtype",
                                    "rotary_low_frequency_factor",
                                    "rotary_high_frequency_factor"};
  const nlohmann::json defaults = spec_to_json(ModelSpec{});
  const nlohmann::json good = spec_to_json(fixtures::spec_of(3, 4, 2));
  for (const auto& [key, value] : good.items()) {
    nlohmann::json without = good, wrong = good;
    without.erase(key);
    wrong[key] = {{"an", "object"}};
    if (!first.contains(key)) {
      const auto spec = spec_from_json(without);
      ASSERT_TRUE(spec.ok()) << key;
      EXPECT_EQ(spec_to_json(*spec)[key], defaults[key]);
      without = wrong;
    }
    for (const nlohmann::json& bad : {without, wrong}) {
      const auto spec = spec_from_json(bad);
      ASSERT_FALSE(spec.ok()) << key;
      EXPECT_THAT(spec.error().message, HasSubstr("'" + key + "'"));
    }
  }
}

TEST(SpecJson, KeepsPositionsOfSeveralAxesAndHowATowerIsRead) {
  ModelSpec spec = fixtures::spec_of(3, 4, 2);
  const int32_t pairs = spec.rotary.dimensions / 2;
  spec.rotary.sections = {0, 1, pairs - 1};
  spec.rotary.sections_begin_anew = true;
  spec.tower.merge = 2;
  spec.tower.final_norm = true;
  spec.tower.film_token_id = 7;
  spec.patches.frames = 2;
  spec.patches.window = 8;
  spec.patches.whole_layers = {1};
  const auto back = spec_from_json(spec_to_json(spec));
  ASSERT_TRUE(back.ok()) << back.error().to_string();
  EXPECT_EQ(spec_to_json(*back), spec_to_json(spec));
  EXPECT_EQ(back->rotary.sections, spec.rotary.sections);
  EXPECT_EQ(back->patches.whole_layers, spec.patches.whole_layers);
  EXPECT_EQ(back->tower.merge, 2);
  for (const std::vector<int32_t>& wrong : {std::vector{pairs}, {0, 1, pairs}, {-1, 1, pairs}}) {
    spec.rotary.sections = wrong;
    EXPECT_THAT(spec_from_json(spec_to_json(spec)).error().message, HasSubstr("'rotary_sections'"));
  }
}

TEST(SpecJson, RefusesSizesThatNoModelHas) {
  const nlohmann::json good = spec_to_json(fixtures::spec_of(3, 4, 2));
  const auto message = [&](const char* key, const nlohmann::json& value) {
    nlohmann::json bad = good;
    bad[key] = value;
    const auto spec = spec_from_json(bad);
    EXPECT_FALSE(spec.ok()) << key << " = " << value;
    return spec.ok() ? std::string() : spec.error().message;
  };
  EXPECT_THAT(message("n_layer", 0), HasSubstr("from 1 to 10000"));
  EXPECT_THAT(message("n_layer", 4e18), HasSubstr("whole number"));
  EXPECT_THAT(message("n_head", -4), HasSubstr("found -4"));
  EXPECT_THAT(message("n_head", uint64_t{1} << 63), HasSubstr("'n_head'"));
  EXPECT_THAT(message("n_kv_head", 3), HasSubstr("a divisor of n_head, 4"));
  EXPECT_THAT(message("activation", "tanh"), HasSubstr("gelu, gelu_tanh, gelu_quick, silu, relu"));
  EXPECT_THAT(message("windows", {4, 4}), HasSubstr("one number for each of 3 layers"));
  EXPECT_THAT(message("windows", {4, 4, -1}), HasSubstr("no negative number"));
  EXPECT_THAT(message("alibi_slopes", {0.5}), HasSubstr("one number for each of 4 heads"));
  EXPECT_THAT(message("attention_scale", nullptr), HasSubstr("a number"));
  EXPECT_FALSE(spec_from_json(nlohmann::json::array()).ok());
}

}  // namespace
}  // namespace saccade
