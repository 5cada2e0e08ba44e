#include "core/session/session.h"

#include <fmt/format.h>

#include <cmath>
#include <limits>
#include <optional>
#include <set>

#include "core/base/files.h"

namespace saccade {
namespace {

using Json = nlohmann::json;

constexpr const char* type = "saccade-session";
constexpr int deepest = 64;
constexpr size_t largest_file = size_t{64} << 20;

std::string shown(const Json& value) {
  std::string text = value.dump(-1, ' ', false, Json::error_handler_t::replace);
  if (text.size() > 60) text = text.substr(0, 60) + "...";
  return text;
}

Error bad(const std::string& key, const std::string& expected, const Json& found) {
  return make_error(ErrorCode::bad_format,
                    fmt::format("session: '{}': expected {}, found {}", key, expected, shown(found)));
}

bool is_int32(const Json& value) {
  if (value.is_number_unsigned())  // asked first: as a signed number it could be anything
    return value.get<uint64_t>() <= uint64_t{std::numeric_limits<int32_t>::max()};
  return value.is_number_integer() && value.get<int64_t>() >= std::numeric_limits<int32_t>::min() &&
         value.get<int64_t>() <= std::numeric_limits<int32_t>::max();
}

// Takes keys out of one object; what is left at the end is unknown to this version. A missing key keeps its
// default. `path` is put before the key in messages.
class Keys {
 public:
  Keys(const Json& object, std::string path) : object_(object), path_(std::move(path)) {}

  const Json* take(const char* key) {
    taken_.insert(key);
    const auto found = object_.find(key);
    return found == object_.end() || found->is_null() ? nullptr : &*found;
  }
  Result<void> text(const char* key, std::string& value) {
    const Json* found = take(key);
    if (!found) return {};
    if (!found->is_string()) return bad(path_ + key, "a text", *found);
    value = found->get<std::string>();
    return {};
  }
  Result<void> flag(const char* key, bool& value) {
    const Json* found = take(key);
    if (!found) return {};
    if (!found->is_boolean()) return bad(path_ + key, "true or false", *found);
    value = found->get<bool>();
    return {};
  }
  Result<void> whole(const char* key, int32_t& value, int32_t least) {
    const Json* found = take(key);
    if (!found) return {};
    if (!is_int32(*found) || *found < least)
      return bad(path_ + key, fmt::format("a whole number, at least {}", least), *found);
    value = found->get<int32_t>();
    return {};
  }
  Result<void> number(const char* key, double& value, double least, double most) {
    const Json* found = take(key);
    if (!found) return {};
    if (!found->is_number() || !(*found >= least && *found <= most))
      return bad(path_ + key, fmt::format("a number from {} to {}", least, most), *found);
    value = found->get<double>();
    return {};
  }
  Result<void> object(const char* key, Json& value) {
    const Json* found = take(key);
    if (!found) return {};
    if (!found->is_object()) return bad(path_ + key, "an object", *found);
    value = *found;
    return {};
  }
  Result<const Json*> list(const char* key) {
    const Json* found = take(key);
    if (found && !found->is_array()) return bad(path_ + key, "a list", *found);
    return found;
  }
  [[nodiscard]] Json left() const {
    Json rest = Json::object();
    for (const auto& [key, value] : object_.items())
      if (!taken_.contains(key)) rest[key] = value;
    return rest;
  }

