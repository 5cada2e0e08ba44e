// What the families of head-table share: the settings, the sheet they write their columns into, and the loop
// over heads.
#pragma once

#include <cmath>
#include <functional>
#include <limits>
#include <string>
#include <vector>

#include "analysis/field.h"
#include "analysis/method.h"
#include "core/base/job.h"
#include "core/capture/capture.h"

namespace saccade::head_scores {

constexpr double nan = std::numeric_limits<double>::quiet_NaN();

struct Settings {
  bool exclude_first = false;  // concentration without the first key, the rest shared out
  bool exclude_self = false;
  double threshold = 0.4;
  // Rhythm (arXiv 2510.13554)
  double group_share = 0.3, peak_share = 0.4;
  int64_t window = 10, influence_from = 10, influence_to = 50, response_from = 0;
  // FlexPrefill
  int64_t flex_block = 128;
  double coverage = 0.9, flex_threshold = 0.1;
  // Task-KV
  double task_beta = 0.25;
  int64_t task_least = 4, task_rows = 32, task_keys = 256;
  // Probes
  int64_t probe_length = 50, probe_repeats = 2, probe_sequences = 10, echo_period = 250;
  uint64_t seed = 1;
};

struct TextColumn {
  std::string name;
  std::vector<std::string> cells;  // one per head
};

// The columns of one head-table, in the order they were added.
class ScoreSheet {
 public:
  explicit ScoreSheet(const Capture& capture) : capture_(capture) {}

  // The number of the new column, all NaN.
  size_t add(const char* name, const char* label, const char* unit, ValueKind kind);
  void set(size_t column, int64_t head, double value) {
    fields[column].values.mutable_values()[static_cast<size_t>(head)] = static_cast<float>(value);
  }
  std::vector<std::string>& add_text(std::string name);
  [[nodiscard]] int64_t layers() const { return static_cast<int64_t>(capture_.layers.size()); }
  [[nodiscard]] int64_t heads() const { return capture_.spec.n_head; }
  [[nodiscard]] int64_t count() const { return layers() * heads(); }
  [[nodiscard]] const Capture& capture() const { return capture_; }

  std::vector<Field> fields;
  std::vector<TextColumn> texts;
  std::vector<Table> tables;
  std::vector<std::string> findings;

 private:
  const Capture& capture_;
};

// The mean of what was there.
struct RunningMean {
  double sum = 0.0;
  int64_t count = 0;
  void add(double value) {
    if (std::isnan(value)) return;
    sum += value;
    ++count;
  }
  [[nodiscard]] double mean() const { return count > 0 ? sum / static_cast<double>(count) : nan; }
};

// body(index, worker) for every index below count. Worker w takes w, w + threads, ...: sums that a worker
// keeps are the same from run to run at one thread count. Worker 0 is the calling thread and tells of the
// progress, from `from` to `to`. The first error ends it.
Result<void> for_each_head(int64_t count, int threads, const JobContext& job, double from, double to,
                           const std::function<Result<void>(int64_t index, int worker)>& body);

}  // namespace saccade::head_scores
