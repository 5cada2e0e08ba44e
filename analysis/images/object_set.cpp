#include "analysis/images/object_set.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <array>
#include <cctype>
#include <nlohmann/json.hpp>

#include "core/base/files.h"

namespace saccade {
namespace {

using Json = nlohmann::json;
constexpr std::array kinds{"random", "popular", "adversarial"};

Error bad(const std::string& where, const std::string& what) {
  return make_error(ErrorCode::bad_format, fmt::format("{}: {}", where, what));
}

// Words of letters, digits and bytes beyond ASCII, in lower case.
std::vector<std::string> words_of(const std::string& text) {
  std::vector<std::string> words;
  bool in_word = false;
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    const bool letter = byte >= 0x80 || std::isalnum(byte) != 0;
    if (letter && !in_word) words.emplace_back();
    if (letter) words.back() += byte < 0x80 ? static_cast<char>(std::tolower(byte)) : c;
    in_word = letter;
  }
  return words;
}

bool same_word(const std::string& found, const std::string& wanted) {
  return found == wanted || found == wanted + "s" || found == wanted + "es";
}

Result<std::vector<std::string>> texts_of(const Json& json, const char* key, const std::string& where) {
  std::vector<std::string> texts;
  const auto found = json.find(key);
  if (found == json.end()) return texts;
  if (!found->is_array()) return bad(where, fmt::format("'{}': expected a list of texts", key));
  for (const Json& item : *found) {
    if (!item.is_string()) return bad(where, fmt::format("'{}': expected texts, found {}", key, item.dump()));
    texts.push_back(item.get<std::string>());
  }
  return texts;
}

Result<void> check_object(const ObjectSet& set, const std::string& object, const std::string& where) {
  if (set.vocabulary.contains(object)) return {};
  std::vector<std::string> known;
  for (const auto& [name, words] : set.vocabulary) {
    if (known.size() == 8) {
      known.emplace_back("...");
      break;
    }
    known.push_back(name);
  }
  return bad(where,
             fmt::format("object '{}' is not in \"objects\"; there are {}", object, fmt::join(known, ", ")));
}

Result<ObjectQuestion> question_from(const Json& json, const std::string& where) {
  ObjectQuestion question;
  if (!json.is_object() || !json.contains("text") || !json["text"].is_string() || !json.contains("answer") ||
      !json["answer"].is_string())
    return bad(where, R"(a question is {"text": "...", "answer": "yes" or "no", "kind": "random"})");
  question.text = json["text"].get<std::string>();
  const auto answer = json["answer"].get<std::string>();
  if (answer != "yes" && answer != "no")
    return bad(where,
               fmt::format("question '{}': answer: expected yes or no, found '{}'", question.text, answer));
  question.yes = answer == "yes";
  question.kind =
      json.contains("kind") && json["kind"].is_string() ? json["kind"].get<std::string>() : "random";
  if (std::find(kinds.begin(), kinds.end(), question.kind) == kinds.end())
    return bad(where, fmt::format("question '{}': kind: expected {}, found '{}'", question.text,
                                  fmt::join(kinds, ", "), question.kind));
  return question;
}

Result<std::vector<PictureRegion>> boxes_from(const ObjectSet& set, const Json& json,
                                              const std::string& where) {
  std::vector<PictureRegion> boxes;
  if (!json.contains("boxes")) return boxes;
  if (!json["boxes"].is_array()) return bad(where, "'boxes': expected a list");
  for (const Json& item : json["boxes"]) {
    const bool good = item.is_object() && item.contains("object") && item["object"].is_string() &&
                      item.contains("box") && item["box"].is_array() && item["box"].size() == 4 &&
                      std::all_of(item["box"].begin(), item["box"].end(),
                                  [](const Json& edge) { return edge.is_number(); });
    if (!good) return bad(where, R"(a box is {"object": "...", "box": [left, top, right, bottom]})");
    const auto object = item["object"].get<std::string>();
    SACCADE_CHECK(check_object(set, object, where));
    const auto edges = item["box"].get<std::array<double, 4>>();
    auto known = std::find_if(boxes.begin(), boxes.end(), [&](const auto& b) { return b.name == object; });
    if (known == boxes.end()) known = boxes.insert(boxes.end(), PictureRegion{object, {}, {}, 0});
    known->boxes.push_back({edges[0], edges[1], edges[2], edges[3]});
  }
  return boxes;
}

Result<ObjectPicture> picture_from(const ObjectSet& set, const Json& json, const std::string& where) {
  if (!json.is_object() || !json.contains("file") || !json["file"].is_string())
    return bad(where, R"(a picture is {"file": "0001.png", "objects": [...], ...})");
  ObjectPicture picture;
  picture.file = json["file"].get<std::string>();
  const std::string here = fmt::format("{}: '{}'", where, picture.file);
  std::error_code missing;
  if (!std::filesystem::is_regular_file(set.folder / picture.file, missing))
    return make_error(ErrorCode::not_found,
                      fmt::format("{}: there is no such file in {}", here, set.folder.string()));
  SACCADE_TRY(const std::vector<std::string> objects, texts_of(json, "objects", here));
  for (const std::string& object : objects) {
    SACCADE_CHECK(check_object(set, object, here));
    picture.objects.insert(object);
  }
  SACCADE_TRY(picture.boxes, boxes_from(set, json, here));
  for (const PictureRegion& box : picture.boxes) picture.objects.insert(box.name);
  SACCADE_TRY(picture.captions, texts_of(json, "captions", here));
  for (const std::string& caption : picture.captions)
    for (const std::string& object : mentions_in(caption, set.vocabulary)) picture.objects.insert(object);
  if (json.contains("questions")) {
    if (!json["questions"].is_array()) return bad(here, "'questions': expected a list");
    for (const Json& item : json["questions"]) {
      SACCADE_TRY(ObjectQuestion question, question_from(item, here));
      picture.questions.push_back(std::move(question));
    }
  }
  return picture;
}

}  // namespace

