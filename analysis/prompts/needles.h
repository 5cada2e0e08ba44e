// Needles: facts hidden in a long text, and the questions about them (needle in a haystack). Pure; thread:
// any.
//
// File (JSON): {"template": "{context} {question}", "stop": "\n", "haystack": "book.txt" (beside the file),
//  "needles": [{"needle": ..., "question": ..., "answer": ..., "test": false}...]}
// template: where the text and the question go. stop: decoding ends with a token that holds it. answer: the
// words that count; best a part of the needle. test: this needle is only for the causal test, so that heads
// are tried on another one than they were chosen by.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "core/model/model.h"
#include "core/run/edit.h"
#include "core/tokens/tokenizer.h"

namespace saccade {

struct Needle {
  std::string needle, question, answer;
  bool test = false;
};

struct NeedleSet {
  std::string name;  // "recall", or the file
  std::string form;  // the template
  std::string stop;
  std::filesystem::path haystack;
  std::vector<Needle> needles;
};

// "auto" (recall on demo:recall, english elsewhere), "recall", "english", or a file. Errors name file and
// key.
[[nodiscard]] Result<NeedleSet> read_needles(const std::string& name_or_file, const Model& model);

struct NeedlePrompt {
  TokenSequence tokens;
  PositionRange span;               // of the answer; empty when it was not found
  std::vector<int32_t> needle_ids;  // of the tokens of the span
};

// A haystack, cut into tokens once.
class Haystack {
 public:
  // Errors: a text that cannot be read or tokenised, or is empty.
  static Result<Haystack> read(const std::filesystem::path& path, const Model& model);

  [[nodiscard]] int64_t size() const { return static_cast<int64_t>(ends_.size()); }
  // A prompt of at most `length` tokens with the needle at `depth` (0: at the beginning, 1: at the end) of
  // the text, moved back to the end of a sentence (to the beginning where there is none). Errors: a length
  // that the needle and the question alone exceed; a haystack too short for it.
  [[nodiscard]] Result<NeedlePrompt> prompt(const NeedleSet& set, const Needle& needle, int64_t length,
                                            double depth) const;

 private:
  std::string text_;
  std::vector<int64_t> ends_;  // byte where each token ends
  const Model* model_ = nullptr;
};

// The answer within ids, where only its tokens are known: the first window of as many tokens in which more
// than 90 % of the answer's distinct ids occur (Retrieval_Head); empty without one.
[[nodiscard]] PositionRange find_span(const std::vector<int32_t>& ids, const std::vector<int32_t>& answer);

// ROUGE-1 recall: the share of the answer's words (letters and digits, lower case, stemmed where longer than
// three letters) that the response has, each as often as it is there. 0 for an answer without words.
[[nodiscard]] double unigram_recall(std::string_view response, std::string_view answer);

// Every token of the vocabulary whose text holds `stop`; none for an empty `stop`.
[[nodiscard]] std::vector<int32_t> stop_ids_of(const Tokenizer& tokenizer, std::string_view stop);

}  // namespace saccade
