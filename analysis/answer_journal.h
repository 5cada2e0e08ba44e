// AnswerJournal: answers, generations and numbers on disk, one JSON object a line, appended as they come. A
// line that a killed program left unfinished is dropped when the file is read. Numbers are written so that
// they read back the same. Thread: one at a time.
//
// A generation takes about 20 bytes per token and head where it keeps its heads (1 MB for 50 tokens of 1,024
// heads), and its tokens; one that keeps logits is not written: a row of them is larger than all the rest.
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
  // Null where there is none. Its tokens have only their ids.
  [[nodiscard]] const Generation* find_generation(const std::string& name) const;
  [[nodiscard]] const std::vector<double>* find_numbers(const std::string& name) const;
  Result<void> add(const std::string& name, const KeptAnswer& answer);
  Result<void> add(const std::string& name, const std::vector<double>& numbers);
  // Nothing is written of a generation that was cancelled, or that has logits.
  Result<void> add(const std::string& name, const Generation& generation);
  [[nodiscard]] size_t size() const { return known_.size() + generations_.size() + numbers_.size(); }

 private:
  Result<void> append(const std::string& line) const;

  std::filesystem::path path_;
  std::map<std::string, KeptAnswer> known_;
  std::map<std::string, Generation> generations_;
  std::map<std::string, std::vector<double>> numbers_;
};

}  // namespace saccade
