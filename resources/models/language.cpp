#include "resources/models/language.h"

#include <algorithm>
#include <map>
#include <set>

#include "resources/models/language_words.h"

namespace saccade {
namespace {

using Lists = std::map<std::string_view, std::vector<std::string>>;

std::vector<std::string> split(std::string_view words) {
  std::vector<std::string> out;
  for (size_t begin = 0; begin < words.size();) {
    const size_t end = std::min(words.find(' ', begin), words.size());
    out.emplace_back(words.substr(begin, end - begin));
    begin = end + 1;
  }
  return out;
}

const Lists& lists() {
  static const Lists all = [] {
    Lists made;
    for (const auto& entry : language::word_classes) made[entry.name] = split(entry.words);
    return made;
  }();
  return all;
}

template <class T>
const T& pick(const std::vector<T>& from, Random& random) {
  return from[random.below(static_cast<int32_t>(from.size()))];
}

template <size_t N>
std::string_view pick(const std::array<std::string_view, N>& from, Random& random) {
  return from[random.below(static_cast<int32_t>(N))];
}

std::vector<std::string> all_words() {
  std::vector<std::string> words;
  std::set<std::string> seen;
  for (const auto& entry : language::word_classes)
    for (const auto& word : split(entry.words))
      if (seen.insert(word).second) words.push_back(word);
  return words;
}

void append(std::vector<int32_t>& ids, const std::vector<int32_t>& more) {
  ids.insert(ids.end(), more.begin(), more.end());
}

}  // namespace

void Text::append(const std::vector<int32_t>& more, float each) {
  saccade::append(ids, more);
  weight.insert(weight.end(), more.size(), each);
}

struct Language::Cast {
  std::map<std::string_view, std::vector<std::string>> words;
};

Language::Language() : words_(all_words()), bpe_(WordBpe::of_bare(words_)) {
  for (const auto& word : words_) word_ids_.push_back(bpe_.encode(" " + word).front());
}

std::vector<std::string> Language::split_words() const { return bpe_.split_forms(words_); }

// A story has few people and things, so they recur; the classes not drawn here are free.
Language::Cast Language::draw_cast(Random& random) const {
  Cast cast;
  const std::map<std::string_view, int32_t> few{{"name", 4},  {"person", 3},    {"animal", 3},
                                                {"place", 3}, {"adjective", 6}, {"thing", 5}};
  for (const auto& [name, words] : lists()) {
    cast.words[name] = words;
    const auto entry = few.find(name);
    if (entry == few.end()) continue;
    auto& own = cast.words[name];
    for (int32_t i = 0; i < entry->second; ++i)
      std::swap(own[i], own[random.between(i, static_cast<int32_t>(own.size()) - 1)]);
    own.resize(entry->second);
  }
  return cast;
}

std::string Language::expand(std::string_view frame, const Cast& cast, Random& random, Names* names) const {
  const std::string a = pick(cast.words.at("name"), random);
  std::string b = a;
  while (b == a) b = pick(cast.words.at("name"), random);
  const bool first_gives = random.percent(50);
  const Names two = first_gives ? Names{a, b} : Names{b, a};
  if (names != nullptr) *names = two;
  std::string out;
  for (size_t i = 0; i < frame.size(); ++i) {
    if (frame[i] != '{') {
      out += frame[i];
      continue;
    }
    const size_t end = frame.find('}', i);
    const auto slot = frame.substr(i + 1, end - i - 1);
    if (slot == "A")
      out += a;
    else if (slot == "B")
      out += b;
    else if (slot == "S")
      out += two.giver;
    else if (slot == "O")
      out += two.receiver;
    else
      out += pick(cast.words.at(slot), random);
    i = end;
  }
  return out;
}

void Language::append_sentence(Text& text, const Cast& cast, const Mixture& mixture, Random& random,
                               bool giving) const {
  // Two in three giving sentences bring their own people: the answer must come from the sentence itself.
  const bool strangers = giving && random.percent(67);
  const auto frame = giving ? pick(language::giving_frames, random) : pick(language::story_frames, random);
  auto sentence = expand(frame, strangers ? draw_cast(random) : cast, random, nullptr);
  if (text.ids.size() == 1) sentence.erase(0, 1);  // nothing before the first word of a text
  text.append(bpe_.encode(sentence), 1.0F);
  if (giving) text.weight[text.weight.size() - 2] = mixture.receiver_weight;  // before the full stop
}

void Language::append_words(Text& text, int32_t count, float weight, Random& random) const {
  const bool pieces = random.percent(20);  // parts of words too: what a word outside the language is made of
  for (int32_t i = 0; i < count; ++i) {
    if (text.ids.size() == 1)
      text.append(bpe_.encode(pick(words_, random)), weight);
    else if (pieces && random.percent(50))
      text.append({random.below(bpe_.size() - 1)}, weight);
    else
      text.append({pick(word_ids_, random)}, weight);
  }
}

void Language::append_item(Text& text, const Cast& cast, const Mixture& mixture, Random& random) const {
  const int32_t draw = random.below(100);
  if (draw >= mixture.word_lists + mixture.repeated_sentences) {
    append_sentence(text, cast, mixture, random,
                    draw < mixture.word_lists + mixture.repeated_sentences + mixture.giving);
    return;
  }
  const auto begin = static_cast<std::ptrdiff_t>(text.ids.size());
  if (draw < mixture.word_lists) {
    append_words(text, random.between(4, mixture.longest_list), mixture.chance_weight, random);
  } else {
    for (int32_t n = random.between(1, 3); n > 0; --n)
      append_sentence(text, cast, mixture, random, random.percent(20));
  }
  std::vector<int32_t> segment(text.ids.begin() + begin, text.ids.end());
  if (begin == 1) {  // the first word of a text has no space; its copies have
    std::string spaced(1, ' ');
    spaced += bpe_.decode(segment[0]);
    segment[0] = bpe_.encode(spaced)[0];
  }
  for (int32_t copies = random.between(1, mixture.most_copies); copies > 0; --copies) {
    if (random.percent(40))
      append_words(text, random.between(1, 12), mixture.chance_weight, random);
    else if (random.percent(40))
      append_sentence(text, cast, mixture, random, false);
    text.append(segment, 1.0F);
  }
}

Text Language::text(Random& random, int32_t length, const Mixture& mixture) const {
  const Cast cast = draw_cast(random);
  Text text;
  text.append({bpe_.end_of_text_id()}, 0.0F);
  while (static_cast<int32_t>(text.ids.size()) < length) append_item(text, cast, mixture, random);
  text.ids.resize(length);
  text.weight.resize(length);
  return text;
}

std::vector<int32_t> Language::repeated_words(Random& random, int32_t half) const {
  std::vector<int32_t> ids{bpe_.end_of_text_id()};
  for (int32_t i = 0; i < half; ++i) ids.push_back(pick(word_ids_, random));
  for (int32_t i = 0; i < half; ++i) ids.push_back(ids[1 + i]);
  return ids;
}

GivingPrompt Language::giving_prompt(Random& random) const {
  Names names;
  auto sentence = expand(pick(language::giving_frames, random), draw_cast(random), random, &names);
  sentence.erase(0, 1);
  sentence.resize(sentence.rfind(' '));
  GivingPrompt prompt{
      {bpe_.end_of_text_id()}, bpe_.encode(" " + names.receiver)[0], bpe_.encode(" " + names.giver)[0]};
  append(prompt.ids, bpe_.encode(sentence));
  return prompt;
}

std::string Language::story_sentence(Random& random) const {
  return expand(pick(language::story_frames, random), draw_cast(random), random, nullptr);
}

std::vector<std::string> Language::words_of_class(std::string_view name) { return lists().at(name); }

std::string Language::sample(Random& random, int32_t length) const {
  std::string out;
  const auto ids = text(random, length, {}).ids;
  for (size_t i = 1; i < ids.size(); ++i) out += bpe_.decode(ids[i]);
  return out;
}

}  // namespace saccade
