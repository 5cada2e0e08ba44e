// The commands of saccade-cli, one function each. They print through the context and return an error or
// nothing.
#pragma once

#include <string>
#include <vector>

#include "app/cli/context.h"

namespace saccade::cli {

Result<void> info(const Context& context, const std::string& model);
Result<void> tokenize(const Context& context, const std::string& model, const std::string& text, bool no_bos);
Result<void> make_random(const Context& context, const std::string& shape, const std::string& folder,
                         uint64_t seed);

struct RunOptions {
  std::string model;
  InputOptions input;
  std::vector<std::string> edits;
  int top = 10;
  SamplingOptions sampling;  // max_tokens 0 = no generation
  std::string capture;       // site filter
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

Result<void> compare_files(const Context& context, const std::string& a, const std::string& b);
Result<void> replay(const Context& context, const std::string& session, const std::string& out);
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
