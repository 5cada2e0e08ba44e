// PromptSet: what patching and ablation are measured on: pairs of a clean and a corrupted prompt, and which
// next tokens are the right and the wrong answer. Made from templates (preset()), or read from a person's CSV
// or JSON.
//
// A metric is read at the last position. Clean and corrupted prompts of a pair have the same number of tokens
// where a method needs that (aligned()); positions with a role ("io", "s2", "end") say what patching a
// position means.
#pragma once

#include <filesystem>
#include <map>
#include <string>
#include <vector>

#include "core/model/model.h"
#include "core/tokens/tokenizer.h"

namespace saccade {

struct PromptPair {
  TokenSequence clean, corrupt;                               // corrupt may be empty: no pair, a plain prompt
  std::vector<int32_t> right, wrong;                          // token ids; wrong may be empty
  std::map<std::string, int32_t> clean_roles, corrupt_roles;  // role -> position
};

struct PromptSet {
  std::string name;  // "ioi", or the file
  std::vector<PromptPair> pairs;

  [[nodiscard]] bool has_corrupt() const;
  // Error: which pair has prompts of different lengths, with both counts.
  [[nodiscard]] Result<void> aligned() const;
};

// "repeat", "ioi", "greater-than", "docstring", "colored-objects".
[[nodiscard]] std::vector<std::string> preset_names();

// `count` pairs drawn with `seed`. Answers that are not one token of this model's vocabulary are left out;
// where too few are left, the error names some. "repeat" needs no text: it repeats random tokens.
[[nodiscard]] Result<PromptSet> preset(const std::string& name, const Model& model, int count, uint64_t seed);

// JSON: [{"clean": text, "corrupt": text, "right": text or [texts], "wrong": ..., "roles": {"io": text}}...];
// CSV: the same names as its first row (without roles). Texts are read as the model's tokenizer reads them;
// an answer of several tokens counts by its first where that tells right from wrong. Errors name file, pair
// and key.
[[nodiscard]] Result<PromptSet> read_prompt_set(const std::filesystem::path& path, const Model& model);

// A preset's name, or a file.
[[nodiscard]] Result<PromptSet> prompt_set(const std::string& name_or_file, const Model& model, int count,
                                           uint64_t seed);

}  // namespace saccade
