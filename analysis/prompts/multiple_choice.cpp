#include "analysis/prompts/multiple_choice.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <numeric>
#include <random>

namespace saccade {
namespace {

constexpr size_t options = 4;

struct Category {
  const char* name;
  std::array<const char*, 6> words;
};
constexpr std::array<Category, 6> categories{
    {{"a colour", {"red", "blue", "green", "yellow", "black", "white"}},
     {"an animal", {"dog", "cat", "horse", "bird", "fish", "fox"}},
     {"a fruit", {"apple", "lemon", "orange", "pear", "plum", "cherry"}},
     {"a number", {"two", "four", "seven", "nine", "three", "eight"}},
     {"a piece of clothing", {"hat", "coat", "shirt", "shoe", "dress", "glove"}},
     {"a thing in a house", {"table", "chair", "bed", "lamp", "window", "door"}}}};

struct Question {
  const char* category;
  std::array<std::string, options> words;  // the right one first
};

template <class Items>
void shuffle(Items& items, std::mt19937_64& random) {
  for (size_t i = items.size(); i > 1; --i) std::swap(items[i - 1], items[random() % i]);
}

Question draw(std::mt19937_64& random) {
  std::array<size_t, categories.size()> order{};
  std::iota(order.begin(), order.end(), size_t{0});
  shuffle(order, random);
  Question question{categories[order[0]].name, {}};
  for (size_t i = 0; i < options; ++i) question.words[i] = categories[order[i]].words[random() % 6];
  return question;
}

std::array<std::string, options> labels_of(const std::string& format, std::mt19937_64& random) {
  std::string letters = "ABCD";
  if (format == "numbers") letters = "1234";
  if (format == "later-letters") letters = "WXYZ";
  if (format == "random-letters") {
    letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZ";
    shuffle(letters, random);
  }
  std::array<std::string, options> labels;
  for (size_t i = 0; i < options; ++i) labels[i] = letters.substr(i, 1);
  return labels;
}

// A prompt, and where in its text the labels and the ends of the options stand.
struct Written {
  std::string text;
  std::array<int64_t, options> label_bytes{}, content_bytes{};
};

Written write(const std::string& format, const Question& question,
              const std::array<std::string, options>& labels, const std::array<size_t, options>& order) {
  const char *open = format == "brackets" ? "[" : "(", *close = format == "brackets" ? "]" : ")";
  Written written;
  if (format != "no-prelude") written.text = "Here is a question. One of the answers is right.\n\n";
  written.text += fmt::format("Question: Which of these is {}?\n", question.category);
  for (size_t i = 0; i < options; ++i) {
    written.text += open;
    written.label_bytes[i] = static_cast<int64_t>(written.text.size());
    written.text += labels[i] + close + " " + question.words[order[i]];
    written.content_bytes[i] = static_cast<int64_t>(written.text.size()) - 1;
    written.text += "\n";
  }
  written.text += fmt::format("Answer: {}", open);
  return written;
}

// The token that holds a byte of the text; -1 where there is none.
int64_t token_at(const TokenSequence& tokens, int64_t byte) {
  for (size_t i = 0; i < tokens.tokens.size(); ++i)
    if (tokens.tokens[i].begin <= byte && byte < tokens.tokens[i].end) return static_cast<int64_t>(i);
  return -1;
}

Result<ChoicePrompt> make(const std::string& format, const Model& model, std::mt19937_64& random) {
  const Question question = draw(random);
  const std::array<std::string, options> labels = labels_of(format, random);
  std::array<size_t, options> order{0, 1, 2, 3}, other{};
  shuffle(order, random);
  // Turned round by one to three places: every label's option changes, the right one's too.
  const size_t turn = 1 + random() % (options - 1);
  for (size_t i = 0; i < options; ++i) other[(i + turn) % options] = order[i];
  const Written clean = write(format, question, labels, order),
                corrupt = write(format, question, labels, other);
  ChoicePrompt prompt;
  SACCADE_TRY(prompt.pair.clean, model.tokenizer().encode(clean.text, {}));
  SACCADE_TRY(prompt.pair.corrupt, model.tokenizer().encode(corrupt.text, {}));
  prompt.correct = static_cast<size_t>(std::find(order.begin(), order.end(), size_t{0}) - order.begin());
  prompt.correct_corrupted = (prompt.correct + turn) % options;
  for (size_t i = 0; i < options; ++i) {
    const int64_t label = token_at(prompt.pair.clean, clean.label_bytes[i]);
    const Token* token = label < 0 ? nullptr : &prompt.pair.clean.tokens[static_cast<size_t>(label)];
    if (token == nullptr || token->begin != clean.label_bytes[i] || token->end != clean.label_bytes[i] + 1)
      return make_error(
          ErrorCode::unsupported,
          fmt::format("multiple choice ({}): {} reads the label '{}' together with what stands around "
                      "it; there is no token to answer with",
                      format, model.name(), labels[i]));
    prompt.labels.push_back(token->id);
    prompt.label_positions.push_back(label);
    prompt.content_positions.push_back(token_at(prompt.pair.clean, clean.content_bytes[i]));
    (i == prompt.correct ? prompt.pair.right : prompt.pair.wrong).push_back(token->id);
  }
  return prompt;
}

// Whether every label stands at the same place in both prompts: what patching and keys at labels need.
bool corresponds(const ChoicePrompt& prompt) {
  if (prompt.pair.clean.size() != prompt.pair.corrupt.size()) return false;
  return std::all_of(prompt.label_positions.begin(), prompt.label_positions.end(), [&](int64_t position) {
    const auto at = static_cast<size_t>(position);
    return prompt.pair.clean.tokens[at].id == prompt.pair.corrupt.tokens[at].id;
  });
}

}  // namespace

const std::vector<std::string>& choice_formats() {
  static const std::vector<std::string> formats{"letters", "random-letters", "later-letters",
                                                "numbers", "brackets",       "no-prelude"};
  return formats;
}

Result<std::vector<ChoicePrompt>> choice_prompts(const std::string& format, const Model& model, int count,
                                                 uint64_t seed) {
  std::mt19937_64 random(seed);
  std::vector<ChoicePrompt> prompts;
  for (int tries = 0; static_cast<int>(prompts.size()) < count && tries < 200 * count; ++tries) {
    SACCADE_TRY(ChoicePrompt prompt, make(format, model, random));
    if (corresponds(prompt)) prompts.push_back(std::move(prompt));
  }
  if (static_cast<int>(prompts.size()) < count)
    return make_error(
        ErrorCode::unsupported,
        fmt::format("multiple choice ({}): only {} of {} questions keep their labels in place when "
                    "their options change order, as {} reads them",
                    format, prompts.size(), count, model.name()));
  return prompts;
}

}  // namespace saccade
