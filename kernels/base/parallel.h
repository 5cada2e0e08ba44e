// How kernels use threads: the caller hands in its own parallel loop, so that one pool serves LibTorch's
// matrix products and our attention, and the machine is never oversubscribed.
#pragma once

#include <cstdint>
#include <functional>

namespace saccade {

// for_each(n, body): calls body(task, worker) for every task in [0, n), each exactly once, worker in
// [0, workers), no two calls with one worker at a time; returns when all are done. Tasks may run in any
// order: results that depend on order must be reduced by task index afterwards (this is what makes runs
// bit-equal at a given thread count).
struct Parallel {
  int workers = 1;
  std::function<void(int64_t n, const std::function<void(int64_t task, int worker)>& body)> for_each;
};

// Runs everything on the calling thread.
[[nodiscard]] inline Parallel serial() {
  return {1, [](int64_t n, const std::function<void(int64_t, int)>& body) {
            for (int64_t task = 0; task < n; ++task) body(task, 0);
          }};
}

}  // namespace saccade
