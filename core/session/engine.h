// Engine: the one thread that owns LibTorch, the kernels and HDF5, and a queue of jobs for it.
//
// Work is submitted under a key; newer work with the same key replaces work that waits, and cancels work that
// runs under that key. It takes the place of what it replaces in the queue; an empty key replaces nothing.
// A job that was asked to stop and returns without an error is done. Every job has a title, progress, and an
// end: done, failed or cancelled. submit(), cancel() and jobs() may be called from any thread; on_change is
// called on the engine's or the caller's thread and must only post a notice to its own thread. Destruction
// cancels everything and joins.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "core/base/job.h"

namespace saccade {

enum class JobState { waiting, running, done, failed, cancelled };

struct JobStatus {
  uint64_t id = 0;
  std::string key, title;
  JobState state = JobState::waiting;
  double fraction = 0.0;  // [0, 1]
  std::string what;       // the step being done
  std::string error;      // one line, when failed
  double elapsed_seconds = 0.0;
  std::optional<double> seconds_left;  // once it can be told
};

class Engine {
 public:
  using Work = std::function<Result<void>(const JobContext&)>;

  explicit Engine(std::function<void()> on_change = {});
  ~Engine();
  Engine(const Engine&) = delete;
  Engine& operator=(const Engine&) = delete;

  uint64_t submit(std::string key, std::string title, Work work);
  void cancel(uint64_t id);
  void cancel_key(const std::string& key);
  void cancel_all();
  // For long work, called by a job from its own thread at a point where it holds nothing: the waiting jobs
  // that `to` picks run now, one after another; then the job goes on. They may not give way themselves.
  void give_way(const std::function<bool(const JobStatus&)>& to);
  // Waiting and running ones in order, then the latest few that ended.
  [[nodiscard]] std::vector<JobStatus> jobs() const;
  [[nodiscard]] bool idle() const;
  void wait_idle();  // for tests and the command line

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace saccade
