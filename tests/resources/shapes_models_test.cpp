// demo:shapes-vit and demo:shapes-vlm, run by this program: they see as well as their pages say, and the
// second one invents what it expects.
#include <gtest/gtest.h>

#include <fstream>

#include "core/model/image_input.h"
#include "resources/models/talk_score.h"
#include "tests/core/run/fixtures.h"

namespace saccade {
namespace {

Picture picture_of(const ShapeScene& scene, int32_t width, int32_t height) {
  ShapePicture drawn = draw_shapes(scene, width, height);
  return {width, height, std::move(drawn.rgb), "scene"};
}

const fixtures::Opened& vit() {
  static const fixtures::Opened opened = fixtures::open("demo:shapes-vit");
  return opened;
}
const fixtures::Opened& vlm() {
  static const fixtures::Opened opened = fixtures::open("demo:shapes-vlm");
  return opened;
}

RunRequest request_of(const fixtures::Opened& on, const Picture& picture, const std::string& prompt,
                      const std::vector<std::string>& edits) {
  auto image = prepare_image(on.model ? *on.model : *vit().model, picture);
  EXPECT_TRUE(image.ok()) << image.error().to_string();
  TokenSequence text;
  if (!prompt.empty()) {
    auto encoded = on.model->tokenizer().encode("<image> " + prompt, {});
    EXPECT_TRUE(encoded.ok()) << encoded.error().to_string();
    text = std::move(*encoded);
  }
  auto placed = place_images(*on.model, std::move(text), {*image});
  EXPECT_TRUE(placed.ok()) << placed.error().to_string();
  RunRequest request = on.runner->request(std::move(*placed));
  for (const std::string& edit : edits) request.edits.push_back(parse_edit(edit).value());
  return request;
}

// Next tokens, greedily, up to the end of the text.
std::string say(const Picture& picture, const std::string& prompt, int32_t count,
                const std::vector<std::string>& edits = {}) {
  SamplingOptions greedy;
  greedy.max_tokens = count;
  const auto made = vlm().runner->generate(request_of(vlm(), picture, prompt, edits), greedy, {}, {});
  EXPECT_TRUE(made.ok()) << made.error().to_string();
  std::string text = made->text;
  if (const size_t end = text.find("<|endoftext|>"); end != std::string::npos) text.resize(end);
  return text.starts_with(' ') ? text.substr(1) : text;
}

// The likeliest next token of each.
std::vector<std::string> likeliest(const fixtures::Opened& on, const std::vector<RunRequest>& requests) {
  const auto logits = on.runner->answers(requests, {});
  EXPECT_TRUE(logits.ok()) << logits.error().to_string();
  std::vector<std::string> texts;
  for (const HostTensor& row : *logits) texts.push_back(top_next(row, on.model->tokenizer(), 1).front().text);
  return texts;
}

double share_right(int32_t pictures, int32_t width, int32_t height) {
  std::vector<RunRequest> requests;
  const auto scenes = counted_scenes(pictures, 99);
  for (const CountedScene& scene : scenes)
    requests.push_back(request_of(vit(), picture_of(scene.scene, width, height), "", {}));
  const auto said = likeliest(vit(), requests);
  int32_t right = 0;
  for (size_t i = 0; i < scenes.size(); ++i)
    right += said[i] == count_label(count_class(scenes[i].kind, scenes[i].count)) ? 1 : 0;
  return static_cast<double>(right) / pictures;
}

// A number of the model's page: the last column of the row that begins so.
double on_page(const std::string& model, const std::string& row) {
  std::ifstream file(std::string(SACCADE_SOURCE_DIR) + "/resources/models/" + model + "/README.md");
  for (std::string line; std::getline(file, line);)
    if (line.starts_with("| " + row)) {
      const size_t last = line.rfind('|', line.size() - 2);
      return std::stod(line.substr(last + 1));
    }
  ADD_FAILURE() << "the page of " << model << " has no row " << row;
  return 0;
}

TEST(ShapesVit, counts_as_well_as_its_page_says) {
  // The page has 0.964 of 2000; the standard deviation of a share of 200 is 0.013.
  EXPECT_GT(share_right(200, 64, 64), 0.964 - 0.05);
}

TEST(ShapesVit, sees_the_same_in_pictures_of_another_size_and_shape) {
  EXPECT_GT(share_right(60, 320, 240), 0.85);
}

TEST(ShapesVit, needs_its_patches) {
  const CountedScene scene = counted_scenes(1, 99).front();
  const Picture picture = picture_of(scene.scene, 64, 64);
  const auto run =
      vit().runner->run(request_of(vit(), picture, "", {"knockout *.* query=0 key=1:65"}), nullptr, {});
  ASSERT_TRUE(run.ok()) << run.error().to_string();
  const auto next = top_next((*run)->capture->last_logits, vit().model->tokenizer(), n_count_class);
  for (const NextToken& one : next)
    EXPECT_TRUE(one.text != count_label(count_class(scene.kind, scene.count)) || one.probability < 0.5);
}

const std::vector<EvaluationScene>& shipped_scenes() {
  static const auto scenes = evaluation_scenes(40, 1);
  return scenes;
}

TEST(ShapesVlm, invents_what_it_expects_as_often_as_its_page_says) {
  std::vector<std::string> captions;
  for (const EvaluationScene& entry : shipped_scenes())
    captions.push_back(say(picture_of(entry.scene.scene, 64, 64), describe_prompt, 24));
  const CaptionScore score = score_captions(shipped_scenes(), captions);
  EXPECT_GT(score.chair_i, 0.05);
  EXPECT_GT(score.recall, 0.8) << "it must see most of what is there";
  EXPECT_GT(score.by_habit, 0.5) << "what it invents must be what its captions taught it to expect";
  // Ours and the trainer's arithmetic may differ where two words are equally likely: a caption or two.
  EXPECT_NEAR(score.chair_s, on_page("shapes-vlm", "CHAIR_S"), 0.051);
  EXPECT_NEAR(score.chair_i, on_page("shapes-vlm", "CHAIR_I"), 0.02);
}

double right_answers(size_t scenes, const std::vector<std::string>& edits) {
  const std::vector<EvaluationScene> asked(shipped_scenes().begin(),
                                           shipped_scenes().begin() + static_cast<std::ptrdiff_t>(scenes));
  std::vector<RunRequest> requests;
  for (const EvaluationScene& entry : asked)
    for (const ShapeQuestion& question : entry.questions)
      requests.push_back(
          request_of(vlm(), picture_of(entry.scene.scene, 64, 64), question.text + " Answer:", edits));
  std::vector<std::string> said;
  for (const std::string& token : likeliest(vlm(), requests)) said.push_back(token.substr(1));
  return score_answers(asked, said).all.accuracy;
}

TEST(ShapesVlm, answers_questions_far_better_than_chance_and_not_without_its_picture) {
  EXPECT_GT(right_answers(20, {}), 0.8);
  const double blind = right_answers(20, {"knockout *.* query=65:73 key=1:65"});
  EXPECT_LT(blind, 0.68);
}

TEST(ShapesVlm, its_picture_positions_carry_rows_and_columns) {
  const RunRequest request =
      request_of(vlm(), picture_of(shipped_scenes()[0].scene.scene, 64, 64), describe_prompt, {});
  ASSERT_EQ(request.tokens.images.size(), 1u);
  const ImageRegion& region = request.tokens.images[0].region;
  EXPECT_EQ(region.begin, 1);
  EXPECT_EQ(region.grid_height, 8);
  EXPECT_EQ(region.end(), 65);
  EXPECT_EQ(request.tokens.tokens[1 + 8 * 2 + 3].text, "2,3");
}

}  // namespace
}  // namespace saccade
