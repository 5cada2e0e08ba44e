// Random models: the same for a seed, never over someone's files, never half there.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmath>
#include <csignal>
#include <filesystem>
#include <fstream>

#include "core/model/model.h"

namespace saccade {
namespace {

namespace fs = std::filesystem;
using testing::AllOf;
using testing::HasSubstr;

class RandomModel : public testing::Test {
 protected:
  void SetUp() override {
    folder_ = fs::path(testing::TempDir()) / ("saccade-random-" + std::to_string(::getpid()));
    fs::create_directories(folder_);
  }
  void TearDown() override { fs::remove_all(folder_); }
  static std::string bytes(const fs::path& path) {
    std::ifstream in(path, std::ios::binary);
    return {std::istreambuf_iterator<char>(in), {}};
  }
  fs::path folder_;
};

TEST_F(RandomModel, the_seed_decides_every_byte) {
  ASSERT_TRUE(make_random_model("llama-tiny", folder_ / "a", 5).ok());
  ASSERT_TRUE(make_random_model("llama-tiny", folder_ / "b", 5).ok());
  ASSERT_TRUE(make_random_model("llama-tiny", folder_ / "c", 6).ok());
  EXPECT_EQ(bytes(folder_ / "a" / "model.safetensors"), bytes(folder_ / "b" / "model.safetensors"));
  const auto a = Model::open((folder_ / "a").string()), b = Model::open((folder_ / "b").string()),
             c = Model::open((folder_ / "c").string());
  ASSERT_TRUE(a.ok() && b.ok() && c.ok());
  EXPECT_EQ((*a)->digest(), (*b)->digest());
  EXPECT_NE((*a)->digest(), (*c)->digest());
}

TEST_F(RandomModel, weights_are_normal_with_0_02_and_norms_about_1) {
  ASSERT_TRUE(make_random_model("gpt2-tiny", folder_ / "m", 1).ok());
  const auto checkpoint = Checkpoint::open(folder_ / "m");
  ASSERT_TRUE(checkpoint.ok());
  const auto moments = [&](const char* name) {
    const TensorView* tensor = (*checkpoint)->find(name);
    const auto* values = reinterpret_cast<const float*>(tensor->data);
    double sum = 0.0, squares = 0.0;
    for (int64_t i = 0; i < tensor->elements(); ++i) {
      sum += values[i];
      squares += static_cast<double>(values[i]) * values[i];
    }
    const auto n = static_cast<double>(tensor->elements());
    return std::pair(sum / n, std::sqrt(squares / n - sum / n * sum / n));
  };
  // 32,768 samples: the mean is good to 0.02 / 181, the deviation to 0.02 / 256; five of each are allowed.
  const auto [mean, deviation] = moments("wte.weight");
  EXPECT_NEAR(mean, 0.0, 6e-4);
  EXPECT_NEAR(deviation, 0.02, 4e-4);
  const auto [norm_mean, norm_deviation] = moments("h.1.ln_2.weight");  // 64 samples of 1 +- 0.05
  EXPECT_NEAR(norm_mean, 1.0, 0.032);
  EXPECT_GT(norm_deviation, 0.0);
  EXPECT_GT(moments("h.0.mlp.c_fc.bias").second, 0.0);
}

TEST_F(RandomModel, any_text_is_read_as_tokens_that_the_model_has) {
  ASSERT_TRUE(make_random_model("gpt2-tiny@32", folder_ / "m", 1).ok());
  const auto model = Model::open((folder_ / "m").string());
  ASSERT_TRUE(model.ok()) << model.error().to_string();
  EXPECT_EQ((*model)->spec().n_context, 32);
  EXPECT_TRUE((*model)->notes().empty());
  const std::string text = "Caf\xc3\xa9 \xe2\x82\xac\t\n\x01 <300> 12";
  const auto tokens = (*model)->tokenizer().encode(text, {});
  ASSERT_TRUE(tokens.ok()) << tokens.error().to_string();
  std::string again;
  for (const Token& token : tokens->tokens) {
    EXPECT_LT(token.id, (*model)->spec().n_vocab);
    again += token.text;
  }
  EXPECT_EQ(again, text);
}

TEST_F(RandomModel, an_unknown_shape_lists_the_known_ones_and_leaves_no_folder) {
  const auto outcome = make_random_model("gpt9", folder_ / "m", 1);
  EXPECT_THAT(outcome.error().message,
              AllOf(HasSubstr("gpt9"), HasSubstr("gpt2-tiny"), HasSubstr("llama-1b")));
  EXPECT_THAT(make_random_model("gpt2-tiny@0", folder_ / "m", 1).error().message, HasSubstr("positions"));
  EXPECT_THAT(make_random_model("gpt2-tiny@9x", folder_ / "m", 1).error().message, HasSubstr("positions"));
  EXPECT_FALSE(fs::exists(folder_ / "m"));
}

TEST_F(RandomModel, a_folder_that_holds_a_model_is_left_as_it_is) {
  fs::create_directories(folder_ / "mine");
  std::ofstream(folder_ / "mine" / "model.safetensors") << "precious";
  const auto outcome = make_random_model("gpt2-tiny", folder_ / "mine", 1);
  EXPECT_THAT(outcome.error().message, AllOf(HasSubstr("mine"), HasSubstr("model.safetensors")));
  EXPECT_EQ(bytes(folder_ / "mine" / "model.safetensors"), "precious");
  EXPECT_FALSE(fs::exists(folder_ / "mine" / "vocab.json"));
}

TEST_F(RandomModel, a_cancelled_one_is_no_model_and_can_be_made_again) {
  JobContext job;
  int reports = 0;
  job.on_progress = [&](double, std::string_view) {
    if (++reports == 3) job.cancel.cancel();
  };
  const auto outcome = make_random_model("gpt2-tiny", folder_ / "m", 1, job);
  EXPECT_EQ(outcome.error().code, ErrorCode::cancelled);
  EXPECT_EQ(reports, 3);
  for (const auto& entry : fs::directory_iterator(folder_ / "m"))
    EXPECT_THAT(entry.path().filename(), testing::AnyOf("vocab.json", "merges.txt"));
  EXPECT_FALSE(Model::open((folder_ / "m").string()).ok());
  EXPECT_TRUE(make_random_model("gpt2-tiny", folder_ / "m", 1).ok());
}

TEST_F(RandomModel, a_full_disk_is_named_and_leaves_no_torn_file) {
  const pid_t child = ::fork();
  if (child == 0) {  // a limit on file size behaves like a full disk
    ::signal(SIGXFSZ, SIG_IGN);
    const struct rlimit limit { 200'000, 200'000 };
    ::setrlimit(RLIMIT_FSIZE, &limit);
    const auto outcome = make_random_model("gpt2-tiny", folder_ / "m", 1);
    const std::string text = outcome.ok() ? "" : outcome.error().to_string();
    const bool named = text.find("model.safetensors") != std::string::npos;
    ::_exit(!outcome.ok() && named && outcome.error().code == ErrorCode::io ? 7 : 1);
  }
  int status = 0;
  ::waitpid(child, &status, 0);
  EXPECT_EQ(WEXITSTATUS(status), 7);
  for (const auto& entry : fs::directory_iterator(folder_ / "m"))
    EXPECT_THAT(entry.path().filename(), testing::AnyOf("vocab.json", "merges.txt"));
}

}  // namespace
}  // namespace saccade
