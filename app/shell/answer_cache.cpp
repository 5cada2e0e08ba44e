#include "app/shell/answer_cache.h"

#include <QStandardPaths>
#include <algorithm>
#include <vector>

#include "core/base/digest.h"

namespace saccade {
namespace {

constexpr size_t most_files = 64;

void drop_oldest(const std::filesystem::path& folder) {
  std::vector<std::pair<std::filesystem::file_time_type, std::filesystem::path>> files;
  std::error_code problem;
  for (const auto& entry : std::filesystem::directory_iterator(folder, problem)) {
    const auto time = entry.last_write_time(problem);
    if (!problem) files.emplace_back(time, entry.path());
  }
  if (files.size() < most_files) return;
  std::sort(files.begin(), files.end());
  for (size_t i = 0; i + most_files <= files.size(); ++i) std::filesystem::remove(files[i].second, problem);
}

}  // namespace

std::filesystem::path answer_file(const std::string& method, const nlohmann::json& parameters,
                                  const std::string& request) {
  const QString cache = QStandardPaths::writableLocation(QStandardPaths::CacheLocation);
  if (cache.isEmpty()) return {};
  const std::filesystem::path folder = std::filesystem::path(cache.toStdString()) / "answers";
  std::error_code problem;
  std::filesystem::create_directories(folder, problem);
  if (problem) return {};
  const std::string digest = Digest().add(parameters.dump()).add(request).hex();
  const std::filesystem::path file = folder / (method + "-" + digest.substr(0, 16) + ".jsonl");
  if (!std::filesystem::exists(file, problem)) drop_oldest(folder);
  return file;
}

}  // namespace saccade
