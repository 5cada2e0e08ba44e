#include "resources/models/facts.h"

#include <algorithm>
#include <sstream>
#include <string_view>

namespace saccade {
namespace {

constexpr std::string_view value_words =
    "amber pearl copper ruby coral ivory jade opal onyx topaz garnet quartz marble velvet silk cotton linen "
    "wool satin cedar maple oak pine willow birch walnut olive lemon cherry plum peach melon mango honey "
    "pepper ginger mint clove basil saffron nutmeg cocoa cobalt crimson scarlet violet indigo lilac";
constexpr std::string_view frame_words = "The the code of is What Answer";
constexpr int32_t fact_length = 9, question_length = 13;  // in tokens, with the full stop
constexpr float full_stop_weight = 0.1F;

std::vector<std::string> split(std::string_view words) {
  std::istringstream in{std::string(words)};
  std::vector<std::string> out;
  for (std::string word; in >> word;) out.push_back(word);
  return out;
}

template <class T>
void shuffle(std::vector<T>& values, Random& random) {
  for (int32_t i = static_cast<int32_t>(values.size()) - 1; i > 0; --i)
    std::swap(values[i], values[random.below(i + 1)]);
}

std::vector<std::string> all_words(const Language& stories, const std::vector<std::string>& values) {
  std::vector<std::string> words = stories.words();
  for (const auto& more : {values, split(frame_words)})
    for (const auto& word : more)
      if (std::find(words.begin(), words.end(), word) == words.end()) words.push_back(word);
  return words;
}

}  // namespace

FactLanguage::FactLanguage() : people_(Language::words_of_class("name")), values_(split(value_words)) {
  words_ = all_words(stories_, values_);
  bpe_ = WordBpe::of_bare(words_);
}

std::vector<std::string> FactLanguage::split_words() const { return bpe_.split_forms(words_); }

std::vector<FactLanguage::Fact> FactLanguage::draw_facts(Random& random, int32_t count) const {
  auto people = people_;
  auto values = values_;
  shuffle(people, random);
  shuffle(values, random);
  const auto most = static_cast<int32_t>(std::min(people.size(), values.size() / words_per_value));
  std::vector<Fact> facts;
  for (int32_t f = 0; f < std::min(count, most); ++f) {
    Fact fact{people[f], {}, -1};
    for (int32_t w = 0; w < words_per_value; ++w) fact.value += " " + values[f * words_per_value + w];
    facts.push_back(fact);
  }
  return facts;
}

void FactLanguage::append(FactText& out, std::string sentence, float weight) const {
  if (out.text.ids.size() == 1) sentence.erase(0, 1);  // nothing before the first word of a text
  out.text.append(bpe_.encode(sentence), weight);
}

void FactLanguage::append_fact(FactText& out, Fact& fact) const {
  append(out, " The code of " + fact.person + " is" + fact.value + ".", 0.0F);
  fact.begin = static_cast<int32_t>(out.text.ids.size()) - words_per_value - 1;
}

void FactLanguage::append_question(FactText& out, const Fact& fact) const {
  append(out, " What is the code of " + fact.person + "? Answer:", 0.0F);
  out.questions.push_back({static_cast<int32_t>(out.text.ids.size()) - 1, fact.begin});
  out.text.append(bpe_.encode(fact.value), 1.0F);
  out.text.append(bpe_.encode("."), full_stop_weight);
}

void FactLanguage::append_story(FactText& out, Random& random, float weight) const {
  const auto begin = out.text.ids.size();
  append(out, stories_.story_sentence(random), 0.0F);
  for (auto i = begin; i < out.text.ids.size(); ++i)
    if (random.below(8) == 0) out.text.weight[i] = weight;
}

FactText FactLanguage::text(Random& random, int32_t length, const FactMixture& mixture) const {
  FactText out;
  out.text.append({bpe_.end_of_text_id()}, 0.0F);
  const int32_t asked_from = std::max(fact_length + 1, length - mixture.questions * question_length);
  auto facts = draw_facts(random, std::min(random.between(mixture.fewest_facts, mixture.most_facts),
                                           (asked_from - 1) / fact_length));
  std::vector<int32_t> places;  // before which token each fact is said, at the earliest
  for (size_t f = 0; f < facts.size(); ++f)
    places.push_back(mixture.stories ? 1 + random.below(asked_from - fact_length) : 0);
  std::sort(places.begin(), places.end());
  size_t said = 0;
  const auto at = [&] { return static_cast<int32_t>(out.text.ids.size()); };
  while (said < facts.size() || (mixture.stories && at() < asked_from)) {
    const int32_t left = static_cast<int32_t>(facts.size() - said) * fact_length;
    if (said < facts.size() && (places[said] <= at() || at() + left >= asked_from))
      append_fact(out, facts[said++]);
    else
      append_story(out, random, mixture.story_weight);
  }
  while (at() < length) append_question(out, facts[random.below(static_cast<int32_t>(facts.size()))]);
  out.text.ids.resize(length);
  out.text.weight.resize(length);
  while (!out.questions.empty() && out.questions.back().asked + words_per_value >= length)
    out.questions.pop_back();
  return out;
}

std::string FactLanguage::decode(const std::vector<int32_t>& ids) const {
  std::string out;
  for (size_t i = 1; i < ids.size(); ++i) out += bpe_.decode(ids[i]);
  return out;
}

}  // namespace saccade
