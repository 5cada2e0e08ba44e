#include "core/model/checkpoint_files.h"

#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <set>
#include <system_error>

#include "core/base/files.h"

namespace saccade {
namespace {

using Json = nlohmann::json;
using Path = std::filesystem::path;

bool is_plain_name(const std::string& name) {
  return !name.empty() && name != "." && name != ".." && name.find('/') == std::string::npos &&
         name.find('\\') == std::string::npos && name.find('\0') == std::string::npos;
}

Result<CheckpointFiles> files_of_index(const Path& index_path, const Json& index) {
  CheckpointFiles found;
  found.index = index_path;
  const std::string where = index_path.string();
  if (!index.is_object() || !index.contains("weight_map") || !index["weight_map"].is_object())
    return make_error(ErrorCode::bad_format,
                      where + ": expected an object 'weight_map' from tensors to files");
  std::set<std::string> names;
  for (const auto& [tensor, file] : index["weight_map"].items()) {
    if (!file.is_string())
      return make_error(ErrorCode::bad_format,
                        fmt::format("{}: the file of '{}' is no string", where, tensor));
    const auto shard = file.get<std::string>();
    if (!is_plain_name(shard))
      return make_error(ErrorCode::bad_format,
                        fmt::format("{}: '{}' is not a file of this folder", where, shard));
    names.insert(shard);
    found.file_of[tensor] = shard;
  }
  for (const std::string& name : names) found.files.push_back(index_path.parent_path() / name);
  return found;
}

// "model-00002-of-00003" -> 3; 0 when the name does not say that it is one of several.
int shards_in_name(const std::string& stem) {
  const size_t of = stem.rfind("-of-");
  if (of == std::string::npos || of + 4 == stem.size() || stem.size() > of + 9) return 0;
  int count = 0;
  for (const char c : stem.substr(of + 4)) {
    if (c < '0' || c > '9') return 0;
    count = 10 * count + (c - '0');
  }
  return count;
}

// What trainers leave beside the weights.
bool is_of_training(const Path& file) {
  const std::string name = file.stem().string();
  return name == "training_args" || name == "optimizer" || name == "scheduler" ||
         name.starts_with("rng_state");
}

Result<std::vector<Path>> files_that_end_in(const Path& folder, const char* ending) {
  std::vector<Path> files;
  std::error_code failed;
  std::filesystem::directory_iterator entry(folder, failed);
  for (; !failed && entry != std::filesystem::directory_iterator(); entry.increment(failed))
    if (entry->path().extension() == ending && !is_of_training(entry->path())) files.push_back(entry->path());
  if (failed) return make_error(ErrorCode::io, fmt::format("{}: {}", folder.string(), failed.message()));
  std::sort(files.begin(), files.end());
  return files;
}

// People's own folders: one weights file under any name, or shards without an index.
Result<CheckpointFiles> files_by_their_endings(const Path& folder) {
  std::string there;
  for (const char* ending : {".safetensors", ".bin", ".pt", ".pth"}) {
    CheckpointFiles found;
    SACCADE_TRY(found.files, files_that_end_in(folder, ending));
    const auto count = static_cast<int>(found.files.size());
    const bool complete = std::all_of(found.files.begin(), found.files.end(), [&](const Path& file) {
      const int shards = shards_in_name(file.stem().string());
      return shards == count || (count == 1 && shards == 0);
    });
    if (count > 0 && complete) return found;
    for (const Path& file : found.files)
      there += fmt::format("{}{}", there.empty() ? "" : ", ", file.filename().string());
  }
  return make_error(ErrorCode::not_found,
                    fmt::format("{}: expected model.safetensors or pytorch_model.bin, or one of them with "
                                ".index.json and its shards, or one file with weights, found {}",
                                folder.string(), there.empty() ? "none of these" : there));
}

}  // namespace

Result<CheckpointFiles> find_checkpoint_files(const Path& path) {
  std::error_code failed;
  const auto status = std::filesystem::status(path, failed);
  if (status.type() == std::filesystem::file_type::none)
    return make_error(ErrorCode::io, fmt::format("{}: {}", path.string(), failed.message()));
  CheckpointFiles found;
  found.files = {path};
  if (status.type() != std::filesystem::file_type::directory) return found;
  for (const char* name : {"model.safetensors", "pytorch_model.bin"}) {
    found.files = {path / name};
    if (std::filesystem::exists(found.files[0], failed)) return found;
    const Path index = path / (std::string(name) + ".index.json");
    if (!std::filesystem::exists(index, failed)) continue;
    SACCADE_TRY(const std::string text, read_text_file(index));
    return files_of_index(index, Json::parse(text, nullptr, false));
  }
  return files_by_their_endings(path);
}

}  // namespace saccade
