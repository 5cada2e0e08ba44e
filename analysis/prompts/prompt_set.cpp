#include "analysis/prompts/prompt_set.h"

#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "analysis/prompts/csv.h"
#include "core/base/files.h"

namespace saccade {
namespace {

using nlohmann::json;

// Reads one pair of a document: texts to tokens.
class PairReader {
 public:
  PairReader(const std::string& file, const Model& model) : file_(file), model_(model) {}

  Result<PromptPair> read(const json& entry, size_t number) {
    where_ = fmt::format("{}: pair {}", file_, number + 1);
    if (!entry.is_object()) return bad(fmt::format("expected an object, found {}", entry.dump()));
    for (const auto& [key, value] : entry.items())
      if (key != "clean" && key != "corrupt" && key != "right" && key != "wrong" && key != "roles")
        return bad(fmt::format("'{}' is none of clean, corrupt, right, wrong, roles", key));
    PromptPair pair;
    SACCADE_TRY(pair.clean, prompt(entry, "clean", true));
    SACCADE_TRY(pair.corrupt, prompt(entry, "corrupt", false));
    SACCADE_TRY(pair.right, answers(entry, "right"));
    SACCADE_TRY(pair.wrong, answers(entry, "wrong"));
    if (pair.right.empty()) return bad("'right' is missing: what is the answer?");
    for (const int32_t id : pair.right)
      if (std::find(pair.wrong.begin(), pair.wrong.end(), id) != pair.wrong.end())
        return bad(
            fmt::format("token {} is both right and wrong; the answers begin with the same token", id));
    SACCADE_CHECK(roles(entry, pair));
    return pair;
  }

 private:
  [[nodiscard]] Error bad(const std::string& what) const {
    return make_error(ErrorCode::bad_format, where_ + ": " + what);
  }
  [[nodiscard]] Result<TokenSequence> prompt(const json& entry, const char* key, bool required) const {
    if (!entry.contains(key) || entry[key] == "") {
      if (required) return bad(fmt::format("'{}' is missing", key));
      return TokenSequence();
    }
    if (!entry[key].is_string())
      return bad(fmt::format("'{}' must be a text, found {}", key, entry[key].dump()));
    auto tokens = model_.tokenizer().encode(entry[key].get<std::string>(), {});
    if (!tokens.ok()) return std::move(tokens).error().with(where_);
    return tokens;
  }
  [[nodiscard]] Result<std::vector<int32_t>> answers(const json& entry, const char* key) const {
    std::vector<int32_t> ids;
    if (!entry.contains(key)) return ids;
    const json list = entry[key].is_array() ? entry[key] : json::array({entry[key]});
    EncodeOptions plain;
    plain.add_special_tokens = false;
    for (const json& value : list) {
      if (!value.is_string())
        return bad(fmt::format("'{}' must be a text or texts, found {}", key, value.dump()));
      if (value == "") continue;
      auto tokens = model_.tokenizer().encode(value.get<std::string>(), plain);
      if (!tokens.ok()) return std::move(tokens).error().with(where_);
      if (tokens->tokens.empty()) return bad(fmt::format("'{}' has an answer without tokens", key));
      ids.push_back(tokens->tokens[0].id);
    }
    return ids;
  }
  // A role is the last token of where its text last stands in the prompt.
  Result<void> roles(const json& entry, PromptPair& pair) const {
    if (!entry.contains("roles")) return {};
    if (!entry["roles"].is_object()) return bad("'roles' must be an object of names and texts");
    for (const auto& [role, text] : entry["roles"].items()) {
      if (!text.is_string()) return bad(fmt::format("role '{}' must be a text", role));
      const auto position = [&, words = text.get<std::string>()](const TokenSequence& tokens) -> int32_t {
        const size_t at = tokens.text.rfind(words);
        if (words.empty() || at == std::string::npos) return -1;
        const auto end = static_cast<int64_t>(at + words.size());
        for (int32_t i = 0; i < static_cast<int32_t>(tokens.tokens.size()); ++i)
          if (const Token& token = tokens.tokens[static_cast<size_t>(i)];
              token.begin < end && token.end >= end)
            return i;
        return -1;
      };
      if (position(pair.clean) < 0) return bad(fmt::format("role '{}' is not in the clean prompt", role));
      pair.clean_roles[role] = position(pair.clean);
      if (position(pair.corrupt) >= 0) pair.corrupt_roles[role] = position(pair.corrupt);
    }
    return {};
  }

  std::string file_, where_;
  const Model& model_;
};

}  // namespace

bool PromptSet::has_corrupt() const {
  return std::all_of(pairs.begin(), pairs.end(),
                     [](const PromptPair& pair) { return pair.corrupt.size() > 0; });
}

Result<void> PromptSet::aligned() const {
  for (size_t i = 0; i < pairs.size(); ++i)
    if (pairs[i].clean.size() != pairs[i].corrupt.size())
      return make_error(
          ErrorCode::invalid_argument,
          fmt::format("{}: pair {} is {} tokens clean and {} corrupted; patching goes position by "
                      "position: write prompts of one length, or patch by role",
                      name, i + 1, pairs[i].clean.size(), pairs[i].corrupt.size()));
  return {};
}

Result<PromptSet> read_prompt_set(const std::filesystem::path& path, const Model& model) {
  SACCADE_TRY(const std::string text, read_text_file(path));
  json document;
  if (path.extension() == ".csv") {
    SACCADE_TRY(document, csv_document(path.string(), text));
  } else {
    document = json::parse(text, nullptr, false);
    if (!document.is_array() || document.empty())
      return make_error(ErrorCode::bad_format,
                        path.string() + ": expected a JSON array of prompt pairs, at least one");
  }
  PromptSet set{path.filename().string(), {}};
  PairReader reader(path.string(), model);
  for (size_t i = 0; i < document.size(); ++i) {
    SACCADE_TRY(PromptPair pair, reader.read(document[i], i));
    set.pairs.push_back(std::move(pair));
  }
  return set;
}

Result<PromptSet> prompt_set(const std::string& name_or_file, const Model& model, int count, uint64_t seed) {
  const std::vector<std::string> names = preset_names();
  const std::filesystem::path path = name_or_file;
  const bool known = std::find(names.begin(), names.end(), name_or_file) != names.end();
  if (known || (path.extension() != ".csv" && path.extension() != ".json"))
    return preset(name_or_file, model, count, seed);
  return read_prompt_set(path, model);
}

}  // namespace saccade
