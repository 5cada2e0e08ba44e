// What every command gets: the global options, where to print, and how to be cancelled.
#pragma once

#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "core/base/job.h"
#include "core/run/runner.h"
#include "core/tokens/tokenizer.h"

namespace saccade::cli {

using Json = nlohmann::ordered_json;

struct Context {
  bool json = false;  // one JSON document on stdout and nothing else
  int verbosity = 1;  // 0 quiet, 1 progress, 2 everything
  int threads = 0;
  std::string device = "cpu", dtype = "f32", kernels = "auto";
  std::vector<std::string> plugins;  // folders, looked at before the usual ones
  JobContext job;

  // Prints the document with --json, otherwise the text.
  void print(const Json& document, const std::string& text) const;
  void note(const std::string& line) const;  // stderr, unless quiet
};

// INPUT of a command: exactly one of the three, or none for a model that reads a picture alone.
struct InputOptions {
  std::string prompt, prompt_file, ids;
  std::vector<std::string> images = {};  // picture files, in the order of their places in the text
  bool prompt_given = false;
  bool no_bos = false;
  bool chat = false;  // the prompt is what a user says, written as the model's chat template wants it
};

struct Opened {
  std::shared_ptr<const Model> model;
  std::unique_ptr<Runner> runner;
};
Result<Opened> open_runner(const Context& context, const std::string& model);
Result<TokenSequence> read_input(const Model& model, const InputOptions& input);
Result<std::vector<Edit>> parse_edits(const std::vector<std::string>& texts);

// Parts of the documents and of the texts.
[[nodiscard]] Json to_json(const TokenSequence& tokens);
[[nodiscard]] Json to_json(const std::vector<ImageRegion>& images);
[[nodiscard]] Json to_json(const std::vector<NextToken>& next);
[[nodiscard]] Json to_json(const Generation& generation);
[[nodiscard]] Json loss_json(const Capture& capture);
[[nodiscard]] std::string next_text(const std::vector<NextToken>& next);

}  // namespace saccade::cli
