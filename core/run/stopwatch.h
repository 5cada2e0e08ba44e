// The clock of the benchmarks. With one thread it counts that thread's processor time, so that what else runs
// on the machine does not count; otherwise time on the wall. Seconds.
#pragma once

#include <time.h>

#include <algorithm>

namespace saccade {

class Stopwatch {
 public:
  explicit Stopwatch(int threads) : clock_(threads == 1 ? CLOCK_THREAD_CPUTIME_ID : CLOCK_MONOTONIC) {}
  template <class Work>
  [[nodiscard]] double operator()(const Work& work) const {
    const double start = now();
    work();
    return now() - start;
  }
  template <class Work>
  void keep_best(double& best, const Work& work) const {
    best = std::min(best, (*this)(work));
  }
  [[nodiscard]] double now() const {
    timespec time{};
    ::clock_gettime(clock_, &time);
    return static_cast<double>(time.tv_sec) + 1e-9 * static_cast<double>(time.tv_nsec);
  }

 private:
  clockid_t clock_;
};

}  // namespace saccade
