// Real and odd checkpoints: a trained Llama, unaligned files, tied weights under either name, names of
// models.
#include "core/model/model.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <cstring>
#include <filesystem>
#include <fstream>
#include <functional>
#include <nlohmann/json.hpp>

namespace saccade {
namespace {

namespace fs = std::filesystem;
using Json = nlohmann::ordered_json;
using testing::AllOf;
using testing::HasSubstr;

fs::path golden(const std::string& variant) {
  return fs::path(SACCADE_SOURCE_DIR) / "tests" / "data" / "goldens" / variant;
}

fs::path stories() {
  if (const char* set = std::getenv("SACCADE_TEST_DATA"); set && *set) return fs::path(set) / "stories260K";
  return fs::path(SACCADE_SOURCE_DIR) / ".." / "shared" / "data" / "stories260K";
}

std::string bytes_of(const fs::path& path) {
  std::ifstream in(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), {}};
}

class ModelTest : public testing::Test {
 protected:
  void SetUp() override {
    folder_ = fs::path(testing::TempDir()) / ("saccade-model-" + std::to_string(::getpid()));
    fs::create_directories(folder_);
  }
  void TearDown() override { fs::remove_all(folder_); }

  // A golden's folder whose safetensors header was changed by `change`, `pad` spaces put behind it.
  fs::path rewritten(const std::string& variant, const std::function<void(Json&)>& change, size_t pad) {
    const std::string file = bytes_of(golden(variant) / "model.safetensors");
    uint64_t length = 0;
    std::memcpy(&length, file.data(), sizeof length);
    Json header = Json::parse(file.substr(8, length));
    change(header);
    std::string text = header.dump();
    text.resize((text.size() + 7) / 8 * 8 + pad, ' ');
    const uint64_t new_length = text.size();
    std::ofstream out(folder_ / "model.safetensors", std::ios::binary);
    out.write(reinterpret_cast<const char*>(&new_length), sizeof new_length);
    out << text << file.substr(8 + length);
    fs::copy_file(golden(variant) / "config.json", folder_ / "config.json",
                  fs::copy_options::overwrite_existing);
    return folder_;
  }
  fs::path folder_;
};

TEST_F(ModelTest, a_really_trained_llama_opens_with_its_published_sizes) {
  if (!fs::exists(stories())) GTEST_SKIP() << "no stories260K at " << stories();
  const auto opened = Model::open(stories().string());
  ASSERT_TRUE(opened.ok()) << opened.error().to_string();
  const Model& model = **opened;
  const ModelSpec& spec = model.spec();
  EXPECT_EQ(spec.family, "llama");
  EXPECT_EQ(std::tuple(spec.n_layer, spec.n_head, spec.n_kv_head, spec.d_model, spec.d_head, spec.d_mlp),
            std::tuple(5, 8, 4, 64, 8, 172));
  EXPECT_EQ(std::tuple(spec.n_vocab, spec.n_context), std::tuple(512, 512));
  EXPECT_TRUE(spec.tied_unembedding);
  EXPECT_EQ(spec.weight_dtype, "float32");
  EXPECT_EQ(model.weights().parameters(), 260032);
  EXPECT_EQ(model.name(), "stories260K");
  EXPECT_TRUE(model.has_tokenizer());
  const auto tokens = model.tokenizer().encode("a", {});
  ASSERT_TRUE(tokens.ok());
  EXPECT_EQ(model.adds_bos(), tokens->tokens[0].id == model.tokenizer().bos());
}

TEST_F(ModelTest, a_cut_copy_of_a_real_file_is_refused_by_name_with_the_tensor) {
  if (!fs::exists(stories())) GTEST_SKIP() << "no stories260K at " << stories();
  for (const char* name : {"config.json", "model.safetensors"}) {
    std::ofstream(folder_ / name, std::ios::binary) << bytes_of(stories() / name);
  }
  fs::resize_file(folder_ / "model.safetensors", fs::file_size(stories() / "model.safetensors") - 1000);
  const auto opened = Model::open(folder_.string());
  ASSERT_FALSE(opened.ok());
  EXPECT_THAT(opened.error().to_string(),
              AllOf(HasSubstr("model.safetensors"), HasSubstr("tensor '"), HasSubstr("lie outside")));
}

TEST_F(ModelTest, numbers_that_are_not_aligned_in_the_file_are_the_same_numbers) {
  const auto plain = Checkpoint::open(golden("gpt2"));
  const auto odd = Checkpoint::open(rewritten(
      "gpt2", [](Json&) {}, 3));
  ASSERT_TRUE(plain.ok() && odd.ok());
  EXPECT_EQ((*plain)->copied_bytes(), 0);
  int64_t total = 0;
  for (const auto& [name, tensor] : (*plain)->tensors()) {
    const TensorView* copy = (*odd)->find(name);
    ASSERT_NE(copy, nullptr);
    EXPECT_EQ(reinterpret_cast<uintptr_t>(copy->data) % 4, 0u);
    EXPECT_EQ(std::memcmp(copy->data, tensor.data, static_cast<size_t>(tensor.bytes())), 0) << name;
    total += tensor.bytes();
  }
  EXPECT_EQ((*odd)->copied_bytes(), total);
  const auto model = Model::open(folder_.string());
  ASSERT_TRUE(model.ok()) << model.error().to_string();
  EXPECT_THAT((*model)->notes(), testing::Contains(HasSubstr("not aligned")));
}

TEST_F(ModelTest, a_tied_model_may_store_its_one_matrix_under_either_name) {
  const auto usual = Model::open(golden("llama_llama3_rope").string());
  const auto other = Model::open(rewritten(
                                     "llama_llama3_rope",
                                     [](Json& header) {
                                       header["lm_head.weight"] = header["model.embed_tokens.weight"];
                                       header.erase("model.embed_tokens.weight");
                                     },
                                     0)
                                     .string());
  ASSERT_TRUE(usual.ok()) << usual.error().to_string();
  ASSERT_TRUE(other.ok()) << other.error().to_string();
  EXPECT_EQ((*other)->weights().get(Slot::embed).tensor->name, "lm_head.weight");
  EXPECT_EQ((*other)->weights().parameters(), (*usual)->weights().parameters());
}

TEST_F(ModelTest, an_untied_model_without_its_output_matrix_is_refused) {
  const auto opened = Model::open(rewritten(
                                      "llama_linear_rope_biases",
                                      [](Json& header) {
                                        header["other"] = header["lm_head.weight"];
                                        header.erase("lm_head.weight");
                                      },
                                      0)
                                      .string());
  ASSERT_FALSE(opened.ok());
  EXPECT_THAT(opened.error().to_string(),
              AllOf(HasSubstr(folder_.string()), HasSubstr("'lm_head.weight' (unembedding) is missing")));
}

TEST_F(ModelTest, gpt2_files_with_and_without_the_transformer_prefix_are_one) {
  const auto bare = Model::open(rewritten(
                                    "gpt2",
                                    [](Json& header) {
                                      Json names = Json::object();
                                      const std::string prefix = "transformer.";
                                      for (const auto& [name, entry] : header.items())
                                        names[name.starts_with(prefix) ? name.substr(prefix.size()) : name] =
                                            entry;
                                      header = names;
                                    },
                                    0)
                                    .string());
  const auto prefixed = Model::open(golden("gpt2").string());
  ASSERT_TRUE(bare.ok()) << bare.error().to_string();
  ASSERT_TRUE(prefixed.ok()) << prefixed.error().to_string();
  EXPECT_EQ((*prefixed)->weights().get(Slot::embed).tensor->name, "transformer.wte.weight");
  EXPECT_EQ((*bare)->weights().get(Slot::embed).tensor->name, "wte.weight");
  EXPECT_EQ((*bare)->weights().parameters(), (*prefixed)->weights().parameters());
  EXPECT_THAT((*bare)->notes(), testing::ElementsAre(HasSubstr("no tokenizer")));
}

TEST_F(ModelTest, a_weight_of_no_numbers_is_refused_with_both_shapes) {
  const auto opened = Model::open(
      rewritten(
          "gpt2",
          [](Json& header) {
            header["other"] = header["transformer.ln_f.bias"];
            header["transformer.ln_f.bias"] = {{"dtype", "F32"}, {"shape", {0}}, {"data_offsets", {0, 0}}};
          },
          0)
          .string());
  ASSERT_FALSE(opened.ok());
  EXPECT_THAT(opened.error().to_string(),
              AllOf(HasSubstr("'transformer.ln_f.bias'"), HasSubstr("[32]"), HasSubstr("found [0]")));
}

// Renames every tensor of a header; an empty name drops it (what it points to stays under another name).
void rename_all(Json& header, const std::function<std::string(const std::string&)>& renamed) {
  Json names = Json::object();
  int dropped = 0;
  for (const auto& [name, entry] : header.items()) {
    const std::string now = name == "__metadata__" ? name : renamed(name);
    names[now.empty() ? "dropped." + std::to_string(dropped++) : now] = entry;
  }
  header = names;
}

TEST_F(ModelTest, an_encoder_with_another_head_opens_and_its_notes_say_so) {
  const auto tuned = Model::open(
      rewritten(
          "bert",
          [](Json& header) {
            rename_all(header, [](const std::string& name) { return name.starts_with("cls.") ? "" : name; });
          },
          0)
          .string());
  ASSERT_TRUE(tuned.ok()) << tuned.error().to_string();
  EXPECT_EQ((*tuned)->weights().get(Slot::head_weight).tensor, nullptr);
  EXPECT_THAT((*tuned)->notes(), testing::Contains(HasSubstr("no head that predicts tokens")));
  const auto half = Model::open(rewritten(
                                    "bert",
                                    [](Json& header) {
                                      rename_all(header, [](const std::string& name) {
                                        return name == "cls.predictions.transform.dense.bias" ? "" : name;
                                      });
                                    },
                                    0)
                                    .string());
  ASSERT_FALSE(half.ok());
  EXPECT_THAT(half.error().to_string(), HasSubstr("'cls.predictions.transform.dense.bias'"));
}

TEST_F(ModelTest, names_of_bare_models_and_of_the_first_berts_are_known) {
  const std::vector<std::tuple<std::string, std::string, std::string>> bases{
      {"bert", "bert.", "embeddings.word_embeddings.weight"},
      {"roberta", "roberta.", "embeddings.word_embeddings.weight"},
      {"distilbert", "distilbert.", "embeddings.word_embeddings.weight"},
      {"llama_llama3_rope", "model.", "embed_tokens.weight"},
      {"gpt2", "transformer.", "wte.weight"},
      {"bloom", "transformer.", "word_embeddings.weight"},
      {"opt", "model.", "decoder.embed_tokens.weight"}};
  for (const auto& [variant, base, embed] : bases) {
    SCOPED_TRACE(variant);
    const std::string prefix = base;
    const auto opened =
        Model::open(rewritten(
                        variant,
                        [&](Json& header) {
                          rename_all(header, [&](std::string name) {
                            if (name.starts_with(prefix)) name = name.substr(prefix.size());
                            for (const auto& [now, then] : {std::pair("LayerNorm.weight", "LayerNorm.gamma"),
                                                            std::pair("LayerNorm.bias", "LayerNorm.beta")})
                              if (name.ends_with(now))
                                name.replace(name.size() - std::strlen(now), std::string::npos, then);
                            return name;
                          });
                        },
                        0)
                        .string());
    ASSERT_TRUE(opened.ok()) << opened.error().to_string();
    EXPECT_EQ((*opened)->weights().get(Slot::embed).tensor->name, embed);
    const auto usual = Model::open(golden(variant).string());
    EXPECT_EQ((*opened)->weights().parameters(), (*usual)->weights().parameters());
  }
}

TEST_F(ModelTest, a_folder_s_one_weights_file_may_have_any_name_and_shards_need_no_index) {
  const auto put = [&](const char* from, const char* to) {
    fs::copy_file(golden("lens_attention_only") / from, folder_ / to, fs::copy_options::overwrite_existing);
  };
  put("config.json", "config.json");
  put("model.safetensors", "my toy.safetensors");
  std::ofstream(folder_ / "training_args.bin") << "nothing that is read";
  ASSERT_TRUE(Model::open(folder_.string()).ok());
  put("model.safetensors", "another.safetensors");
  EXPECT_THAT(Model::open(folder_.string()).error().to_string(),
              HasSubstr("found another.safetensors, my toy.safetensors"));
  const fs::path data = fs::path(SACCADE_SOURCE_DIR) / "tests" / "data";
  fs::remove(folder_ / "another.safetensors");
  fs::remove(folder_ / "my toy.safetensors");
  fs::copy_file(data / "torch_files" / "ordered.pth", folder_ / "weights.pth");
  const auto named = Checkpoint::open(folder_);
  ASSERT_TRUE(named.ok()) << named.error().to_string();
  EXPECT_NE((*named)->find("bias"), nullptr);
  fs::remove(folder_ / "weights.pth");
  for (const char* shard : {"pytorch_model-00001-of-00002.bin", "pytorch_model-00002-of-00002.bin"})
    fs::copy_file(data / "torch_files" / "sharded" / shard, folder_ / shard);
  const auto sharded = Checkpoint::open(folder_);
  ASSERT_TRUE(sharded.ok()) << sharded.error().to_string();
  EXPECT_EQ((*sharded)->tensors().size(), 3u);
  fs::remove(folder_ / "pytorch_model-00001-of-00002.bin");
  EXPECT_THAT(Checkpoint::open(folder_).error().to_string(),
              HasSubstr("found pytorch_model-00002-of-00002.bin"));
}

TEST_F(ModelTest, a_gguf_file_is_refused_in_its_own_words_and_found_alone_in_a_folder) {
  std::string bytes = bytes_of(fs::path(SACCADE_SOURCE_DIR) / "tests" / "data" / "gguf" / "tokens_bert.gguf");
  ASSERT_NE(bytes.find("llama"), std::string::npos);
  bytes.replace(bytes.find("llama"), 5, "mamba");  // its architecture
  const fs::path file = folder_ / "model.gguf";
  std::ofstream(file, std::ios::binary) << bytes;
  for (const std::string& where : {file.string(), folder_.string()}) {
    const auto opened = Model::open(where);
    ASSERT_FALSE(opened.ok());
    EXPECT_THAT(opened.error().to_string(),
                AllOf(HasSubstr("GGUF metadata: 'general.architecture': expected one of llama, qwen2"),
                      HasSubstr("found 'mamba'"), testing::Not(HasSubstr("config.json"))));
  }
}

TEST_F(ModelTest, a_model_is_called_like_its_folder_however_the_folder_is_written) {
  for (const fs::path& where :
       {golden("gpt2"), golden("gpt2") / "", golden("gpt2") / ".", golden("gpt2") / "model.safetensors"}) {
    const auto opened = Model::open(where.string());
    ASSERT_TRUE(opened.ok()) << opened.error().to_string();
    EXPECT_EQ((*opened)->name(), "gpt2") << where;
  }
}

TEST_F(ModelTest, the_digest_notices_other_numbers_and_nothing_else) {
  rewritten(
      "gpt2", [](Json&) {}, 0);
  const auto before = Model::open(folder_.string());
  const fs::path copy = folder_ / "copy";
  fs::create_directories(copy);
  for (const char* name : {"config.json", "model.safetensors"}) fs::copy_file(folder_ / name, copy / name);
  const auto same = Model::open(copy.string());
  ASSERT_TRUE(before.ok() && same.ok());
  EXPECT_EQ((*before)->digest(), (*same)->digest());
  std::string file = bytes_of(copy / "model.safetensors");
  uint64_t length = 0;
  std::memcpy(&length, file.data(), sizeof length);
  const Json header = Json::parse(file.substr(8, length));
  for (const char* name : {"transformer.ln_f.bias", "transformer.h.1.attn.c_proj.weight"}) {
    std::string changed = file;
    changed[8 + length + header[name]["data_offsets"][0].get<size_t>()] ^= 1;
    std::ofstream(copy / "model.safetensors", std::ios::binary) << changed;
    const auto other = Model::open(copy.string());
    ASSERT_TRUE(other.ok());
    EXPECT_NE((*before)->digest(), (*other)->digest()) << name;
  }
}

TEST_F(ModelTest, places_that_are_no_model_are_refused_in_one_sentence) {
  const auto refusal = [](const std::string& where) {
    const auto opened = Model::open(where);
    return opened.ok() ? "opened" : opened.error().to_string();
  };
  EXPECT_THAT(refusal(""), HasSubstr("no such folder"));
  EXPECT_THAT(refusal((folder_ / "none").string()), HasSubstr("none: no such folder or file"));
  EXPECT_THAT(refusal("demo:nothing"), AllOf(HasSubstr("'nothing'"), HasSubstr("induction")));
  std::ofstream(folder_ / "a.txt") << "a";
  EXPECT_THAT(refusal((folder_ / "a.txt").string()), HasSubstr("expected a folder"));
  EXPECT_THAT(refusal(folder_.string()), HasSubstr("config.json"));
  std::ofstream(folder_ / "config.json") << "{\"model_type\": ";
  EXPECT_THAT(refusal(folder_.string()), AllOf(HasSubstr("config.json"), HasSubstr("byte")));
  std::ofstream(folder_ / "config.json") << "[1]";
  EXPECT_THAT(refusal(folder_.string()), HasSubstr("found array"));
}

}  // namespace
}  // namespace saccade
