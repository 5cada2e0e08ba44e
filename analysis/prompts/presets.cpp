// Prompts from templates. Every sentence here is ours; what makes each task is its paper's.
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <random>
#include <set>

#include "analysis/prompts/prompt_set.h"

namespace saccade {
namespace {

using Words = std::vector<std::string>;

// Fisher-Yates on the engine's own numbers: the same draw on every system.
template <class T>
void shuffle(std::vector<T>& items, std::mt19937_64& random) {
  for (size_t i = items.size(); i > 1; --i) std::swap(items[i - 1], items[random() % i]);
}

const std::string& pick(const Words& words, std::mt19937_64& random) {
  return words[random() % words.size()];
}

// Makes pairs of one task for one model.
class Maker {
 public:
  Maker(const Model& model, uint64_t seed) : model_(model), random(seed) {}

  [[nodiscard]] Result<TokenSequence> encode(const std::string& text) const {
    return model_.tokenizer().encode(text, {});
  }
  // The token of " word" where that is one token, else nothing.
  [[nodiscard]] std::optional<int32_t> single(const std::string& word) const {
    EncodeOptions plain;
    plain.add_special_tokens = false;
    const auto tokens = model_.tokenizer().encode(" " + word, plain);
    if (!tokens.ok() || tokens->size() != 1) return std::nullopt;
    return tokens->tokens[0].id;
  }
  // Those of the words that are one token each, with a space before them.
  [[nodiscard]] Result<Words> single_tokens(const std::string& task, const Words& words, size_t least) const {
    Words kept, left;
    for (const std::string& word : words) (single(word) ? kept : left).push_back(word);
    if (kept.size() >= least) return kept;
    left.resize(std::min<size_t>(left.size(), 5));
    return make_error(
        ErrorCode::unsupported,
        fmt::format("{}: expected at least {} words of its list to be single tokens of {}, found {}; "
                    "{} and others are several tokens; give prompts of your own as a file",
                    task, least, model_.name(), kept.size(), fmt::join(left, ", ")));
  }
  // The last position at which the text's token " word" stands.
  [[nodiscard]] int32_t last_of(const TokenSequence& tokens, int32_t id) const {
    for (int64_t i = tokens.size() - 1; i >= 0; --i)
      if (tokens.tokens[static_cast<size_t>(i)].id == id) return static_cast<int32_t>(i);
    return -1;
  }
  [[nodiscard]] const Model& model() const { return model_; }

 private:
  const Model& model_;

