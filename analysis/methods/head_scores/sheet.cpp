#include "analysis/methods/head_scores/sheet.h"

#include <fmt/format.h>

#include <algorithm>
#include <atomic>
#include <thread>

#include "analysis/methods/head_fields.h"

namespace saccade::head_scores {

size_t ScoreSheet::add(const char* name, const char* label, const char* unit, ValueKind kind) {
  fields.push_back(head_field(name, label, unit, kind, layers(), heads(), capture_.provenance.request));
  auto values = fields.back().values.mutable_values();
  std::fill(values.begin(), values.end(), static_cast<float>(nan));
  return fields.size() - 1;
}

std::vector<std::string>& ScoreSheet::add_text(std::string name) {
  texts.push_back({std::move(name), std::vector<std::string>(static_cast<size_t>(count()))});
  return texts.back().cells;
}

Result<void> for_each_head(int64_t count, int threads, const JobContext& job, double from, double to,
                           const std::function<Result<void>(int64_t index, int worker)>& body) {
  const auto workers = static_cast<int>(std::clamp<int64_t>(count, 1, std::max(threads, 1)));
  std::vector<Result<void>> outcomes(static_cast<size_t>(workers));
  std::atomic<bool> stop = false;
  const auto work = [&](int worker) -> Result<void> {
    for (int64_t index = worker; index < count && !stop; index += workers) {
      SACCADE_CHECK(job.check());
      if (worker == 0)
        job.progress(from + (to - from) * static_cast<double>(index) / static_cast<double>(count),
                     fmt::format("head {} of {}", index + 1, count));
      SACCADE_CHECK(body(index, worker));
    }
    return {};
  };
  const auto guarded = [&](int worker) {
    outcomes[static_cast<size_t>(worker)] = work(worker);
    if (!outcomes[static_cast<size_t>(worker)].ok()) stop = true;
  };
  {
    std::vector<std::jthread> others;
    others.reserve(static_cast<size_t>(workers - 1));
    for (int worker = 1; worker < workers; ++worker) others.emplace_back(guarded, worker);
    guarded(0);
  }
  for (Result<void>& outcome : outcomes) SACCADE_CHECK(std::move(outcome));
  return {};
}

}  // namespace saccade::head_scores
