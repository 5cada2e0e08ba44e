// The tiny random llava models with pictures in their prompts; and the same with words.
#pragma once

#include <unistd.h>

#include <cmath>
#include <filesystem>
#include <fstream>

#include "analysis/images/read_picture.h"
#include "core/base/files.h"
#include "core/model/image_input.h"
#include "tests/analysis/lab.h"

namespace saccade::seeing {

inline std::filesystem::path data(const std::string& path) {
  return std::filesystem::path(SACCADE_SOURCE_DIR) / "tests" / "data" / path;
}

struct Seeing {
  Lab lab;
  RunRequest request;  // words, a picture, words
  std::shared_ptr<const Run> run;

  explicit Seeing(const std::string& variant, const std::string& file = "colours.png")
      : lab(Lab::open(data("vision_goldens/" + variant).string())),
        request(ask({5, 6, 7, 92, 8, 9, 10, 11}, file)) {
    run = lab.run(request);
  }
  [[nodiscard]] std::shared_ptr<const PreparedImage> image(const std::string& file) const {
    const auto picture = read_picture(data("pictures/" + file));
    EXPECT_TRUE(picture.ok());
    const auto image = prepare_image(*lab.model, *picture);
    EXPECT_TRUE(image.ok()) << image.error().to_string();
    return image.ok() ? *image : nullptr;
  }
  [[nodiscard]] RunRequest ask(const std::vector<int32_t>& ids, const std::string& file) const {
    const auto placed = place_images(*lab.model, lab.model->tokenizer().sequence(ids).value(), {image(file)});
    EXPECT_TRUE(placed.ok()) << placed.error().to_string();
    return lab.runner->request(*placed);
  }
  [[nodiscard]] Result<AnalysisResult> method(const std::string& id, const nlohmann::json& parameters,
                                              const JobContext& job = {}) const {
    return method(id, parameters, run, job);
  }
  [[nodiscard]] Result<AnalysisResult> method(const std::string& id, const nlohmann::json& parameters,
                                              const std::shared_ptr<const Run>& about,
                                              const JobContext& job = {}) const {
    auto found = find_method(id);
    if (!found.ok()) return found.error();
    return run_method(**found, parameters, about, {lab.model, lab.runner.get(), {}}, job);
  }
};

inline const Seeing& llava() {
  static const Seeing seeing("llava");
  return seeing;
}
inline const Seeing& llava_siglip() {
  static const Seeing seeing("llava_siglip");
  return seeing;
}

// A method about a text-only model's run; the refusal.
inline std::string refusal_on_text(const std::string& id, const nlohmann::json& parameters) {
  const auto result = demo().method(id, parameters);
  EXPECT_FALSE(result.ok());
  return result.ok() ? "" : result.error().to_string();
}

// A copy of the golden llava with a tokenizer of 96 words, in a folder that goes with it.
struct WithWords {
  std::filesystem::path folder;

  WithWords()
      : folder(std::filesystem::temp_directory_path() / ("saccade_words_" + std::to_string(::getpid()))) {
    std::filesystem::remove_all(folder);
    std::filesystem::create_directories(folder);
    std::filesystem::copy(data("vision_goldens/llava"), folder / "model");
    nlohmann::json vocabulary;
    const std::vector<std::string> words{"<unk>",    "<s>",  "</s>",    "is",     "there", "a",
                                         "red",      "blue", "circle",  "square", "yes",   "no",
                                         "describe", "the",  "picture", ".",      "?"};
    for (size_t id = 0; id < 96; ++id)
      vocabulary[id == 92 ? "<image>" : id < words.size() ? words[id] : "w" + std::to_string(id)] = id;
    const auto special = [](int id, const char* text) {
      return nlohmann::json{{"id", id},        {"content", text}, {"single_word", false},
                            {"lstrip", false}, {"rstrip", false}, {"normalized", false},
                            {"special", true}};
    };
    const nlohmann::json tokenizer{
        {"version", "1.0"},
        {"added_tokens",
         {special(0, "<unk>"), special(1, "<s>"), special(2, "</s>"), special(92, "<image>")}},
        {"normalizer", {{"type", "Lowercase"}}},
        {"pre_tokenizer", {{"type", "Whitespace"}}},
        {"post_processor", nullptr},
        {"decoder", nullptr},
        {"model", {{"type", "WordLevel"}, {"vocab", vocabulary}, {"unk_token", "<unk>"}}}};
    std::ofstream(folder / "model" / "tokenizer.json") << tokenizer;
  }
  ~WithWords() { std::filesystem::remove_all(folder); }
  WithWords(const WithWords&) = delete;
  WithWords& operator=(const WithWords&) = delete;
};

}  // namespace saccade::seeing
