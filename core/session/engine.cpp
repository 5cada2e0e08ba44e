#include "core/session/engine.h"

#include <algorithm>
#include <chrono>
#include <condition_variable>
#include <deque>
#include <mutex>
#include <new>
#include <thread>
#include <utility>

namespace saccade {
namespace {

using Clock = std::chrono::steady_clock;

constexpr size_t ended_kept = 16;
constexpr auto notice_interval = std::chrono::milliseconds(30);  // a screen does not show more
// Below these, a guess of the time left would only mislead.
constexpr double least_fraction = 0.02, least_seconds = 0.2;

double seconds_between(Clock::time_point begin, Clock::time_point end) {
  return std::chrono::duration<double>(end - begin).count();
}

struct Job {
  JobStatus status;
  Engine::Work work;
  CancelFlag cancel;
  Clock::time_point started, last_notice;
};

// Exceptions of the libraries that the work calls stop here.
Result<void> call(const Engine::Work& work, const JobContext& context) {
  try {
    if (!work) return make_error(ErrorCode::invalid_argument, "the job holds no work");
    return work(context);
  } catch (const std::bad_alloc&) {
    return make_error(ErrorCode::out_of_memory, "not enough memory for this step");
  } catch (const std::exception& exception) {
    return make_error(ErrorCode::internal, std::string("unexpected: ") + exception.what());
  } catch (...) {
    return make_error(ErrorCode::internal, "unexpected: an exception without a description");
  }
}

std::string one_line(std::string text) {
  std::replace_if(
      text.begin(), text.end(), [](char c) { return c == '\n' || c == '\r'; }, ' ');
  return text;
}

}  // namespace

struct Engine::State {
  std::function<void()> on_change;
  mutable std::mutex mutex;  // guards everything below but the thread
  std::condition_variable work_came, became_idle;
  std::deque<std::shared_ptr<Job>> waiting;
  std::shared_ptr<Job> running;
  std::shared_ptr<Job> paused;  // has given way to `running`
  std::deque<JobStatus> ended;  // newest first
  uint64_t last_id = 0;
  bool stopping = false;
  std::thread thread;

  void notify() const {
    if (on_change) on_change();
  }

  // With the mutex held.
  void end(Job& job, JobState state, std::string error) {
    job.status.state = state;
    job.status.error = std::move(error);
    job.status.seconds_left.reset();
    ended.push_front(job.status);
    if (ended.size() > ended_kept) ended.pop_back();
  }

  // Cancels jobs that `concerns` picks: those that wait end at once, the one that runs is asked to stop. The
  // closures of the ended ones come back, so that they are destroyed without the mutex.
  template <class Predicate>
  std::vector<std::shared_ptr<Job>> cancel_if(const Predicate& concerns) {
    std::vector<std::shared_ptr<Job>> dropped;
    const std::lock_guard lock(mutex);
    for (auto job = waiting.begin(); job != waiting.end();) {
      if (!concerns((*job)->status)) {
        ++job;
        continue;
      }
      (*job)->cancel.cancel();
      end(**job, JobState::cancelled, {});
      dropped.push_back(std::move(*job));
      job = waiting.erase(job);
    }
    for (const auto& job : {running, paused})
      if (job && concerns(job->status)) job->cancel.cancel();
    if (waiting.empty() && !running) became_idle.notify_all();
    return dropped;
  }

  void report(Job& job, double fraction, std::string_view what) {
    {
      const std::lock_guard lock(mutex);
      const auto now = Clock::now();
      const bool next_step = job.status.what != what;
      job.status.fraction = fraction >= 0.0 ? std::min(fraction, 1.0) : 0.0;  // NaN becomes 0
      if (next_step) job.status.what = what;
      if (!next_step && now - job.last_notice < notice_interval) return;
      job.last_notice = now;
    }
    notify();
  }

  void run(const std::shared_ptr<Job>& job) {
    const JobContext context{
        job->cancel, [this, &job](double fraction, std::string_view what) { report(*job, fraction, what); }};
    const Result<void> result = call(job->work, context);
    job->work = nullptr;  // on this thread: what it holds may be LibTorch's or HDF5's
    const std::lock_guard lock(mutex);
    job->status.elapsed_seconds = seconds_between(job->started, Clock::now());
    if (result.ok()) {
      job->status.fraction = 1.0;
      end(*job, JobState::done, {});
    } else if (job->cancel.cancelled() || result.error().code == ErrorCode::cancelled) {
      end(*job, JobState::cancelled, {});
    } else {
      end(*job, JobState::failed, one_line(result.error().to_string()));
    }
    running = std::exchange(paused, nullptr);
    if (waiting.empty() && !running) became_idle.notify_all();
  }