 private:
  const Json& object_;
  std::string path_;
  std::set<std::string> taken_;
};

Json sampling_json(const SamplingOptions& sampling) {
  return {{"max_tokens", sampling.max_tokens},
          {"temperature", sampling.temperature},
          {"top_k", sampling.top_k},
          {"top_p", sampling.top_p},
          {"seed", sampling.seed},
          {"stop_at_eos", sampling.stop_at_eos}};
}

Result<SamplingOptions> sampling_from(const Json& object, Json& unknown) {
  SamplingOptions sampling;
  Keys keys(object, "sampling.");
  SACCADE_CHECK(keys.whole("max_tokens", sampling.max_tokens, 0));
  SACCADE_CHECK(keys.number("temperature", sampling.temperature, 0.0, 1e6));
  SACCADE_CHECK(keys.whole("top_k", sampling.top_k, 0));
  SACCADE_CHECK(keys.number("top_p", sampling.top_p, 0.0, 1.0));
  if (const Json* seed = keys.take("seed")) {
    if (!seed->is_number_unsigned() && !(seed->is_number_integer() && seed->get<int64_t>() >= 0))
      return bad("sampling.seed", "a whole number, at least 0", *seed);
    sampling.seed = seed->get<uint64_t>();
  }
  SACCADE_CHECK(keys.flag("stop_at_eos", sampling.stop_at_eos));
  unknown = keys.left();
  return sampling;
}

Json selection_json(const Selection& selection) {
  Json heads = Json::array();
  for (const HeadId& head : selection.heads) heads.push_back(to_string(head));
  return {{"head", to_string(selection.head)},
          {"heads", heads},
          {"query", selection.query},
          {"key", selection.key}};
}

Result<HeadId> head_from(const std::string& key, const Json& value) {
  if (!value.is_string()) return bad(key, "a head such as \"9.9\"", value);
  auto head = parse_head(value.get<std::string>());
  if (!head.ok()) return bad(key, "a head such as \"9.9\"", value);
  return head;
}

Result<Selection> selection_from(const Json& object, Json& unknown) {
  Selection selection;
  Keys keys(object, "selection.");
  if (const Json* head = keys.take("head")) {
    SACCADE_TRY(selection.head, head_from("selection.head", *head));
  }
  SACCADE_TRY(const Json* heads, keys.list("heads"));
  for (size_t i = 0; heads && i < heads->size(); ++i) {
    SACCADE_TRY(HeadId head, head_from(fmt::format("selection.heads[{}]", i), (*heads)[i]));
    selection.heads.push_back(head);
  }
  SACCADE_CHECK(keys.whole("query", selection.query, -1));
  SACCADE_CHECK(keys.whole("key", selection.key, -1));
  unknown = keys.left();
  return selection;
}

Result<std::vector<Edit>> edits_from(const Json& list, const std::string& name = "edits") {
  std::vector<Edit> edits;
  for (size_t i = 0; i < list.size(); ++i) {
    const std::string key = fmt::format("{}[{}]", name, i);
    if (!list[i].is_string()) return bad(key, "an edit such as \"zero 9.9\"", list[i]);
    auto edit = parse_edit(list[i].get<std::string>());
    if (!edit.ok()) return std::move(edit).error().with("session: '" + key + "'");
    edits.push_back(std::move(*edit));
  }
  return edits;
}

Json contrast_json(const AnswerContrast& contrast) {
  Json object = {{"alpha", contrast.alpha}, {"plausibility", contrast.plausibility}};
  if (contrast.outliers > 0) object["outliers"] = contrast.outliers;
  for (const Edit& edit : contrast.edits) object["edits"].push_back(to_text(edit));
  return object;
}

Result<AnswerContrast> contrast_from(const Json& object, Json& unknown) {
  AnswerContrast contrast;
  Keys keys(object, "contrast.");
  SACCADE_TRY(const Json* edits, keys.list("edits"));
  if (edits) {
    SACCADE_TRY(contrast.edits, edits_from(*edits, "contrast.edits"));
  }
  SACCADE_CHECK(keys.whole("outliers", contrast.outliers, 0));
  SACCADE_CHECK(keys.number("alpha", contrast.alpha, -1e6, 1e6));
  SACCADE_CHECK(keys.number("plausibility", contrast.plausibility, 0.0, 1.0));
  if (!contrast.edits.empty() && contrast.outliers > 0)
    return bad("contrast", "edits or outliers, not both", object);
  unknown = keys.left();
  return contrast;
}

Result<std::vector<int32_t>> ids_from(const Json& list) {
  std::vector<int32_t> ids;
  for (size_t i = 0; i < list.size(); ++i) {
    if (!is_int32(list[i]) || list[i] < 0)
      return bad(fmt::format("ids[{}]", i), "a token id, a whole number that is at least 0", list[i]);
    ids.push_back(list[i].get<int32_t>());
  }
  return ids;
}

Json analyses_json(const std::vector<SessionAnalysis>& analyses) {
  Json list = Json::array();
  for (const SessionAnalysis& analysis : analyses) {
    Json entry = {{"method", analysis.method}, {"parameters", analysis.parameters}};
    if (!analysis.name.empty()) entry["name"] = analysis.name;
    if (!analysis.against.empty()) entry["against"] = analysis.against;
    list.push_back(std::move(entry));
  }
  return list;
}

Result<std::vector<SessionAnalysis>> analyses_from(const Json& list) {
  std::vector<SessionAnalysis> analyses;
  std::set<std::string> names;
  for (size_t i = 0; i < list.size(); ++i) {
    const std::string path = fmt::format("analyses[{}]", i);
    if (!list[i].is_object()) return bad(path, "an object with a method and its parameters", list[i]);
    SessionAnalysis analysis;
    Keys keys(list[i], path + ".");
    SACCADE_CHECK(keys.text("method", analysis.method));
    if (analysis.method.empty()) return bad(path + ".method", "the id of a method", Json("nothing"));
    SACCADE_CHECK(keys.object("parameters", analysis.parameters));
    SACCADE_CHECK(keys.text("name", analysis.name));
    const std::string& name = analysis.name.empty() ? analysis.method : analysis.name;
    if (name.find_first_of("/\\") != std::string::npos || name.starts_with('.'))
      return bad(path + ".name", "a plain file name without its ending", Json(name));
    if (!names.insert(name).second) return bad(path + ".name", "another name than those before", Json(name));
    Json against = Json::object();
    SACCADE_CHECK(keys.object("against", against));
    for (const auto& [field, pointer] : against.items()) {
      if (!pointer.is_string() || !pointer.get<std::string>().starts_with('/'))
        return bad(path + ".against." + field, "a JSON pointer such as \"/scores/heads\"", pointer);
      analysis.against[field] = pointer.get<std::string>();
    }
    if (const Json rest = keys.left(); !rest.empty())
      return bad(path, "method, parameters, name or against", Json(rest.begin().key()));
    analyses.push_back(std::move(analysis));
  }
  return analyses;
}

Result<void> check_kind(Keys& keys) {
  const Json* found = keys.take("type");
  if (!found || *found != type)
    return bad("type", fmt::format("\"{}\"", type), found ? *found : Json("nothing"));
  const Json* version = keys.take("version");
  if (!version || !is_int32(*version) || *version < 1)
    return bad("version", "a whole number, at least 1", version ? *version : Json("nothing"));
  if (*version > Session::current_version)
    return make_error(ErrorCode::unsupported,
                      fmt::format("session: this program reads sessions up to version {}, found version {}",
                                  Session::current_version, shown(*version)));
  return {};
}

// Known keys go over the unknown ones that the object holds already.
void put(Json& document, const char* key, const Json& known) {
  Json& object = document[key];
  if (!object.is_object()) object = Json::object();
  object.update(known);
}

// Values are printed in messages by recursion, so a file must not nest without end.
std::optional<Json> parse(const std::string& text) {
  bool too_deep = false;
  const auto shallow = [&](int depth, Json::parse_event_t, Json&) {
    too_deep = too_deep || depth > deepest;
    return !too_deep;
  };
  Json document = Json::parse(text, shallow, false);
  if (too_deep || document.is_discarded()) return std::nullopt;
  return document;
}

}  // namespace

Json to_json(const Session& session) {
  Json edits = Json::array();
  for (const Edit& edit : session.edits) edits.push_back(to_text(edit));
  Json document = session.extra.is_object() ? session.extra : Json::object();
  document["type"] = type;
  document["version"] = Session::current_version;
  document["model"] = session.model;
  document["model_digest"] = session.model_digest;
  document["prompt"] = session.prompt;
  document["ids"] = session.ids;
  document["add_bos"] = session.add_bos;
  if (!session.images.empty()) document["images"] = session.images;
  document["edits"] = std::move(edits);
  put(document, "sampling", sampling_json(session.sampling));
  if (session.contrast.asked_for()) put(document, "contrast", contrast_json(session.contrast));
  if (!session.analyses.empty()) document["analyses"] = analyses_json(session.analyses);
  put(document, "selection", selection_json(session.selection));
  document["view"] = session.view;
  document["results"] = session.results;
  return document;
}

Result<Session> session_from_json(const Json& document) {
  if (!document.is_object())
    return make_error(ErrorCode::bad_format,
                      fmt::format("session: expected an object, found {}", shown(document)));
  Session session;
  Keys keys(document, "");
  SACCADE_CHECK(check_kind(keys));
  SACCADE_CHECK(keys.text("model", session.model));
  if (!document.contains("model")) return bad("model", "a folder or demo:NAME", "nothing");
  SACCADE_CHECK(keys.text("model_digest", session.model_digest));
  SACCADE_CHECK(keys.text("prompt", session.prompt));
  SACCADE_CHECK(keys.flag("add_bos", session.add_bos));
  SACCADE_TRY(const Json* ids, keys.list("ids"));
  if (ids) {
    SACCADE_TRY(session.ids, ids_from(*ids));
  }
  SACCADE_TRY(const Json* images, keys.list("images"));
  for (size_t i = 0; images && i < images->size(); ++i) {
    if (!(*images)[i].is_string())
      return bad(fmt::format("images[{}]", i), "the path of a picture", (*images)[i]);
    session.images.push_back((*images)[i].get<std::string>());
  }
  SACCADE_TRY(const Json* edits, keys.list("edits"));
  if (edits) {
    SACCADE_TRY(session.edits, edits_from(*edits));
  }
  SACCADE_TRY(const Json* analyses, keys.list("analyses"));
  if (analyses) {
    SACCADE_TRY(session.analyses, analyses_from(*analyses));
  }
  Json sampling = Json::object(), selection = Json::object(), more_sampling, more_selection, more_contrast;
  SACCADE_CHECK(keys.object("sampling", sampling));
  SACCADE_TRY(session.sampling, sampling_from(sampling, more_sampling));
  if (document.contains("contrast")) {
    Json contrast = Json::object();
    SACCADE_CHECK(keys.object("contrast", contrast));
    SACCADE_TRY(session.contrast, contrast_from(contrast, more_contrast));
  }
  SACCADE_CHECK(keys.object("selection", selection));
  SACCADE_TRY(session.selection, selection_from(selection, more_selection));
  SACCADE_CHECK(keys.object("view", session.view));
  SACCADE_CHECK(keys.object("results", session.results));
  session.extra = keys.left();
  if (!more_sampling.empty()) session.extra["sampling"] = std::move(more_sampling);
  if (!more_contrast.empty()) session.extra["contrast"] = std::move(more_contrast);
  if (!more_selection.empty()) session.extra["selection"] = std::move(more_selection);
  return session;
}

Result<void> save_session(const Session& session, const std::filesystem::path& path) {
  // Text that is not UTF-8 (a folder's name can be any bytes) must not make a document nobody can read.
  return write_text_file(path, to_json(session).dump(2, ' ', false, Json::error_handler_t::replace) + "\n");
}

Result<Session> load_session(const std::filesystem::path& path) {
  SACCADE_TRY(const std::string text, read_text_file(path, largest_file));
  const std::optional<Json> document = parse(text);
  if (!document)
    return make_error(ErrorCode::bad_format,
                      fmt::format("{}: expected a session in JSON, found something else", path.string()));
  auto session = session_from_json(*document);
  if (!session.ok()) return std::move(session).error().with("reading " + path.string());
  return session;
}

}  // namespace saccade
