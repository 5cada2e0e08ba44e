// PluginManifest: what NAME.json says about a plugin, read and checked before any of its code is loaded. The
// schema is written down in plugins/README.md. A plain value. Thread: any.
#pragma once

#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include "analysis/method.h"

namespace saccade::plugins {

// A field that the plugin may hand over; the values' shape is checked against it and the run.
struct FieldPromise {
  std::string name, label, unit;
  ValueKind kind = ValueKind::magnitude;
  std::vector<std::string> axes;  // 1 to SACCADE_FIELD_RANK
};

struct TablePromise {
  std::string name;
  std::vector<std::string> columns;
};

struct PluginManifest {
  MethodInfo info;
  std::string library;  // the name of a file in the manifest's folder
  std::string sites;    // hook sites that the run must keep, as match_sites() reads them; empty = none
  std::vector<FieldPromise> fields;
  std::vector<TablePromise> tables;
};

// The text of a manifest. Errors name the member: "parameters[2].minimum: expected a number, found 'x'".
[[nodiscard]] Result<PluginManifest> parse_manifest(std::string_view text);
// The file, at most 64 KiB of it; it must be a regular file that lies in `folder`, wherever links lead.
[[nodiscard]] Result<PluginManifest> read_manifest(const std::filesystem::path& folder,
                                                   const std::filesystem::path& file);
// Where a name in `folder` leads: a regular file that lies in the folder itself, or an error. `folder` is
// canonical.
[[nodiscard]] Result<std::filesystem::path> file_inside(const std::filesystem::path& folder,
                                                        const std::filesystem::path& name);

}  // namespace saccade::plugins
