#include "plugins/host/plugin_manifest.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <initializer_list>
#include <set>

#include "core/base/files.h"
#include "core/tokens/json_item.h"
#include "plugins/api/saccade_plugin.h"
#include "plugins/host/manifest_parameters.h"
#include "plugins/host/plugin_text.h"

namespace saccade::plugins {
namespace {

using tokens::JsonItem;

constexpr size_t largest_manifest = size_t{64} << 10;
constexpr size_t most_members = 64;  // of each list

Result<ValueKind> read_kind(const JsonItem& item) {
  SACCADE_TRY(const std::string kind, item.string("magnitude"));
  if (kind == "probability") return ValueKind::probability;
  if (kind == "signed") return ValueKind::signed_difference;
  if (kind == "magnitude") return ValueKind::magnitude;
  return item.expected("probability, signed or magnitude");
}

// A list of names that differ.
Result<std::vector<std::string>> read_names(const JsonItem& item, size_t most) {
  SACCADE_TRY(const size_t count, item.array_size());
  if (count < 1 || count > most) return item.expected(fmt::format("1 to {} names", most));
  std::vector<std::string> names;
  for (size_t i = 0; i < count; ++i) {
    SACCADE_TRY(std::string name, item[i].string());
    if (!is_name(name)) return item[i].expected("a name of letters, digits, '_' and '-'");
    if (std::find(names.begin(), names.end(), name) != names.end())
      return item[i].expected("a name that is not in the list already");
    names.push_back(std::move(name));
  }
  return names;
}

Result<FieldPromise> read_field(const JsonItem& item) {
  SACCADE_CHECK(only_members(item, {"name", "label", "unit", "kind", "axes"}));
  FieldPromise field;
  SACCADE_TRY(field.name, read_name(item["name"]));
  SACCADE_TRY(field.label, read_text(item["label"], longest_name, field.name));
  SACCADE_TRY(field.unit, read_text(item["unit"], longest_name, ""));
  SACCADE_TRY(field.kind, read_kind(item["kind"]));
  SACCADE_TRY(field.axes, read_names(item["axes"], SACCADE_FIELD_RANK));
  return field;
}

Result<TablePromise> read_table(const JsonItem& item) {
  SACCADE_CHECK(only_members(item, {"name", "columns"}));
  TablePromise table;
  SACCADE_TRY(table.name, read_name(item["name"]));
  SACCADE_TRY(table.columns, read_names(item["columns"], most_members));
  return table;
}

// Every element of an optional list; names must differ.
template <class Value, class Read>
Result<std::vector<Value>> read_list(const JsonItem& item, Read read) {
  std::vector<Value> values;
  if (item.is_null()) return values;
  SACCADE_TRY(const size_t count, item.array_size());
  if (count > most_members) return item.expected(fmt::format("at most {} entries", most_members));
  for (size_t i = 0; i < count; ++i) {
    SACCADE_TRY(Value value, read(item[i]));
    for (const Value& earlier : values)
      if (earlier.name == value.name) return item[i]["name"].expected("a name that is not taken already");
    values.push_back(std::move(value));
  }
  return values;
}

Result<void> check_api(const JsonItem& item) {
  SACCADE_TRY(const int64_t api, item.integer());
  if (api == SACCADE_PLUGIN_API) return {};
  return make_error(ErrorCode::unsupported, fmt::format("it is made for version {} of the plugin interface, "
                                                        "this program has version {}",
                                                        api, SACCADE_PLUGIN_API));
}

// A plain file name, so that it cannot lead out of the folder.
Result<std::string> read_library(const JsonItem& item) {
  SACCADE_TRY(std::string name, read_text(item, longest_name));
  const bool plain = std::all_of(name.begin(), name.end(), [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' ||
           c == '-' || c == '.';
  });
  if (!plain || !name.ends_with(".so") || name.front() == '.' || name.front() == '-')
    return item.expected("the name of a file beside the manifest that ends in .so");
  return name;
}

Result<std::string> read_id(const JsonItem& item) {
  SACCADE_TRY(std::string id, item.string());
  const bool lower = std::all_of(id.begin(), id.end(), [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-';
  });
  if (!lower || !is_name(id)) return item.expected("an id of small letters, digits and '-'");
  return id;
}

}  // namespace

Result<PluginManifest> parse_manifest(std::string_view text) {
  if (text.size() > largest_manifest)
    return make_error(ErrorCode::bad_format,
                      fmt::format("the manifest is larger than {} bytes", largest_manifest));
  SACCADE_TRY(const nlohmann::json document, tokens::parse_json(text));
  const JsonItem root(document, "");
  if (!document.is_object()) return make_error(ErrorCode::bad_format, "the manifest is no JSON object");
  SACCADE_CHECK(check_api(root["api"]));  // before anything else: another version may have other members
  SACCADE_CHECK(only_members(root, {"api", "id", "title", "summary", "citation", "library", "sites",
                                    "parameters", "fields", "tables"}));
  PluginManifest manifest;
  SACCADE_TRY(manifest.info.id, read_id(root["id"]));
  SACCADE_TRY(manifest.info.title, read_text(root["title"], longest_name));
  SACCADE_TRY(manifest.info.summary, read_text(root["summary"], 2048));
  SACCADE_TRY(manifest.info.citation, read_text(root["citation"], 2048));
  SACCADE_TRY(manifest.library, read_library(root["library"]));
  SACCADE_TRY(manifest.sites, read_text(root["sites"], 2048, ""));
  SACCADE_TRY(manifest.info.parameters, read_list<ParameterInfo>(root["parameters"], read_parameter));
  SACCADE_TRY(manifest.fields, read_list<FieldPromise>(root["fields"], read_field));
  SACCADE_TRY(manifest.tables, read_list<TablePromise>(root["tables"], read_table));
  return manifest;
}

Result<std::filesystem::path> file_inside(const std::filesystem::path& folder,
                                          const std::filesystem::path& name) {
  std::error_code failed;
  std::filesystem::path real = std::filesystem::canonical(folder / name, failed);
  if (failed)
    return make_error(ErrorCode::not_found,
                      fmt::format("{} cannot be found in the folder: {}", name.string(), failed.message()));
  if (real.parent_path() != folder)
    return make_error(ErrorCode::invalid_argument,
                      fmt::format("{} leads out of the folder, to {}", name.string(), real.string()));
  if (!std::filesystem::is_regular_file(real, failed))
    return make_error(ErrorCode::bad_format, fmt::format("{} is no regular file", name.string()));
  return real;
}

Result<PluginManifest> read_manifest(const std::filesystem::path& folder, const std::filesystem::path& file) {
  SACCADE_TRY(const std::filesystem::path real, file_inside(folder, file.filename()));
  SACCADE_TRY(const std::string text, read_text_file(real, largest_manifest));
  return parse_manifest(text);
}

}  // namespace saccade::plugins
