// The small language the demo model is trained on: ordinary English words, in texts where repetition pays.
//
// A text is "<|endoftext|>" and then items until it is full: lists of random words that come again word for
// word, sentences that come again word for word, stories whose few people and things recur, and sentences
// that name two people and then one of them, so that the other must receive ("When Mary and John went to the
// store, John gave a drink to Mary."; the task of Wang et al. 2022). Everything is drawn from one seeded
// generator.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "resources/models/random.h"
#include "resources/models/word_bpe.h"

namespace saccade {

// A text that ends just before the name to be given; `receiver` is right, `giver` has been named twice.
struct GivingPrompt {
  std::vector<int32_t> ids;
  int32_t receiver = 0, giver = 0;
};

// A text to learn from. `weight` is what foretelling each token counts in the loss: little for a list's words
// the first time, which nothing could foretell; much for the name of the one who receives.
struct Text {
  std::vector<int32_t> ids;
  std::vector<float> weight;

  void append(const std::vector<int32_t>& more, float each);
};

// Shares of the items of a text, in percent; the rest are stories.
struct Mixture {
  int32_t word_lists = 25, repeated_sentences = 18, giving = 36;
  int32_t longest_list = 45, most_copies = 2;  // of a repeated item
  float chance_weight = 0.3F, receiver_weight = 5.0F;
};

class Language {
 public:
  Language();

  [[nodiscard]] const WordBpe& tokenizer() const { return bpe_; }
  [[nodiscard]] int32_t word_count() const { return static_cast<int32_t>(words_.size()); }
  [[nodiscard]] const std::vector<std::string>& words() const { return words_; }
  // Words that are not one token with their leading space; empty when the tokenizer is right.
  [[nodiscard]] std::vector<std::string> split_words() const;

  [[nodiscard]] Text text(Random& random, int32_t length, const Mixture& mixture) const;
  // BOS, `half` random words, the same words again: [1 + 2 * half].
  [[nodiscard]] std::vector<int32_t> repeated_words(Random& random, int32_t half) const;
  [[nodiscard]] GivingPrompt giving_prompt(Random& random) const;
  [[nodiscard]] std::string sample(Random& random, int32_t length) const;
  // One sentence of a story, with the space before it.
  [[nodiscard]] std::string story_sentence(Random& random) const;
  [[nodiscard]] static std::vector<std::string> words_of_class(std::string_view name);

 private:
  struct Cast;  // the people and things of one story
  struct Names {
    std::string giver, receiver;
  };

  [[nodiscard]] std::string expand(std::string_view frame, const Cast& cast, Random& random,
                                   Names* names) const;
  [[nodiscard]] Cast draw_cast(Random& random) const;
  void append_sentence(Text& text, const Cast& cast, const Mixture& mixture, Random& random,
                       bool giving) const;
  void append_words(Text& text, int32_t count, float weight, Random& random) const;
  void append_item(Text& text, const Cast& cast, const Mixture& mixture, Random& random) const;

  std::vector<std::string> words_;
  WordBpe bpe_;
  std::vector<int32_t> word_ids_;  // each word with its leading space
};

}  // namespace saccade
