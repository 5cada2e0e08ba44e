// Checkpoints that lie, and how plainly that is said. Each case is a small valid model folder, spoiled in one
// place.
#include "core/model/checkpoint.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <cstring>
#include <filesystem>
#include <fstream>
#include <functional>
#include <nlohmann/json.hpp>

#include "core/base/memory.h"
#include "core/model/model.h"

namespace saccade {
namespace {

namespace fs = std::filesystem;
using Json = nlohmann::ordered_json;
using testing::AllOf;
using testing::HasSubstr;

class CheckpointFiles : public testing::Test {
 protected:
  void SetUp() override {
    folder_ = fs::path(testing::TempDir()) / ("saccade-checkpoint-" + std::to_string(::getpid()));
    fs::create_directories(folder_);
  }
  void TearDown() override { fs::remove_all(folder_); }

  fs::path write(const std::string& header, size_t data_bytes, const std::string& name = "t.safetensors") {
    std::ofstream file(folder_ / name, std::ios::binary);
    const uint64_t length = header.size();
    file.write(reinterpret_cast<const char*>(&length), sizeof length);
    file << header << std::string(data_bytes, '\0');
    return folder_ / name;
  }
  static std::string refusal(const fs::path& path) {
    const auto opened = Checkpoint::open(path);
    return opened.ok() ? "accepted" : opened.error().to_string();
  }
  std::string refusal(const std::string& header, size_t data_bytes) {
    return refusal(write(header, data_bytes));
  }
  // 8-aligned headers, so that float32 data are aligned.
  static std::string padded(std::string header) {
    header.resize((header.size() + 7) / 8 * 8, ' ');
    return header;
  }
  fs::path folder_;
};

const std::string two =
    R"({"a":{"dtype":"F32","shape":[2,3],"data_offsets":[0,24]},"b":{"dtype":"BF16","shape":[4],"data_offsets":[24,32]}})";

TEST_F(CheckpointFiles, tensors_are_views_with_their_shape_and_dtype) {
  const auto opened = Checkpoint::open(write(padded(two), 32));
  ASSERT_TRUE(opened.ok()) << opened.error().to_string();
  const TensorView* a = (*opened)->find("a");
  ASSERT_NE(a, nullptr);
  EXPECT_EQ(a->shape, (std::vector<int64_t>{2, 3}));
  EXPECT_EQ((*opened)->find("b")->dtype, DType::bf16);
  EXPECT_EQ((*opened)->find("b")->data - a->data, 24);
  EXPECT_EQ((*opened)->find("c"), nullptr);
}

TEST_F(CheckpointFiles, each_kind_of_lying_header_is_refused_by_name) {
  EXPECT_THAT(refusal(padded(two), 31), HasSubstr("outside the file's 31 bytes"));
  EXPECT_THAT(refusal(padded(two), 40), HasSubstr("the file has 40"));
  const auto one = [](const std::string& entry) { return padded("{\"weight\":" + entry + "}"); };
  EXPECT_THAT(refusal(one(R"({"dtype":"F32","shape":[3],"data_offsets":[0,8]})"), 8),
              AllOf(HasSubstr("'weight'"), HasSubstr("12 bytes"), HasSubstr("hold 8")));
  EXPECT_THAT(refusal(one(R"({"dtype":"F99","shape":[2],"data_offsets":[0,8]})"), 8),
              AllOf(HasSubstr("weight"), HasSubstr("F99")));
  EXPECT_THAT(refusal(one(R"({"dtype":"F32","shape":[-2],"data_offsets":[0,8]})"), 8), HasSubstr("weight"));
  EXPECT_THAT(refusal(one(R"({"dtype":"F32","shape":[4294967296,4294967296],"data_offsets":[0,8]})"), 8),
              HasSubstr("weight"));
  EXPECT_THAT(refusal(one(R"({"dtype":"F32","shape":[2],"data_offsets":[8,0]})"), 8), HasSubstr("weight"));
  EXPECT_THAT(refusal(one(R"({"dtype":"F32","data_offsets":[0,8]})"), 8), HasSubstr("weight"));
  EXPECT_THAT(
      refusal(
          padded(
              R"({"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]},"b":{"dtype":"F32","shape":[2],"data_offsets":[4,12]}})"),
          12),
      HasSubstr("overlaps"));
  EXPECT_THAT(
      refusal(
          padded(
              R"({"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]},"b":{"dtype":"F32","shape":[2],"data_offsets":[16,24]}})"),
          24),
      HasSubstr("hole"));
  EXPECT_THAT(
      refusal(
          padded(
              R"({"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]},"a":{"dtype":"F32","shape":[2],"data_offsets":[8,16]}})"),
          16),
      HasSubstr("'a'"));
  EXPECT_THAT(refusal("[1,2]   ", 0), Not(HasSubstr("accepted")));
  EXPECT_THAT(refusal("{\"a\":", 0), Not(HasSubstr("accepted")));
  EXPECT_THAT(refusal(padded("{\"a\":" + std::string(100000, '[') + "}"), 0), Not(HasSubstr("accepted")));
}