Result<ObjectSet> read_object_set(const std::filesystem::path& folder) {
  const std::filesystem::path path = folder / "objects.json";
  const std::string where = path.string();
  SACCADE_TRY(const std::string text, read_text_file(path));
  const Json document = Json::parse(text, nullptr, false);
  if (!document.is_object()) return bad(where, "expected a JSON object");
  ObjectSet set;
  set.folder = folder;
  if (!document.contains("objects") || !document["objects"].is_object() || document["objects"].empty())
    return bad(where, R"("objects": expected {"red circle": ["red circle", "red disc"], ...})");
  for (const auto& [object, words] : document["objects"].items()) {
    SACCADE_TRY(std::vector<std::string> all, texts_of(document["objects"], object.c_str(), where));
    std::erase_if(all, [](const std::string& one) { return words_of(one).empty(); });
    if (all.empty())
      return bad(where, fmt::format("object '{}' has no words by which texts name it", object));
    set.vocabulary[object] = std::move(all);
  }
  for (const auto& [key, prompt] : {std::pair("caption_prompt", &set.caption_prompt),
                                    std::pair("question_prompt", &set.question_prompt)}) {
    if (!document.contains(key)) continue;
    if (!document[key].is_string()) return bad(where, fmt::format("'{}': expected a text", key));
    *prompt = document[key].get<std::string>();
  }
  if (!document.contains("pictures") || !document["pictures"].is_array() || document["pictures"].empty())
    return bad(where, "\"pictures\": expected a list with at least one picture");
  for (const Json& item : document["pictures"]) {
    SACCADE_TRY(ObjectPicture picture, picture_from(set, item, where));
    set.pictures.push_back(std::move(picture));
  }
  return set;
}

std::vector<std::string> mentions_in(const std::string& text,
                                     const std::map<std::string, std::vector<std::string>>& vocabulary) {
  const std::vector<std::string> words = words_of(text);
  std::vector<std::string> mentions;
  for (size_t at = 0; at < words.size();) {
    size_t longest = 0;
    const std::string* named = nullptr;
    for (const auto& [object, phrases] : vocabulary)
      for (const std::string& phrase : phrases) {
        const std::vector<std::string> wanted = words_of(phrase);
        if (wanted.size() <= longest || at + wanted.size() > words.size()) continue;
        bool same = same_word(words[at + wanted.size() - 1], wanted.back());
        for (size_t i = 0; i + 1 < wanted.size(); ++i) same = same && words[at + i] == wanted[i];
        if (!same) continue;
        longest = wanted.size();
        named = &object;
      }
    if (named != nullptr) mentions.push_back(*named);
    at += std::max<size_t>(longest, 1);
  }
  return mentions;
}

}  // namespace saccade
