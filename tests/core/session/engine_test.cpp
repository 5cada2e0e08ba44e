#include "core/session/engine.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <future>
#include <new>
#include <stdexcept>
#include <thread>

namespace saccade {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

JobStatus job_with(const Engine& engine, uint64_t id) {
  for (const JobStatus& job : engine.jobs())
    if (job.id == id) return job;
  ADD_FAILURE() << "no job " << id;
  return {};
}

// Work that runs until it is cancelled, and says when it has begun.
struct Endless {
  std::shared_ptr<std::promise<void>> begun = std::make_shared<std::promise<void>>();
  std::shared_future<void> started = begun->get_future().share();
  Engine::Work work() {
    return [begun = begun](const JobContext& job) -> Result<void> {
      begun->set_value();
      while (!job.cancelled()) std::this_thread::yield();
      return job.check();
    };
  }
};

// Keeps the engine busy until release() is called, so that a test can fill the queue.
struct Gate {
  std::promise<void> open;
  std::shared_future<void> opened = open.get_future().share();
  std::promise<void> entered;
  Engine::Work work() {
    return [this](const JobContext&) -> Result<void> {
      entered.set_value();
      opened.wait();
      return {};
    };
  }
  void wait_until_running() { entered.get_future().wait(); }
  void release() { open.set_value(); }
};

Engine::Work note(std::vector<std::string>& order, std::string name) {
  return [&order, name](const JobContext&) -> Result<void> {
    order.push_back(name);
    return {};
  };
}

TEST(Engine, RunsJobsInOrderOnOneThreadOfItsOwn) {
  Engine engine;
  std::vector<std::string> order;
  std::vector<std::thread::id> threads;
  for (const char* name : {"a", "b", "c"})
    engine.submit(name, name, [&, name](const JobContext&) -> Result<void> {
      order.emplace_back(name);
      threads.push_back(std::this_thread::get_id());
      return {};
    });
  engine.wait_idle();
  EXPECT_THAT(order, ElementsAre("a", "b", "c"));
  EXPECT_EQ(threads[0], threads[2]);
  EXPECT_NE(threads[0], std::this_thread::get_id());
  EXPECT_TRUE(engine.idle());
}

TEST(Engine, NewerWorkWithTheSameKeyReplacesWorkThatWaitsInItsPlace) {
  Engine engine;
  Gate gate;
  std::vector<std::string> order;
  engine.submit("gate", "gate", gate.work());
  gate.wait_until_running();
  const uint64_t old = engine.submit("hover", "old", note(order, "old"));
  engine.submit("other", "other", note(order, "other"));
  const uint64_t fresh = engine.submit("hover", "new", note(order, "new"));
  EXPECT_EQ(job_with(engine, old).state, JobState::cancelled);
  EXPECT_EQ(job_with(engine, fresh).state, JobState::waiting);
  gate.release();
  engine.wait_idle();
  EXPECT_THAT(order, ElementsAre("new", "other"));
  EXPECT_EQ(job_with(engine, fresh).state, JobState::done);
}

TEST(Engine, NewerWorkWithTheSameKeyCancelsWorkThatRuns) {
  Engine engine;
  Endless endless;
  const uint64_t old = engine.submit("run", "old", endless.work());
  endless.started.wait();
  std::vector<std::string> order;
  const uint64_t fresh = engine.submit("run", "new", note(order, "new"));
  engine.wait_idle();
  EXPECT_EQ(job_with(engine, old).state, JobState::cancelled);
  EXPECT_EQ(job_with(engine, fresh).state, JobState::done);
  EXPECT_THAT(order, ElementsAre("new"));
}

TEST(Engine, AnEmptyKeyReplacesNothing) {
  Engine engine;
  Gate gate;
  std::vector<std::string> order;
  engine.submit("", "gate", gate.work());
  gate.wait_until_running();
  engine.submit("", "a", note(order, "a"));
  engine.submit("", "b", note(order, "b"));
  gate.release();
  engine.wait_idle();
  EXPECT_THAT(order, ElementsAre("a", "b"));
}

TEST(Engine, CancellingByIdStopsOnlyThatJob) {
  Engine engine;
  Endless endless;
  const uint64_t running = engine.submit("a", "a", endless.work());
  endless.started.wait();
  std::vector<std::string> order;
  const uint64_t second = engine.submit("b", "b", note(order, "b"));
  const uint64_t third = engine.submit("c", "c", note(order, "c"));
  engine.cancel(second);
  EXPECT_EQ(job_with(engine, second).state, JobState::cancelled);
  EXPECT_EQ(job_with(engine, running).state, JobState::running);
  engine.cancel(running);
  engine.wait_idle();
  EXPECT_EQ(job_with(engine, running).state, JobState::cancelled);
  EXPECT_EQ(job_with(engine, third).state, JobState::done);
  EXPECT_THAT(order, ElementsAre("c"));
  engine.cancel(12345);  // unknown or ended: nothing happens
}

TEST(Engine, CancellingByKeyAndCancellingAllReachWaitingAndRunningJobs) {
  Engine engine;
  Endless first;
  engine.submit("a", "a", first.work());
  first.started.wait();
  const uint64_t waiting = engine.submit("b", "b", [](const JobContext&) -> Result<void> { return {}; });
  engine.cancel_key("b");
  EXPECT_EQ(job_with(engine, waiting).state, JobState::cancelled);
  EXPECT_FALSE(engine.idle());
  engine.cancel_all();
  engine.wait_idle();
  for (const JobStatus& job : engine.jobs()) EXPECT_EQ(job.state, JobState::cancelled) << job.title;
}

TEST(Engine, AFailingJobShowsItsErrorInOneLineAndTheNextOneRuns) {
  Engine engine;
  const uint64_t bad = engine.submit("a", "a", [](const JobContext&) -> Result<void> {
    return make_error(ErrorCode::io, "the disk\nis full").with("writing x.h5");
  });
  const uint64_t good = engine.submit("b", "b", [](const JobContext&) -> Result<void> { return {}; });
  engine.wait_idle();
  EXPECT_EQ(job_with(engine, bad).state, JobState::failed);
  EXPECT_EQ(job_with(engine, bad).error, "writing x.h5: the disk is full");
  EXPECT_EQ(job_with(engine, good).state, JobState::done);
  EXPECT_EQ(job_with(engine, good).fraction, 1.0);
}

TEST(Engine, ExceptionsFromWorkBecomeFailedJobs) {
  Engine engine;
  const uint64_t thrown = engine.submit(
      "a", "a", [](const JobContext&) -> Result<void> { throw std::runtime_error("odd shape"); });
  const uint64_t memory =
      engine.submit("b", "b", [](const JobContext&) -> Result<void> { throw std::bad_alloc(); });
  const uint64_t number = engine.submit("c", "c", [](const JobContext&) -> Result<void> { throw 7; });
  const uint64_t nothing = engine.submit("d", "d", nullptr);
  engine.wait_idle();
  EXPECT_THAT(job_with(engine, thrown).error, HasSubstr("odd shape"));
  EXPECT_THAT(job_with(engine, memory).error, HasSubstr("memory"));
  EXPECT_EQ(job_with(engine, number).state, JobState::failed);
  EXPECT_EQ(job_with(engine, nothing).state, JobState::failed);
}

TEST(Engine, ProgressIsShownWhileAJobRuns) {
  std::promise<void> reported, look;
  auto looked = look.get_future();
  Engine engine;
  const uint64_t id = engine.submit("a", "a", [&](const JobContext& job) -> Result<void> {
    job.progress(0.25, "layer 3");
    reported.set_value();
    looked.wait();
    job.progress(7.0, "out of range");
    return make_error(ErrorCode::io, "stopped here");
  });
  reported.get_future().wait();
  const JobStatus running = job_with(engine, id);
  EXPECT_EQ(running.state, JobState::running);
  EXPECT_EQ(running.fraction, 0.25);
  EXPECT_EQ(running.what, "layer 3");
  EXPECT_GT(running.elapsed_seconds, 0.0);
  look.set_value();
  engine.wait_idle();
  EXPECT_EQ(job_with(engine, id).fraction, 1.0) << "progress must be clamped";
  EXPECT_FALSE(job_with(engine, id).seconds_left.has_value());
}

TEST(Engine, EveryChangeOfStateIsNoticed) {
  std::atomic<int> notices = 0;
  Engine engine([&] { ++notices; });
  engine.submit("a", "a", [](const JobContext&) -> Result<void> { return {}; });
  engine.wait_idle();
  while (notices < 3) std::this_thread::yield();  // submitted, running, ended: hangs when one is missing
  EXPECT_GE(notices, 3);
}

TEST(Engine, ListsRunningThenWaitingThenTheLatestThatEnded) {
  Engine engine;
  std::vector<std::string> order;
  for (int i = 0; i < 40; ++i) engine.submit("", "ended " + std::to_string(i), note(order, "x"));
  engine.wait_idle();
  Gate gate;
  engine.submit("gate", "gate", gate.work());
  gate.wait_until_running();
  engine.submit("w", "waits", note(order, "w"));
  const std::vector<JobStatus> jobs = engine.jobs();
  ASSERT_GE(jobs.size(), 4U);
  EXPECT_LT(jobs.size(), 40U);
  EXPECT_EQ(jobs[0].title, "gate");
  EXPECT_EQ(jobs[1].title, "waits");
  EXPECT_EQ(jobs[2].title, "ended 39");
  EXPECT_EQ(jobs[3].title, "ended 38");
  gate.release();
  engine.wait_idle();
}

TEST(Engine, DestructionCancelsWhatRunsDropsWhatWaitsAndJoins) {
  std::atomic<bool> ran_late = false;
  auto held = std::make_shared<int>(7);
  Endless endless;
  {
    Engine engine;
    engine.submit("a", "a", endless.work());
    endless.started.wait();
    engine.submit("b", "b", [&ran_late, held](const JobContext&) -> Result<void> {
      ran_late = true;
      return {};
    });
  }
  EXPECT_FALSE(ran_late);
  EXPECT_EQ(held.use_count(), 1) << "a dropped job still holds what it captured";
}

TEST(Engine, AnEndedJobHoldsNothingAnyMore) {
  auto held = std::make_shared<int>(7);
  Engine engine;
  engine.submit("a", "a", [held](const JobContext&) -> Result<void> { return {}; });
  engine.wait_idle();
  EXPECT_EQ(held.use_count(), 1);
}

TEST(Engine, WorkMaySubmitAndCancelOtherWork) {
  Engine engine;
  std::vector<std::string> order;
  engine.submit("a", "a", [&](const JobContext&) -> Result<void> {
    engine.submit("b", "b", note(order, "b"));
    engine.submit("c", "c", note(order, "c"));
    engine.cancel_key("b");
    return {};
  });
  engine.wait_idle();
  EXPECT_THAT(order, ElementsAre("c"));
}

TEST(Engine, ManyThreadsMaySubmitCancelAndLookAtOnce) {
  std::atomic<int> notices = 0, ran = 0;
  {
    Engine engine([&] { ++notices; });
    std::vector<std::thread> threads;
    for (int t = 0; t < 4; ++t)
      threads.emplace_back([&, t] {
        for (int i = 0; i < 200; ++i) {
          const uint64_t id = engine.submit("key " + std::to_string(i % 5), "job",
                                            [&](const JobContext& job) -> Result<void> {
                                              for (int step = 0; step < 20; ++step) {
                                                job.progress(step / 20.0, "step");
                                                SACCADE_CHECK(job.check());
                                              }
                                              ++ran;
                                              return {};
                                            });
          if (i % 7 == t) engine.cancel(id);
          (void)engine.jobs();
        }
      });
    for (std::thread& thread : threads) thread.join();
    engine.wait_idle();
    EXPECT_TRUE(engine.idle());
  }
  EXPECT_GT(ran, 0);
  EXPECT_GT(notices, 800);
}

TEST(Engine, LongWorkGivesWayToJobsThatSomebodyWaitsFor) {
  Engine engine;
  Gate gate;
  std::vector<std::string> order;
  engine.submit("method:1", "sweep", [&](const JobContext& job) -> Result<void> {
    SACCADE_CHECK(gate.work()(job));
    order.emplace_back("sweep begins");
    engine.give_way([](const JobStatus& waiting) { return waiting.key == "run"; });
    order.emplace_back("sweep ends");
    return job.check();
  });
  gate.wait_until_running();
  engine.submit("method:2", "another sweep", note(order, "another sweep"));
  const uint64_t run = engine.submit("run", "run", note(order, "run"));
  gate.release();
  engine.wait_idle();
  EXPECT_THAT(order, ElementsAre("sweep begins", "run", "sweep ends", "another sweep"));
  EXPECT_EQ(job_with(engine, run).state, JobState::done);
}

TEST(Engine, AJobThatHasGivenWayCanBeCancelled) {
  Engine engine;
  Gate gate;
  const uint64_t sweep = engine.submit("method:1", "sweep", [&](const JobContext& job) -> Result<void> {
    SACCADE_CHECK(gate.work()(job));
    engine.give_way([](const JobStatus&) { return true; });
    return job.check();
  });
  gate.wait_until_running();
  engine.submit("run", "run", [&](const JobContext& job) -> Result<void> {
    EXPECT_FALSE(engine.idle());
    engine.cancel_key("method:1");
    return job.check();
  });
  gate.release();
  engine.wait_idle();
  EXPECT_EQ(job_with(engine, sweep).state, JobState::cancelled);
}

}  // namespace
}  // namespace saccade
