// Between scenes and what a ShapesVlm takes: the tokenizer, batches to learn from, prompts.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "resources/models/shape_talk.h"
#include "resources/models/shapes_vlm.h"
#include "resources/models/word_bpe.h"

namespace saccade {

// The words of shape_talk.h, each one token; behind them "<|endoftext|>" and "<image>".
class TalkTokens {
 public:
  TalkTokens();
  [[nodiscard]] const WordBpe& bpe() const { return bpe_; }
  [[nodiscard]] int32_t image_id() const { return bpe_.size(); }
  [[nodiscard]] int32_t size() const { return bpe_.size() + 1; }
  [[nodiscard]] int32_t end_id() const { return bpe_.end_of_text_id(); }
  [[nodiscard]] std::vector<std::string> split_words() const;  // empty when the tokenizer is right
  // What stands behind the picture: with a space before it.
  [[nodiscard]] std::vector<int32_t> prompt(const std::string& text) const;
  // Up to the end of the text, without the space before it.
  [[nodiscard]] std::string text(const std::vector<int32_t>& ids) const;
  [[nodiscard]] std::vector<int32_t> words(const std::vector<std::string>& words) const;

 private:
  WordBpe bpe_;
};

inline constexpr int32_t questions_per_picture = 6, caption_slot = 28, question_slot = 10;

[[nodiscard]] std::string question_prompt(const std::string& question);  // "Is ...? Answer:"
[[nodiscard]] VlmShape vlm_shape(const TalkTokens& tokens);
// What each patch of the picture shows: most of it, or of its centre.
void append_names(PatchNames& names, const TalkedScene& scene, const ShapePicture& picture, int32_t patch);
// One caption and several questions of each picture.
[[nodiscard]] TalkBatch draw_talk(Random& random, const TalkTokens& tokens, const VlmShape& shape,
                                  int32_t pictures);

}  // namespace saccade
