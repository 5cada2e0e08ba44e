#include "analysis/prompts/needles.h"

#include <fmt/format.h>
#include <libstemmer.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <memory>
#include <nlohmann/json.hpp>
#include <set>

#include "core/base/files.h"

namespace saccade {
namespace {

using nlohmann::json;

constexpr std::string_view context_slot = "{context}", question_slot = "{question}";

std::string replaced(std::string text, std::string_view slot, std::string_view by) {
  if (const size_t at = text.find(slot); at != std::string::npos) text.replace(at, slot.size(), by);
  return text;
}

Error bad(const std::filesystem::path& path, const std::string& what) {
  return make_error(ErrorCode::bad_format, fmt::format("{}: {}", path.string(), what));
}

Result<std::string> text_at(const json& object, const char* key, const std::filesystem::path& path) {
  if (!object.is_object() || !object.contains(key) || !object[key].is_string())
    return bad(path, fmt::format("expected a text '{}'", key));
  return object[key].get<std::string>();
}

// Just behind the last sentence that ends at or before `at`; 0 without one.
size_t sentence_end(std::string_view text, size_t at) {
  for (size_t i = std::min(at, text.size()); i > 0; --i) {
    const bool stop = text[i - 1] == '.' || text[i - 1] == '?' || text[i - 1] == '!';
    if (stop && (i == text.size() || text[i] == ' ' || text[i] == '\n')) return i;
  }
  return 0;
}

std::vector<std::string> words_of(std::string_view text) {
  std::vector<std::string> words(1);
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (byte >= 0x80 || std::isalnum(byte) != 0)
      words.back() += static_cast<char>(byte < 0x80 ? std::tolower(byte) : byte);
    else if (!words.back().empty())
      words.emplace_back();
  }
  if (words.back().empty()) words.pop_back();
  return words;
}

PositionRange tokens_of_bytes(const TokenSequence& tokens, size_t begin, size_t end) {
  PositionRange range{tokens.size(), 0};
  for (int64_t i = 0; i < tokens.size(); ++i) {
    const Token& token = tokens.tokens[static_cast<size_t>(i)];
    if (token.begin >= token.end || token.end <= static_cast<int64_t>(begin) ||
        token.begin >= static_cast<int64_t>(end))
      continue;
    range.begin = std::min(range.begin, i);
    range.end = i + 1;
  }
  return range.begin < range.end ? range : PositionRange{};
}

// As ROUGE takes them: words of more than three letters without their endings (Porter 1980).
std::vector<std::string> stems_of(std::string_view text) {
  constexpr size_t whole = 3;
  std::vector<std::string> words = words_of(text);
  const std::unique_ptr<sb_stemmer, void (*)(sb_stemmer*)> porter(sb_stemmer_new("porter", nullptr),
                                                                  &sb_stemmer_delete);
  if (!porter) return words;
  for (std::string& word : words) {
    if (word.size() <= whole) continue;
    const sb_symbol* stem = sb_stemmer_stem(porter.get(), reinterpret_cast<const sb_symbol*>(word.data()),
                                            static_cast<int>(word.size()));
    if (stem != nullptr)
      word.assign(reinterpret_cast<const char*>(stem), static_cast<size_t>(sb_stemmer_length(porter.get())));
  }
  return words;
}

}  // namespace

Result<NeedleSet> read_needles(const std::string& name_or_file, const Model& model) {
  std::string name = name_or_file;
  if (name == "auto") name = model.name() == "demo:recall" ? "recall" : "english";
  const bool bundled = name == "recall" || name == "english";
  const std::filesystem::path path =
      bundled ? resources_folder() / "texts" / (name + ".json") : std::filesystem::path(name);
  SACCADE_TRY(const std::string text, read_text_file(path));
  const json document = json::parse(text, nullptr, false);
  if (!document.is_object()) return bad(path, "expected a JSON object with template, haystack and needles");
  NeedleSet set;
  set.name = bundled ? name : path.filename().string();
  SACCADE_TRY(set.form, text_at(document, "template", path));
  SACCADE_TRY(const std::string haystack, text_at(document, "haystack", path));
  set.haystack = path.parent_path() / haystack;
  set.stop = document.contains("stop") && document["stop"].is_string() ? document["stop"].get<std::string>()
                                                                       : std::string("\n");
  for (const std::string_view slot : {context_slot, question_slot})
    if (set.form.find(slot) == std::string::npos)
      return bad(path, fmt::format("the template has no {}", slot));
  if (!document.contains("needles") || !document["needles"].is_array() || document["needles"].empty())
    return bad(path, "expected a list 'needles' with at least one");
  for (const json& entry : document["needles"]) {
    Needle needle;
    SACCADE_TRY(needle.needle, text_at(entry, "needle", path));
    SACCADE_TRY(needle.question, text_at(entry, "question", path));
    SACCADE_TRY(needle.answer, text_at(entry, "answer", path));
    needle.test = entry.contains("test") && entry["test"].is_boolean() && entry["test"].get<bool>();
    if (words_of(needle.answer).empty()) return bad(path, "an answer has no words");
    set.needles.push_back(std::move(needle));
  }
  if (std::all_of(set.needles.begin(), set.needles.end(), [](const Needle& n) { return n.test; }))
    return bad(path, "every needle is only for the test: leave at least one to score heads by");
  return set;
}

