// in_parallel: the same work for every picture of a study, by several threads.
#pragma once

#include <atomic>
#include <functional>
#include <string_view>
#include <thread>
#include <vector>

#include "core/base/job.h"

namespace saccade {

// body(i) for every i below n, by `threads` threads of which the caller's is one; it alone reports progress.
// The body writes only to what belongs to i. The first error in order of i, if any; after one no more are
// begun.
inline Result<void> in_parallel(size_t n, int threads, std::string_view what, const JobContext& job,
                                const std::function<Result<void>(size_t)>& body) {
  std::atomic<size_t> next{0};
  std::vector<Result<void>> done(n);
  const auto work = [&](bool reports) {
    for (size_t i = next++; i < n; i = next++) {
      done[i] = job.cancelled() ? job.check() : body(i);
      if (reports) job.progress(static_cast<double>(i + 1) / static_cast<double>(n), what);
      if (!done[i].ok()) next = n;
    }
  };
  std::vector<std::thread> others;
  for (int t = 1; t < threads; ++t) others.emplace_back(work, false);
  work(true);
  for (std::thread& thread : others) thread.join();
  for (Result<void>& result : done)
    if (!result.ok()) return std::move(result);
  return {};
}

}  // namespace saccade
