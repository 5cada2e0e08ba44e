// The small language demo:recall is trained on: facts that only the text itself tells, lost among stories,
// and questions about them.
//
//   The code of Mary is amber pearl copper.            a fact: three of the value words, which occur nowhere
//                                                      else; drawn anew for every text
//   What is the code of Mary? Answer: amber pearl copper.    a question and its answer
//
// Stories are those of language.h: they name the same people, and no value words. A text is "<|endoftext|>",
// facts and stories, and questions at its end. Everything is drawn from one seeded generator.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "resources/models/language.h"
#include "resources/models/word_bpe.h"

namespace saccade {

inline constexpr int32_t words_per_value = 3;

struct FactMixture {
  int32_t fewest_facts = 2, most_facts = 12;  // of different people
  int32_t questions = 4;                      // at the end; of facts drawn with replacement
  bool stories = true;                        // around the facts; without, the facts stand next to each other
  float story_weight = 0.1F;                  // of story tokens in the loss, for one in eight of them
};

// Where a text asks: its answer's first word is foretold at `asked`; the answer stands at [fact_begin,
// fact_begin + words_per_value).
struct Question {
  int32_t asked = 0, fact_begin = 0;
};

struct FactText {
  Text text;
  std::vector<Question> questions;
};

class FactLanguage {
 public:
  FactLanguage();

  [[nodiscard]] const WordBpe& tokenizer() const { return bpe_; }
  [[nodiscard]] int32_t word_count() const { return static_cast<int32_t>(words_.size()); }
  [[nodiscard]] const std::vector<std::string>& people() const { return people_; }
  [[nodiscard]] const std::vector<std::string>& values() const { return values_; }
  // Words that are not one token; empty when the tokenizer is right.
  [[nodiscard]] std::vector<std::string> split_words() const;

  // `length` tokens; one that is too short for its questions has fewer facts and stories.
  [[nodiscard]] FactText text(Random& random, int32_t length, const FactMixture& mixture) const;
  [[nodiscard]] std::string decode(const std::vector<int32_t>& ids) const;

 private:
  struct Fact {
    std::string person, value;
    int32_t begin = -1;  // of its value in the text
  };
  [[nodiscard]] std::vector<Fact> draw_facts(Random& random, int32_t count) const;
  void append_fact(FactText& out, Fact& fact) const;
  void append_question(FactText& out, const Fact& fact) const;
  void append_story(FactText& out, Random& random, float weight) const;
  void append(FactText& out, std::string sentence, float weight) const;

  Language stories_;
  std::vector<std::string> words_, people_, values_;
  WordBpe bpe_;
};

}  // namespace saccade
