#include "analysis/prompts/labelled_set.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <nlohmann/json.hpp>

#include "analysis/prompts/csv.h"
#include "core/base/files.h"

namespace saccade {
namespace {

using nlohmann::json;

Error bad(const std::string& where, const std::string& what) {
  return make_error(ErrorCode::bad_format, where + ": " + what);
}

Result<std::string> text_of(const json& entry, const char* key, const std::string& where) {
  if (!entry.contains(key) || entry[key] == "") return bad(where, fmt::format("'{}' is missing", key));
  if (!entry[key].is_string())
    return bad(where, fmt::format("'{}' must be a text, found {}", key, entry[key].dump()));
  return entry[key].get<std::string>();
}

Result<int32_t> first_token(const Model& model, const std::string& label, const std::string& where) {
  EncodeOptions plain;
  plain.add_special_tokens = false;
  auto tokens = model.tokenizer().encode(label, plain);
  if (!tokens.ok()) return std::move(tokens).error().with(where);
  if (tokens->tokens.empty()) return bad(where, fmt::format("label '{}' has no tokens", label));
  return tokens->tokens[0].id;
}

}  // namespace

Result<LabelledSet> read_labelled_set(const std::filesystem::path& path, const Model& model) {
  SACCADE_TRY(const std::string content, read_text_file(path));
  json document;
  if (path.extension() == ".csv") {
    SACCADE_TRY(document, csv_document(path.string(), content));
  } else {
    document = json::parse(content, nullptr, false);
  }
  if (!document.is_array() || document.empty())
    return bad(path.string(), "expected a JSON array (or a CSV) of texts with labels, at least one");
  LabelledSet set{path.filename().string(), {}, {}, {}};
  std::vector<std::map<int32_t, std::string>> named;  // of each dataset: what each label's id is called
  for (size_t i = 0; i < document.size(); ++i) {
    const std::string where = fmt::format("{}: text {}", path.string(), i + 1);
    const json& entry = document[i];
    if (!entry.is_object()) return bad(where, "expected an object, found " + entry.dump());
    for (const auto& [key, value] : entry.items())
      if (key != "text" && key != "label" && key != "dataset")
        return bad(where, fmt::format("'{}' is none of text, label, dataset", key));
    SACCADE_TRY(const std::string text, text_of(entry, "text", where));
    SACCADE_TRY(const std::string label, text_of(entry, "label", where));
    const std::string dataset =
        entry.value("dataset", json("")).is_string() ? entry.value("dataset", "") : "";
    auto known = std::find(set.datasets.begin(), set.datasets.end(), dataset);
    if (known == set.datasets.end()) {
      set.datasets.push_back(dataset);
      named.emplace_back();
      known = set.datasets.end() - 1;
    }
    LabelledText made;
    made.dataset = static_cast<size_t>(known - set.datasets.begin());
    SACCADE_TRY(made.label, first_token(model, label, where));
    auto tokens = model.tokenizer().encode(text, {});
    if (!tokens.ok()) return std::move(tokens).error().with(where);
    made.tokens = std::move(*tokens);
    if (made.tokens.size() == 0) return bad(where, "the text has no tokens");
    const auto [name, is_new] = named[made.dataset].try_emplace(made.label, label);
    if (!is_new && name->second != label)
      return bad(where, fmt::format("labels '{}' and '{}' begin with the same token of {}; write labels that "
                                    "differ in their first token",
                                    name->second, label, model.name()));
    set.texts.push_back(std::move(made));
  }
  for (size_t d = 0; d < named.size(); ++d) {
    if (named[d].size() < 2)
      return bad(path.string(),
                 fmt::format("dataset '{}' has one label only, '{}': nothing to choose between",
                             set.datasets[d], named[d].begin()->second));
    set.labels.emplace_back();
    for (const auto& [id, name] : named[d]) set.labels.back().push_back(id);
  }
  return set;
}

}  // namespace saccade
