// AnswerJournal: answers on disk, one JSON object a line, appended as they come. A line that a killed program
// left unfinished is dropped when the file is read. Numbers are written so that they read back the same.
// Thread: one at a time.
#pragma once

#include <filesystem>
#include <map>
#include <string>

#include "analysis/experiment.h"

namespace saccade {

class AnswerJournal {
 public:
  // An empty path keeps nothing. Errors: a file that cannot be read or written, or one that is something
  // else.
  static Result<AnswerJournal> open(const std::filesystem::path& path);

  [[nodiscard]] const KeptAnswer* find(const std::string& name) const;
  Result<void> add(const std::string& name, const KeptAnswer& answer);
  [[nodiscard]] size_t size() const { return known_.size(); }

 private:
  std::filesystem::path path_;
  std::map<std::string, KeptAnswer> known_;
};

}  // namespace saccade
