// What long work is given: a way to report progress and to notice that it was cancelled.
// Contract: anything that may last longer than 100 ms checks cancelled() at least every 100 ms and then
// returns ErrorCode::cancelled, keeping what it has where that makes sense.
#pragma once

#include <atomic>
#include <functional>
#include <memory>
#include <string_view>

#include "kernels/base/result.h"

namespace saccade {

// Set by any thread, read by the working one. Copies share the flag.
class CancelFlag {
 public:
  CancelFlag() : flag_(std::make_shared<std::atomic<bool>>(false)) {}
  void cancel() const { flag_->store(true, std::memory_order_relaxed); }
  [[nodiscard]] bool cancelled() const { return flag_->load(std::memory_order_relaxed); }

 private:
  std::shared_ptr<std::atomic<bool>> flag_;
};

struct JobContext {
  CancelFlag cancel;
  // fraction in [0, 1]; called on the working thread, must return quickly. May be empty.
  std::function<void(double fraction, std::string_view what)> on_progress;

  [[nodiscard]] bool cancelled() const { return cancel.cancelled(); }
  void progress(double fraction, std::string_view what) const {
    if (on_progress) on_progress(fraction, what);
  }
  // Ok, or the error every cancelled function returns.
  [[nodiscard]] Result<void> check() const {
    if (cancelled()) return make_error(ErrorCode::cancelled, "cancelled");
    return {};
  }
};

}  // namespace saccade
