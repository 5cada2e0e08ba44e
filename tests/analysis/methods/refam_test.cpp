// refam: words among tokens, and its maps against the definition written out on the tiny llava.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>

#include "analysis/images/phrase_maps.h"
#include "analysis/images/phrase_words.h"
#include "core/capture/attention_map.h"
#include "tests/analysis/methods/seeing_lab.h"

namespace saccade {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

std::vector<Token> tokens_of(const std::vector<std::string>& texts) {
  std::vector<Token> tokens;
  int64_t at = 0;
  for (const std::string& text : texts) {
    const auto size = static_cast<int64_t>(text.size());
    tokens.push_back({7, text, at, at + size, false});
    at += size;
  }
  return tokens;
}

TEST(PhraseWords, are_made_of_the_tokens_that_touch) {
  const auto tokens = tokens_of({"Where", " is", " the", " lamp", "shade", ",", " left", "-", "hand", "?"});
  const std::vector<PhraseWord> words = phrase_words(tokens, 1, 10);
  std::vector<std::string> texts, content;
  for (const PhraseWord& word : words) {
    texts.push_back(word.text);
    if (!word.is_stop) content.push_back(word.text);
  }
  EXPECT_THAT(texts, ElementsAre("is", "the", "lampshade", ",", "left", "-", "hand", "?"));
  EXPECT_THAT(content, ElementsAre("lampshade", "left", "hand"));
  EXPECT_EQ(words[2].begin, 3);
  EXPECT_EQ(words[2].end, 5);
  const std::vector<PhraseWord> phrase = find_phrase(words, "Lampshade left");
  ASSERT_EQ(phrase.size(), 3U);
  EXPECT_EQ(phrase.back().text, "left");
  EXPECT_TRUE(find_phrase(words, "left lampshade").empty());
  EXPECT_TRUE(find_phrase(words, " ").empty());
}

TEST(PhraseWords, of_ids_stand_alone) {
  std::vector<Token> tokens = tokens_of({"<5>", "<6>"});
  for (Token& token : tokens) token.begin = token.end = 0;
  EXPECT_EQ(phrase_words(tokens, 0, 2).size(), 2U);
}

// 4 words behind the picture of 9 patches: every one counts.
TEST(RefAm, averages_the_maps_of_its_words_without_sinks) {
  const seeing::Seeing& model = seeing::llava();
  const auto result = model.method("refam", {{"heads", "1.*"}, {"shared_by", 0.2}, {"top", 0.2}});
  ASSERT_TRUE(result.ok()) << result.error().to_string();
  const Capture& capture = *model.run->capture;
  const ImageRegion& region = capture.images[0];
  const int64_t n = capture.n_token(), patches = region.end() - region.first_patch();
  mechanisms::Matrix maps(n - region.end(), patches);
  for (int32_t h = 0; h < capture.spec.n_head; ++h) {
    const auto map =
        AttentionMap::of(model.run->capture, {LayerIndex{1}, HeadIndex{h}}, model.lab.runner->kernels());
    ASSERT_TRUE(map.ok());
    std::vector<float> rows(static_cast<size_t>(n * n));
    ASSERT_TRUE(map->rows(0, n, n, rows).ok());
    for (int64_t w = 0; w < maps.rows; ++w)
      for (int64_t j = 0; j < patches; ++j)
        maps.at(w, j) += rows[static_cast<size_t>((region.end() + w) * n + region.first_patch() + j)] /
                         static_cast<double>(capture.spec.n_head);
  }
  const std::vector<double> expected =
      phrase_map(maps, std::vector<bool>(static_cast<size_t>(maps.rows), true), {0.2, 0.2});
  const Field* field = result->field("phrase");
  ASSERT_NE(field, nullptr);
  EXPECT_EQ(field->axes[0].name, "patch row");
  double sum = 0.0;
  for (size_t j = 0; j < expected.size(); ++j) {
    EXPECT_NEAR(field->values.values()[j], expected[j], 1e-6) << j;
    sum += field->values.values()[j];
  }
  EXPECT_NEAR(sum, 1.0, 1e-6);
  EXPECT_GT(std::count(expected.begin(), expected.end(), 0.0), 0) << "some patch is a sink of the words";
}

TEST(RefAm, magnets_are_appended_and_take_patches) {
  const seeing::WithWords words;
  const Lab lab = Lab::open((words.folder / "model").string());
  const seeing::Seeing& pictures = seeing::llava();
  const auto text = lab.model->tokenizer().encode("describe <image> the red circle .", {});
  ASSERT_TRUE(text.ok()) << text.error().to_string();
  const auto placed = place_images(*lab.model, *text, {pictures.image("colours.png")});
  ASSERT_TRUE(placed.ok()) << placed.error().to_string();
  const auto run = lab.run(lab.runner->request(*placed));
  const auto ask = [&](const nlohmann::json& parameters) {
    return run_method(**find_method("refam"), parameters, run, {lab.model, lab.runner.get(), {}}, {});
  };
  const auto result = ask({{"phrase", "the red circle"}, {"magnets", "a is there"}});
  ASSERT_TRUE(result.ok()) << result.error().to_string();
  const Table* table = table_of(*result, "words");
  ASSERT_NE(table, nullptr);
  std::vector<std::string> parts;
  int64_t won = 0, of_content = 0;
  for (const auto& row : table->rows) {
    parts.push_back(std::get<std::string>(row[0]) + ": " + std::get<std::string>(row[2]));
    won += std::get<int64_t>(row[4]);
    if (std::get<std::string>(row[2]) == "content") of_content += std::get<int64_t>(row[4]);
  }
  EXPECT_THAT(parts, ElementsAre("the: left out", "red: content", "circle: content", "a: magnet",
                                 "is: magnet", "there: magnet"));
  EXPECT_EQ(won, 9) << "every patch has one winner";
  const auto map = result->field("magnets")->values.values();
  EXPECT_EQ(std::count_if(map.begin(), map.end(), [](float value) { return value > 0.0F; }), of_content);
  const auto none = ask({{"phrase", "a blue star"}});
  ASSERT_FALSE(none.ok());
  EXPECT_THAT(none.error().message, HasSubstr("'the red circle .', without 'a blue star'"));
}

TEST(RefAm, refuses_text_with_what_to_do) {
  EXPECT_THAT(seeing::refusal_on_text("refam", nlohmann::json::object()),
              HasSubstr("open one that reads pictures, such as a llava folder"));
}

}  // namespace
}  // namespace saccade
