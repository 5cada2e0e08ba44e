// What the benchmarks share. Private to the command line.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "app/cli/context.h"

namespace saccade::cli {

// One line of a benchmark: our time, and what it is measured against in the same run.
struct BenchRow {
  std::string group, what;
  double seconds = 0.0;
  std::string peer = {};
  double peer_seconds = 0.0;
  double bound = 0.0;                // what the ratio should stay under; 0 = none
  std::optional<double> limit = {};  // ours over the physical limit
  int64_t bytes = 0;
  [[nodiscard]] double ratio() const { return peer_seconds > 0.0 ? seconds / peer_seconds : 0.0; }
};

double timed(const std::function<void()>& work);
// The best of several, so that another process's burst does not count.
double best_of(int repeats, const std::function<void()>& work);

// The folder of a random model of that shape under `folder`; made the first time.
Result<std::string> model_folder(const Context& context, const std::string& shape,
                                 const std::filesystem::path& folder);
// n_token ids that look like nothing in particular, the same every time.
RunRequest synthetic_request(const Runner& runner, int64_t n_token);

Result<std::vector<BenchRow>> bench_decode(const Context& context, const std::filesystem::path& folder);
// Needs make-random's gpt2-small. The forward passes that methods are measured against are timed on a few.
Result<std::vector<BenchRow>> bench_methods(const Context& context, const std::filesystem::path& folder);
Result<std::vector<BenchRow>> bench_long(const Context& context, const std::filesystem::path& folder,
                                         int64_t n);
Result<std::vector<BenchRow>> bench_head_table(const Context& context, const std::filesystem::path& folder);

// Needs no model: maps of ViT-B/16's shape from random queries and keys; OSIE where SACCADE_TEST_DATA has it.
Result<std::vector<BenchRow>> bench_vision(const Context& context);
// Needs make-random's llava-small: VHD, answers under edits, hovering over a picture.
Result<std::vector<BenchRow>> bench_seeing(const Context& context, const std::filesystem::path& folder);

// `folder`: where the text is put for the other program; `where`: the model, by default a demo.
Result<std::vector<BenchRow>> bench_tokenize(const Context& context, const std::filesystem::path& folder,
                                             const std::string& where);

}  // namespace saccade::cli