 public:
  std::mt19937_64 random;
};

// Random tokens twice; the second time ends one before the end. Corrupted: the first copy ends in another
// token.
Result<PromptPair> repeat_pair(Maker& make) {
  const Tokenizer& tokenizer = make.model().tokenizer();
  const int32_t vocabulary = std::min(make.model().spec().n_vocab, tokenizer.vocabulary_size());
  const int64_t length = std::clamp<int64_t>((make.model().spec().n_context - 2) / 2, 2, 16);
  std::vector<int32_t> drawn;
  std::set<int32_t> seen;
  for (int tries = 0; static_cast<int64_t>(drawn.size()) <= length && tries < 100000; ++tries) {
    const auto id = static_cast<int32_t>(make.random() % static_cast<uint64_t>(vocabulary));
    const auto token = tokenizer.token(id);
    if (token.ok() && !token->special && seen.insert(id).second) drawn.push_back(id);
  }
  if (static_cast<int64_t>(drawn.size()) <= length)
    return make_error(ErrorCode::unsupported,
                      fmt::format("repeat: {} has too few ordinary tokens", make.model().name()));
  const int32_t other = drawn.back();
  drawn.pop_back();
  const auto sequence = [&](int32_t end_of_first) {
    std::vector<int32_t> ids;
    if (make.model().adds_bos() && tokenizer.bos()) ids.push_back(*tokenizer.bos());
    ids.insert(ids.end(), drawn.begin(), drawn.end() - 1);
    ids.push_back(end_of_first);
    ids.insert(ids.end(), drawn.begin(), drawn.end() - 1);
    return tokenizer.sequence(ids);
  };
  PromptPair pair;
  SACCADE_TRY(pair.clean, sequence(drawn.back()));
  SACCADE_TRY(pair.corrupt, sequence(other));
  pair.right = {drawn.back()};
  pair.wrong = {other};
  const auto n = static_cast<int32_t>(pair.clean.size());
  pair.clean_roles = pair.corrupt_roles = {{"source", n - static_cast<int32_t>(length)}, {"end", n - 1}};
  return pair;
}

// Indirect objects (Wang et al. 2023, arXiv 2211.00593). Corrupted: the two people change parts, so that the
// other name is the answer; only the second mention differs.
Result<PromptPair> ioi_pair(Maker& make) {
  static const Words names{"Mary",  "John", "Tom",   "James", "Anna", "Peter", "Lucy",
                           "Paul",  "Emma", "David", "Kate",  "Jack", "Alice", "Mark",
                           "Sarah", "Ben",  "Ella",  "Simon", "Jane", "Sam"};
  static const std::array<const char*, 5> frames{"Then, {0} and {1} went to the {2}. {3} gave a {4} to",
                                                 "When {0} and {1} went to the {2}, {3} gave a {4} to",
                                                 "After {0} and {1} walked to the {2}, {3} gave the {4} to",
                                                 "While {0} and {1} were at the {2}, {3} gave a {4} to",
                                                 "Then {0} and {1} sat in the {2}. {3} gave the {4} to"};
  static const Words places{"store", "garden", "school", "market", "house", "office", "station", "kitchen"};
  static const Words things{"drink", "book", "ring", "flower", "letter", "ticket", "key", "cake"};
  SACCADE_TRY(Words known, make.single_tokens("ioi", names, 4));
  shuffle(known, make.random);
  const std::string first = known[0], second = known[1];
  const bool first_gives = make.random() % 2 == 0;
  const std::string& giver = first_gives ? first : second;
  const std::string& receiver = first_gives ? second : first;
  const std::string frame = frames[make.random() % frames.size()];
  const std::string place = pick(places, make.random), thing = pick(things, make.random);
  const auto text = [&](const std::string& who) {
    return make.encode(fmt::format(fmt::runtime(frame), first, second, place, who, thing));
  };
  PromptPair pair;
  SACCADE_TRY(pair.clean, text(giver));
  SACCADE_TRY(pair.corrupt, text(receiver));
  const int32_t io = *make.single(receiver), s = *make.single(giver);
  pair.right = {io};
  pair.wrong = {s};
  const auto end = static_cast<int32_t>(pair.clean.size()) - 1;
  pair.clean_roles = {
      {"io", make.last_of(pair.clean, io)}, {"s2", make.last_of(pair.clean, s)}, {"end", end}};
  pair.corrupt_roles = {
      {"io", make.last_of(pair.corrupt, s)}, {"s2", make.last_of(pair.corrupt, io)}, {"end", end}};
  return pair;
}

// Years (Hanna et al. 2023, arXiv 2305.00586): right are all two-digit ends above the start. Corrupted: from
// 01 on.
Result<PromptPair> greater_than_pair(Maker& make) {
  static const Words nouns{"war", "journey", "project", "siege", "tour", "debate", "strike", "voyage"};
  EncodeOptions plain;
  plain.add_special_tokens = false;
  std::vector<int32_t> ends;
  for (int year = 0; year < 100; ++year) {
    const auto tokens = make.model().tokenizer().encode(fmt::format("{:02}", year), plain);
    if (!tokens.ok() || tokens->size() != 1)
      return make_error(
          ErrorCode::unsupported,
          fmt::format("greater-than: expected 00 to 99 to be single tokens of {}, found that {:02} is "
                      "not",
                      make.model().name(), year));
    ends.push_back(tokens->tokens[0].id);
  }
  const int century = 11 + static_cast<int>(make.random() % 7),
            start = 2 + static_cast<int>(make.random() % 96);
  const std::string noun = pick(nouns, make.random);
  const auto text = [&](int year) {
    return make.encode(
        fmt::format("The {} lasted from the year {}{:02} to the year {}", noun, century, year, century));
  };
  PromptPair pair;
  SACCADE_TRY(pair.clean, text(start));
  SACCADE_TRY(pair.corrupt, text(1));
  for (int year = 0; year < 100; ++year)
    (year > start ? pair.right : pair.wrong).push_back(ends[static_cast<size_t>(year)]);
  pair.clean_roles = pair.corrupt_roles = {{"end", static_cast<int32_t>(pair.clean.size()) - 1}};
  return pair;
}

// The next argument in a docstring (Heimersheim and Janiak 2023). Corrupted: other names in the definition.
Result<PromptPair> docstring_pair(Maker& make) {
  static const Words words{"file", "name", "size", "path", "time",  "user", "text", "data", "page", "line",
                           "list", "type", "code", "key",  "value", "port", "host", "mode", "date", "state"};
  SACCADE_TRY(Words known, make.single_tokens("docstring", words, 8));
  shuffle(known, make.random);
  const auto text = [&](const std::string& a, const std::string& b, const std::string& c) {
    return make.encode(
        fmt::format("def {}(self, {}, {}, {}):\n    \"\"\"{} the {}\n\n    :param {}: the {}\n"
                    "    :param {}: the {}\n    :param",
                    known[7], a, b, c, known[6], known[5], known[0], known[3], known[1], known[4]));
  };
  PromptPair pair;
  SACCADE_TRY(pair.clean, text(known[0], known[1], known[2]));
  SACCADE_TRY(pair.corrupt, text(known[3], known[4], known[6]));
  pair.right = {*make.single(known[2])};
  for (const size_t other : {0, 1, 3, 4, 6}) pair.wrong.push_back(*make.single(known[other]));
  pair.clean_roles = pair.corrupt_roles = {{"end", static_cast<int32_t>(pair.clean.size()) - 1}};
  return pair;
}

// The colour of one of three things, after an example. Corrupted: another of the three is asked about.
Result<PromptPair> colored_objects_pair(Maker& make) {
  static const Words colours{"red",   "blue",   "green",  "yellow", "black",
                             "white", "orange", "purple", "brown",  "grey"};
  static const Words things{"book", "cup", "key", "pencil", "ball", "ring", "plate", "hat", "box", "lamp"};
  SACCADE_TRY(Words known, make.single_tokens("colored-objects", colours, 6));
  SACCADE_TRY(Words named, make.single_tokens("colored-objects", things, 6));
  shuffle(known, make.random);
  shuffle(named, make.random);
  const size_t asked = make.random() % 3, other = (asked + 1 + make.random() % 2) % 3;
  const auto text = [&](size_t which) {
    return make.encode(fmt::format(
        "Question: On the table there is a {} {}, a {} {} and a {} {}. What color is the {}?\nAnswer: {}\n\n"
        "Question: On the floor there is a {} {}, a {} {} and a {} {}. What color is the {}?\nAnswer:",
        known[3], named[3], known[4], named[4], known[5], named[5], named[4], known[4], known[0], named[0],
        known[1], named[1], known[2], named[2], named[which]));
  };
  PromptPair pair;
  SACCADE_TRY(pair.clean, text(asked));
  SACCADE_TRY(pair.corrupt, text(other));
  pair.right = {*make.single(known[asked])};
  pair.wrong = {*make.single(known[other])};
  const auto end = static_cast<int32_t>(pair.clean.size()) - 1;
  pair.clean_roles = pair.corrupt_roles = {{"end", end}};
  // Where the colours of the three things stand; seen from each question, the answer's and the two others.
  const auto colours_of = [&](const TokenSequence& tokens, size_t which,
                              std::map<std::string, int32_t>& roles) {
    roles["right"] = make.last_of(tokens, *make.single(known[which]));
    roles["wrong1"] = make.last_of(tokens, *make.single(known[(which + 1) % 3]));
    roles["wrong2"] = make.last_of(tokens, *make.single(known[(which + 2) % 3]));
  };
  colours_of(pair.clean, asked, pair.clean_roles);
  colours_of(pair.corrupt, other, pair.corrupt_roles);
  return pair;
}

struct Preset {
  const char* name;
  Result<PromptPair> (*make)(Maker&);
};
constexpr std::array<Preset, 5> presets{{{"repeat", repeat_pair},
                                         {"ioi", ioi_pair},
                                         {"greater-than", greater_than_pair},
                                         {"docstring", docstring_pair},
                                         {"colored-objects", colored_objects_pair}}};

}  // namespace

std::vector<std::string> preset_names() {
  std::vector<std::string> names;
  for (const Preset& preset : presets) names.emplace_back(preset.name);
  return names;
}

Result<PromptSet> preset(const std::string& name, const Model& model, int count, uint64_t seed) {
  const auto found =
      std::find_if(presets.begin(), presets.end(), [&](const Preset& known) { return name == known.name; });
  if (found == presets.end())
    return make_error(ErrorCode::not_found,
                      fmt::format("there are no prompts called '{}'; there are {}, or a file", name,
                                  fmt::join(preset_names(), ", ")));
  if (count < 1)
    return make_error(ErrorCode::invalid_argument,
                      fmt::format("expected at least one prompt pair, found {}", count));
  Maker make(model, seed);
  PromptSet set{name, {}};
  std::set<std::vector<int32_t>> seen;
  for (int tries = 0; static_cast<int>(set.pairs.size()) < count && tries < 50 * count; ++tries) {
    SACCADE_TRY(PromptPair pair, found->make(make));
    if (pair.clean.size() == pair.corrupt.size() && seen.insert(pair.clean.ids()).second)
      set.pairs.push_back(std::move(pair));
  }
  if (set.pairs.empty())
    return make_error(ErrorCode::unsupported,
                      fmt::format("{}: no clean and corrupted prompt have the same number of tokens of {}",
                                  name, model.name()));
  return set;
}

}  // namespace saccade