  // The next waiting job that `picks`, started in the place of the running one; null when there is none.
  std::shared_ptr<Job> start_instead(const std::function<bool(const JobStatus&)>& picks) {
    const std::lock_guard lock(mutex);
    if (paused || !running) return nullptr;
    const auto found = std::find_if(waiting.begin(), waiting.end(),
                                    [&](const std::shared_ptr<Job>& job) { return picks(job->status); });
    if (found == waiting.end()) return nullptr;
    std::shared_ptr<Job> job = *found;
    waiting.erase(found);
    job->started = Clock::now();
    job->status.state = JobState::running;
    paused = std::exchange(running, job);
    return job;
  }

  void loop() {
    while (true) {
      std::shared_ptr<Job> job;
      {
        std::unique_lock lock(mutex);
        work_came.wait(lock, [this] { return stopping || !waiting.empty(); });
        if (waiting.empty()) return;  // stopping: the destructor emptied the queue
        job = waiting.front();
        waiting.pop_front();
        job->started = Clock::now();
        job->status.state = JobState::running;
        running = job;
      }
      notify();
      run(job);
      notify();
    }
  }
};

Engine::Engine(std::function<void()> on_change) : state_(std::make_unique<State>()) {
  state_->on_change = std::move(on_change);
  state_->thread = std::thread([state = state_.get()] { state->loop(); });
}

Engine::~Engine() {
  {
    const std::lock_guard lock(state_->mutex);
    state_->stopping = true;
  }
  cancel_all();
  state_->work_came.notify_all();
  state_->thread.join();
}

uint64_t Engine::submit(std::string key, std::string title, Work work) {
  auto job = std::make_shared<Job>();
  job->status.key = std::move(key);
  job->status.title = std::move(title);
  job->work = std::move(work);
  std::shared_ptr<Job> replaced;  // destroyed after the mutex is free
  {
    State& state = *state_;
    const std::lock_guard lock(state.mutex);
    job->status.id = ++state.last_id;
    if (state.stopping) {
      state.end(*job, JobState::cancelled, {});
      return job->status.id;
    }
    const auto same_key = [&](const std::shared_ptr<Job>& other) {
      return !job->status.key.empty() && other->status.key == job->status.key;
    };
    for (const auto& begun : {state.running, state.paused})
      if (begun && same_key(begun)) begun->cancel.cancel();
    const auto old = std::find_if(state.waiting.begin(), state.waiting.end(), same_key);
    if (old == state.waiting.end()) {
      state.waiting.push_back(job);
    } else {  // in its place: a stream of replacements must not lose its turn
      (*old)->cancel.cancel();
      state.end(**old, JobState::cancelled, {});
      replaced = std::exchange(*old, job);
    }
  }
  const uint64_t id = job->status.id;
  state_->work_came.notify_one();
  state_->notify();
  return id;
}

void Engine::cancel(uint64_t id) {
  const auto dropped = state_->cancel_if([&](const JobStatus& job) { return job.id == id; });
  state_->notify();
}

void Engine::cancel_key(const std::string& key) {
  const auto dropped = state_->cancel_if([&](const JobStatus& job) { return job.key == key; });
  state_->notify();
}

void Engine::cancel_all() {
  const auto dropped = state_->cancel_if([](const JobStatus&) { return true; });
  state_->notify();
}

void Engine::give_way(const std::function<bool(const JobStatus&)>& to) {
  while (const auto job = state_->start_instead(to)) {
    state_->notify();
    state_->run(job);
    state_->notify();
  }
}

std::vector<JobStatus> Engine::jobs() const {
  const std::lock_guard lock(state_->mutex);
  std::vector<JobStatus> list;
  list.reserve(state_->waiting.size() + state_->ended.size() + 2);
  for (const auto& job : {state_->running, state_->paused}) {
    if (!job) continue;
    JobStatus status = job->status;
    status.elapsed_seconds = seconds_between(job->started, Clock::now());
    if (status.fraction >= least_fraction && status.elapsed_seconds >= least_seconds)
      status.seconds_left = status.elapsed_seconds * (1.0 - status.fraction) / status.fraction;
    list.push_back(std::move(status));
  }
  for (const auto& job : state_->waiting) list.push_back(job->status);
  list.insert(list.end(), state_->ended.begin(), state_->ended.end());
  return list;
}

bool Engine::idle() const {
  const std::lock_guard lock(state_->mutex);
  return state_->waiting.empty() && !state_->running;
}

void Engine::wait_idle() {
  std::unique_lock lock(state_->mutex);
  state_->became_idle.wait(lock, [this] { return state_->waiting.empty() && !state_->running; });
}

}  // namespace saccade
