// LabelledSet: texts with a label each, which the model is to give as its next token. For sweeps that are
// judged by accuracy.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "core/model/model.h"

namespace saccade {

struct LabelledText {
  TokenSequence tokens;
  int32_t label = 0;   // token id: the first token of the label's text
  size_t dataset = 0;  // index into LabelledSet::datasets
};

struct LabelledSet {
  std::string name;                          // the file
  std::vector<std::string> datasets;         // "" where the file names none
  std::vector<std::vector<int32_t>> labels;  // of each dataset, the ids that are compared; ascending
  std::vector<LabelledText> texts;
};

// JSON: [{"text": ..., "label": ..., "dataset": optional}...]; CSV: the same names as its first row. Errors
// name file, row and what is wrong: a missing key, two labels of a dataset that begin with one token, a
// dataset with a single label.
[[nodiscard]] Result<LabelledSet> read_labelled_set(const std::filesystem::path& path, const Model& model);

}  // namespace saccade