TEST_F(CheckpointFiles, a_header_length_beyond_the_file_or_the_format_is_refused_before_it_is_believed) {
  const int64_t before = resident_bytes();
  for (const uint64_t length : {uint64_t{1} << 62, uint64_t{200'000'000}, uint64_t{5000}}) {
    std::ofstream file(folder_ / "l.safetensors", std::ios::binary);
    file.write(reinterpret_cast<const char*>(&length), sizeof length);
    file << "{}";
    file.close();
    EXPECT_THAT(refusal(folder_ / "l.safetensors"),
                AllOf(HasSubstr("l.safetensors"), HasSubstr(std::to_string(length))));
  }
  std::ofstream(folder_ / "short.safetensors") << "abc";
  EXPECT_THAT(refusal(folder_ / "short.safetensors"), HasSubstr("3 bytes"));
  std::ofstream(folder_ / "empty.safetensors");
  EXPECT_THAT(refusal(folder_ / "empty.safetensors"), HasSubstr("0 bytes"));
  EXPECT_THAT(refusal(folder_ / "none.safetensors"), HasSubstr("none.safetensors"));
  EXPECT_LT(resident_bytes() - before, 50'000'000);
}

TEST_F(CheckpointFiles, every_truncation_of_a_good_file_is_refused) {
  const fs::path path = write(padded(two), 32);
  const auto size = fs::file_size(path);
  for (size_t length = 0; length < size; ++length) {
    fs::copy_file(path, folder_ / "cut.safetensors", fs::copy_options::overwrite_existing);
    fs::resize_file(folder_ / "cut.safetensors", length);
    EXPECT_NE(refusal(folder_ / "cut.safetensors"), "accepted") << length;
  }
}

TEST_F(CheckpointFiles, shards_are_read_as_one_and_an_index_that_lies_is_refused) {
  write(padded(R"({"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}})"), 8, "one.safetensors");
  write(padded(R"({"b":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}})"), 8, "two.safetensors");
  const auto index = [&](const std::string& map) {
    std::ofstream(folder_ / "model.safetensors.index.json") << "{\"weight_map\":" << map << "}";
  };
  index(R"({"a":"one.safetensors","b":"two.safetensors"})");
  const auto opened = Checkpoint::open(folder_);
  ASSERT_TRUE(opened.ok()) << opened.error().to_string();
  EXPECT_EQ((*opened)->tensors().size(), 2u);
  index(R"({"a":"one.safetensors","c":"two.safetensors"})");
  EXPECT_THAT(refusal(folder_), HasSubstr("'c'"));
  index(R"({"a":"../one.safetensors"})");
  EXPECT_THAT(refusal(folder_), HasSubstr("../one.safetensors"));
  index(R"({"a":"missing.safetensors"})");
  EXPECT_THAT(refusal(folder_), HasSubstr("missing.safetensors"));
}

// A whole model folder, spoiled through its config or its weights.
class ModelFolder : public CheckpointFiles {
 protected:
  std::string open_with(const std::string& shape, const std::function<void(Json&)>& spoil) {
    const fs::path model = folder_ / shape;
    if (!fs::exists(model / "config.json")) {
      EXPECT_TRUE(make_random_model(shape, model, 1).ok());
    }
    const fs::path other = folder_ / "spoiled";
    fs::remove_all(other);
    fs::copy(model, other);
    std::ifstream in(model / "config.json");
    Json config = Json::parse(in);
    spoil(config);
    std::ofstream(other / "config.json") << config;
    const auto opened = Model::open(other.string());
    return opened.ok() ? "opened" : opened.error().to_string();
  }
};

TEST_F(ModelFolder, a_good_folder_opens_without_reading_its_weights) {
  EXPECT_EQ(open_with("gpt2-tiny", [](Json&) {}), "opened");
  EXPECT_EQ(open_with("llama-tiny", [](Json&) {}), "opened");
  const auto model = Model::open((folder_ / "llama-tiny").string());
  ASSERT_TRUE(model.ok());
  EXPECT_EQ((*model)->spec().n_kv_head, 2);
  EXPECT_EQ((*model)->spec().rotary.scaling, RotaryScaling::llama3);
  EXPECT_EQ((*model)->spec().rotary.base, 500000.0);
}

TEST_F(ModelFolder, a_checkpoint_under_a_wrong_name_is_offered_as_the_family_it_fits) {
  const std::string refused = open_with("gpt2-tiny", [](Json& c) { c["model_type"] = "llama"; });
  EXPECT_THAT(refused, HasSubstr("its tensors fit gpt2, open it as:gpt2:PATH"));
  const fs::path spoiled = folder_ / "spoiled";
  const auto other = other_way_to_open(spoiled.string());
  ASSERT_TRUE(other);
  EXPECT_EQ(*other, "as:gpt2:" + spoiled.string());
  const auto opened = Model::open(*other);
  ASSERT_TRUE(opened.ok()) << opened.error().to_string();
  EXPECT_EQ((*opened)->where(), *other);
  EXPECT_EQ((*opened)->spec().family, "gpt2");
  EXPECT_FALSE(other_way_to_open((folder_ / "gpt2-tiny").string()));
  EXPECT_THAT(Model::open("as:nothing:" + spoiled.string()).error().to_string(),
              HasSubstr("no family is called 'nothing'"));
  EXPECT_THAT(Model::open("as:gpt2").error().to_string(), HasSubstr("expected as:FAMILY:PATH"));
}

