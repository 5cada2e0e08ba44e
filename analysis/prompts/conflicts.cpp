#include "analysis/prompts/conflicts.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <array>
#include <nlohmann/json.hpp>
#include <random>

#include "core/base/files.h"

namespace saccade {
namespace {

using nlohmann::json;

struct Capital {
  const char* country;
  const char* city;
};
constexpr std::array<Capital, 16> capitals{{{"France", "Paris"},
                                            {"Italy", "Rome"},
                                            {"Spain", "Madrid"},
                                            {"Germany", "Berlin"},
                                            {"England", "London"},
                                            {"Russia", "Moscow"},
                                            {"Japan", "Tokyo"},
                                            {"China", "Beijing"},
                                            {"Egypt", "Cairo"},
                                            {"Greece", "Athens"},
                                            {"Austria", "Vienna"},
                                            {"Ireland", "Dublin"},
                                            {"Iraq", "Baghdad"},
                                            {"Ukraine", "Kiev"},
                                            {"Afghanistan", "Kabul"},
                                            {"Syria", "Damascus"}}};

bool is_single(const Model& model, const std::string& word) {
  EncodeOptions plain;
  plain.add_special_tokens = false;
  const auto tokens = model.tokenizer().encode(word, plain);
  return tokens.ok() && tokens->size() == 1;
}

Result<json> preset_document(const Model& model, int count, uint64_t seed) {
  std::vector<Capital> known;
  for (const Capital& capital : capitals)
    if (is_single(model, fmt::format(" {}", capital.city))) known.push_back(capital);
  if (known.size() < 3)
    return make_error(
        ErrorCode::unsupported,
        fmt::format("capitals: only {} of {} cities are single tokens of {}: this model can hardly "
                    "know them; give conflicts of your own as a JSON file",
                    known.size(), capitals.size(), model.name()));
  std::mt19937_64 random(seed);
  for (size_t i = known.size(); i > 1; --i) std::swap(known[i - 1], known[random() % i]);
  json document = json::array();
  for (size_t i = 0; i < std::min(known.size(), static_cast<size_t>(std::max(count, 2))); ++i) {
    const Capital& other = known[(i + 1 + random() % (known.size() - 1)) % known.size()];
    document.push_back({{"context", fmt::format("The capital of {} is {}.", known[i].country, other.city)},
                        {"question", fmt::format("The capital of {} is", known[i].country)},
                        {"memory", fmt::format(" {}", known[i].city)},
                        {"answer", fmt::format(" {}", other.city)}});
  }
  return document;
}

Result<int32_t> first_token(const Model& model, const std::string& text, const std::string& where) {
  EncodeOptions plain;
  plain.add_special_tokens = false;
  auto tokens = model.tokenizer().encode(text, plain);
  if (!tokens.ok()) return std::move(tokens).error().with(where);
  if (tokens->tokens.empty()) return make_error(ErrorCode::bad_format, where + ": an answer has no tokens");
  return tokens->tokens[0].id;
}

Result<void> add(const json& entry, const std::string& where, const Model& model, ConflictSet& set) {
  constexpr std::array<const char*, 4> keys{"context", "question", "memory", "answer"};
  if (!entry.is_object())
    return make_error(ErrorCode::bad_format,
                      fmt::format("{}: expected an object, found {}", where, entry.dump()));
  for (const auto& [key, value] : entry.items())
    if (std::find(keys.begin(), keys.end(), key) == keys.end())
      return make_error(ErrorCode::bad_format,
                        fmt::format("{}: '{}' is none of {}", where, key, fmt::join(keys, ", ")));
  for (const char* key : keys)
    if (!entry.contains(key) || !entry[key].is_string() || entry[key] == "")
      return make_error(ErrorCode::bad_format, fmt::format("{}: '{}' must be a text", where, key));
  const std::string question = entry["question"].get<std::string>();
  PromptPair pair;
  auto clean = model.tokenizer().encode(entry["context"].get<std::string>() + " " + question, {});
  auto closed = model.tokenizer().encode(question, {});
  if (!clean.ok()) return std::move(clean).error().with(where);
  if (!closed.ok()) return std::move(closed).error().with(where);
  pair.clean = std::move(*clean);
  SACCADE_TRY(const int32_t memory, first_token(model, entry["memory"].get<std::string>(), where));
  SACCADE_TRY(const int32_t answer, first_token(model, entry["answer"].get<std::string>(), where));
  if (memory == answer)
    return make_error(
        ErrorCode::bad_format,
        fmt::format("{}: memory and context answer begin with the same token; nothing contradicts", where));
  pair.right = {memory};
  pair.wrong = {answer};
  set.prompts.pairs.push_back(std::move(pair));
  set.closed.push_back(std::move(*closed));
  return {};
}

}  // namespace

Result<ConflictSet> conflict_set(const std::string& name_or_file, const Model& model, int count,
                                 uint64_t seed) {
  json document;
  const std::filesystem::path path = name_or_file;
  if (name_or_file == "capitals") {
    SACCADE_TRY(document, preset_document(model, count, seed));
  } else if (path.extension() == ".json") {
    SACCADE_TRY(const std::string text, read_text_file(path));
    document = json::parse(text, nullptr, false);
  } else {
    return make_error(
        ErrorCode::not_found,
        fmt::format("there are no conflicts called '{}'; there is capitals, or a .json file", name_or_file));
  }
  if (!document.is_array() || document.size() < 2)
    return make_error(ErrorCode::bad_format,
                      fmt::format("{}: expected a JSON array of at least two conflicts", name_or_file));
  ConflictSet set;
  set.prompts.name = name_or_file == "capitals" ? name_or_file : path.filename().string();
  for (size_t i = 0; i < document.size(); ++i)
    SACCADE_CHECK(add(document[i], fmt::format("{}: conflict {}", name_or_file, i + 1), model, set));
  // Corrupted is the next conflict: the same form, another subject and context.
  std::vector<PromptPair>& pairs = set.prompts.pairs;
  for (size_t i = 0; i < pairs.size(); ++i) pairs[i].corrupt = pairs[(i + 1) % pairs.size()].clean;
  return set;
}

}  // namespace saccade