Result<Haystack> Haystack::read(const std::filesystem::path& path, const Model& model) {
  Haystack haystack;
  SACCADE_TRY(haystack.text_, read_text_file(path));
  while (!haystack.text_.empty() && std::isspace(static_cast<unsigned char>(haystack.text_.back())) != 0)
    haystack.text_.pop_back();
  SACCADE_TRY(const TokenSequence tokens, model.tokenizer().encode(haystack.text_, {false, false}));
  for (const Token& token : tokens.tokens) haystack.ends_.push_back(token.end);
  if (haystack.ends_.empty()) return bad(path, "the haystack is empty");
  haystack.model_ = &model;
  return haystack;
}

Result<NeedlePrompt> Haystack::prompt(const NeedleSet& set, const Needle& needle, int64_t length,
                                      double depth) const {
  const Tokenizer& tokenizer = model_->tokenizer();
  const std::string form = replaced(set.form, question_slot, needle.question);
  SACCADE_TRY(const TokenSequence rest, tokenizer.encode(replaced(form, context_slot, needle.needle), {}));
  const int64_t room = length - rest.size();
  if (room < 0)
    return make_error(ErrorCode::invalid_argument,
                      fmt::format("a context of {} tokens cannot hold the needle \"{}\": it and its question "
                                  "take {}",
                                  length, needle.needle, rest.size()));
  if (room > size())
    return make_error(ErrorCode::invalid_argument,
                      fmt::format("a context of {} tokens needs {} of the haystack {}, which has {}: give a "
                                  "longer text or shorter lengths",
                                  length, room, set.haystack.filename().string(), size()));
  const auto bytes_of = [&](int64_t n) {
    return n > 0 ? static_cast<size_t>(ends_[static_cast<size_t>(n - 1)]) : size_t{0};
  };
  const std::string_view hay = std::string_view(text_).substr(0, bytes_of(room));
  const size_t at =
      depth >= 1.0
          ? hay.size()
          : sentence_end(hay, bytes_of(static_cast<int64_t>(std::floor(depth * static_cast<double>(room)))));
  std::string context(hay.substr(0, at));
  if (!context.empty()) context += ' ';
  const size_t needle_at = context.size() + form.find(context_slot);
  context += needle.needle;
  if (at < hay.size())
    context += (hay[at] == ' ' || hay[at] == '\n' ? "" : " ") + std::string(hay.substr(at));
  NeedlePrompt prompt;
  SACCADE_TRY(prompt.tokens, tokenizer.encode(replaced(form, context_slot, context), {}));
  const auto& tokens = prompt.tokens.tokens;
  if (const size_t answer = needle.needle.find(needle.answer); answer != std::string::npos) {
    prompt.span =
        tokens_of_bytes(prompt.tokens, needle_at + answer, needle_at + answer + needle.answer.size());
  } else {
    SACCADE_TRY(const TokenSequence answer_tokens, tokenizer.encode(" " + needle.answer, {false, false}));
    const PositionRange inside = tokens_of_bytes(prompt.tokens, needle_at, needle_at + needle.needle.size());
    std::vector<int32_t> ids;
    for (int64_t i = inside.begin; i < inside.end; ++i) ids.push_back(tokens[static_cast<size_t>(i)].id);
    const PositionRange found = find_span(ids, answer_tokens.ids());
    if (found.begin < found.end) prompt.span = {inside.begin + found.begin, inside.begin + found.end};
  }
  for (int64_t i = prompt.span.begin; i < prompt.span.end; ++i)
    prompt.needle_ids.push_back(tokens[static_cast<size_t>(i)].id);
  return prompt;
}

PositionRange find_span(const std::vector<int32_t>& ids, const std::vector<int32_t>& answer) {
  const std::set<int32_t> distinct(answer.begin(), answer.end());
  for (size_t begin = 0; !answer.empty() && begin + answer.size() <= ids.size(); ++begin) {
    const auto from = ids.begin() + static_cast<ptrdiff_t>(begin);
    const std::set<int32_t> window(from, from + static_cast<ptrdiff_t>(answer.size()));
    const auto there =
        std::count_if(distinct.begin(), distinct.end(), [&](int32_t id) { return window.contains(id); });
    if (static_cast<double>(there) > 0.9 * static_cast<double>(distinct.size()))
      return {static_cast<int64_t>(begin), static_cast<int64_t>(begin + answer.size())};
  }
  return {};
}

double unigram_recall(std::string_view response, std::string_view answer) {
  std::map<std::string, int> has;
  for (const std::string& word : stems_of(response)) ++has[word];
  const std::vector<std::string> wanted = stems_of(answer);
  int64_t found = 0;
  for (const std::string& word : wanted)
    if (has[word]-- > 0) ++found;
  return wanted.empty() ? 0.0 : static_cast<double>(found) / static_cast<double>(wanted.size());
}

std::vector<int32_t> stop_ids_of(const Tokenizer& tokenizer, std::string_view stop) {
  std::vector<int32_t> ids;
  for (int32_t id = 0; !stop.empty() && id < tokenizer.vocabulary_size(); ++id)
    if (const Result<Token> token = tokenizer.token(id);
        token.ok() && token->text.find(stop) != std::string::npos)
      ids.push_back(id);
  return ids;
}

}  // namespace saccade