TEST_F(ModelFolder, each_config_mistake_names_the_key_what_was_expected_and_what_was_found) {
  const std::vector<std::tuple<std::string, std::function<void(Json&)>, std::string, std::string>> cases{
      {"gpt2-tiny", [](Json& c) { c.erase("n_layer"); }, "n_layer", "nothing"},
      {"gpt2-tiny", [](Json& c) { c["n_head"] = 0; }, "n_head", "0"},
      {"gpt2-tiny", [](Json& c) { c["n_head"] = "four"; }, "n_head", "four"},
      {"gpt2-tiny", [](Json& c) { c["n_head"] = 5; }, "n_head", "5"},
      {"gpt2-tiny", [](Json& c) { c["activation_function"] = "swoosh"; }, "activation_function", "swoosh"},
      {"gpt2-tiny", [](Json& c) { c["layer_norm_epsilon"] = -1; }, "layer_norm_epsilon", "-1"},
      {"gpt2-tiny", [](Json& c) { c["model_type"] = "perceptron", c["n_layer"] = 9; }, "perceptron",
       "nearest is gpt2, but tensor 'h.2.ln_1.weight' (first norm weight) is missing"},
      {"gpt2-tiny", [](Json& c) { c.erase("model_type"), c.erase("n_embd"); }, "model_type", "mixtral"},
      {"llama-tiny", [](Json& c) { c["num_key_value_heads"] = 3; }, "num_key_value_heads", "3"},
      {"llama-tiny", [](Json& c) { c["rope_scaling"]["rope_type"] = "spiral"; }, "spiral", "llama3"},
      {"llama-tiny", [](Json& c) { c["rope_scaling"] = 7; }, "rope_scaling", "7"},
      {"llama-tiny", [](Json& c) { c["hidden_size"] = 1e99; }, "hidden_size", "1e+99"},
  };
  for (const auto& [shape, spoil, key, found] : cases)
    EXPECT_THAT(open_with(shape, spoil), AllOf(HasSubstr("config.json"), HasSubstr(key), HasSubstr(found)));
}

TEST_F(ModelFolder, an_unknown_type_whose_tensors_fit_a_known_layout_is_read_as_that_and_said_so) {
  ASSERT_EQ(open_with("llama-tiny", [](Json& c) { c["model_type"] = "llama_of_ours"; }), "opened");
  const auto model = Model::open((folder_ / "spoiled").string());
  ASSERT_TRUE(model.ok());
  EXPECT_EQ((*model)->spec().family, "llama");
  EXPECT_EQ((*model)->spec().model_type, "llama_of_ours");
  EXPECT_THAT((*model)->notes().front(), AllOf(HasSubstr("'llama_of_ours'"), HasSubstr("fit llama")));
}

TEST_F(ModelFolder, missing_and_wrongly_shaped_tensors_are_named_with_both_shapes) {
  EXPECT_THAT(open_with("gpt2-tiny", [](Json& c) { c["n_layer"] = 3; }),
              AllOf(HasSubstr("h.2."), HasSubstr("missing")));
  EXPECT_THAT(open_with("gpt2-tiny", [](Json& c) { c["vocab_size"] = 600; }),
              AllOf(HasSubstr("wte.weight"), HasSubstr("600"), HasSubstr("512")));
  EXPECT_THAT(open_with("llama-tiny", [](Json& c) { c["tie_word_embeddings"] = false; }),
              HasSubstr("lm_head.weight"));
}

TEST_F(ModelFolder, a_deeper_checkpoint_than_the_config_says_is_noted) {
  ASSERT_EQ(open_with("gpt2-tiny", [](Json& c) { c["n_layer"] = 1; }), "opened");
  const auto model = Model::open((folder_ / "spoiled").string());
  ASSERT_TRUE(model.ok());
  std::string notes;
  for (const std::string& note : (*model)->notes()) notes += note + "\n";
  EXPECT_THAT(notes, HasSubstr("h.1."));
}

TEST_F(ModelFolder, opening_a_large_model_leaves_its_weights_on_disk) {
  ASSERT_TRUE(make_random_model("gpt2-small@64", folder_ / "big", 1).ok());
  const int64_t before = resident_bytes();
  const auto model = Model::open((folder_ / "big").string());
  ASSERT_TRUE(model.ok());
  EXPECT_GT((*model)->file_bytes(), 450'000'000);
  EXPECT_LT(resident_bytes() - before, 60'000'000);
}

TEST(Demo, names_are_listed_and_open_from_anywhere) {
  const auto names = demo_names();
  EXPECT_NE(std::find(names.begin(), names.end(), "induction"), names.end());
  EXPECT_TRUE(Model::open("demo:induction").ok());
}

}  // namespace
}  // namespace saccade
