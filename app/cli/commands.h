// The commands of saccade-cli, one function each. They print through the context and return an error or
// nothing.
#pragma once

#include <string>
#include <vector>

#include "analysis/field.h"
#include "app/cli/context.h"

namespace saccade::cli {

Result<void> info(const Context& context, const std::string& model);
Result<void> tokenize(const Context& context, const std::string& model, const std::string& text, bool no_bos);
Result<void> make_random(const Context& context, const std::string& shape, const std::string& folder,
                         uint64_t seed);

// What the generated text is steered away from.
struct ContrastOptions {
  std::vector<std::string> edits;
  int32_t outliers = 0;
  double alpha = 1.0, plausibility = 0.1;
};

struct RunOptions {
  std::string model;
  InputOptions input;
  std::vector<std::string> edits;
  int top = 10;
  SamplingOptions sampling;  // max_tokens 0 = no generation
  ContrastOptions contrast;
  std::string capture;  // site filter
  std::string dump;
  std::string save;                 // session file
  std::vector<std::string> labels;  // texts that a pair's picture tower compares the picture with
};
Result<void> run(const Context& context, const RunOptions& options);

struct MapOptions {
  std::string model;
  InputOptions input;
  std::vector<std::string> edits;
  std::string head, rows, columns, out;
  std::string palette = "viridis", mode = "as is";
  bool difference = false;  // edited minus baseline
  // Over the picture instead of as a square of tokens: the row of `query` (empty: CLS, or the last token).
  bool over_picture = false, smooth = false;
  std::string query;
  int64_t picture = 0;             // which of the request's
  double alpha = 0.6, high = 0.0;  // high 0: the map's largest
};
Result<void> map(const Context& context, const MapOptions& options);

Result<void> list_methods(const Context& context, const std::string& method);

struct AnalyzeOptions {
  std::string method, model;
  InputOptions input;
  std::vector<std::string> edits, set;
  std::string out, keep;
};
Result<void> analyze(const Context& context, const AnalyzeOptions& options);

struct PageOptions {
  std::string recipe, out;
  std::vector<std::string> models;  // NAME=WHERE
};
Result<void> report(const Context& context, const PageOptions& options);
// Prints a result, and writes it to `path` (.json or .csv) where that is not empty.
Result<void> give_result(const Context& context, const AnalysisResult& result, const std::string& path);

struct GazeOptions {
  std::string file, against, map, words, picture, stimulus, size, time = "automatic";
  // .json or .csv: the result; .svg: a figure of one picture's paths; .gif or .mp4: the same, moving
  std::string out;
  double speed = 1.0;  // of the animation
  std::string paths;   // .csv: the scanpaths themselves
  double sigma = 24.0;
  bool agreement = false, centre = false;
  int64_t pictures = 0;
};
Result<void> gaze(const Context& context, const GazeOptions& options);

Result<void> compare_files(const Context& context, const std::string& a, const std::string& b);
struct ReplayOptions {
  std::string session, out;
  std::string model;      // instead of the session's
  std::string reference;  // a JSON file of numbers that the session's analyses name
};
Result<void> replay(const Context& context, const ReplayOptions& options);
Result<void> dump_info(const Context& context, const std::string& path);
Result<void> demo(const Context& context, const std::string& name, const std::string& out);
struct BenchOptions {
  std::string which;   // empty: all
  std::string folder;  // of the random models; empty: a temporary one
  std::string model;   // whose tokenizer is measured; empty: a demo's
  int64_t tokens = 32768;
};
Result<void> bench(const Context& context, const BenchOptions& options);

}  // namespace saccade::cli
