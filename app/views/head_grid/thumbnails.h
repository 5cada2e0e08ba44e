// Thumbnails: a small picture of every head's map, made by one worker thread in the order wanted.
// set() and values() belong to the GUI thread; on_some is called on the worker.
#pragma once

#include <atomic>
#include <condition_variable>
#include <functional>
#include <memory>
#include <mutex>
#include <thread>
#include <vector>

#include "core/capture/attention_map.h"

namespace saccade {

class Thumbnails {
 public:
  static constexpr int64_t side = 64;
  explicit Thumbnails(std::function<void()> on_some);
  ~Thumbnails();
  Thumbnails(const Thumbnails&) = delete;
  Thumbnails& operator=(const Thumbnails&) = delete;

  // Starts over for another capture; null = none.
  void set(std::shared_ptr<const Capture> capture, const KernelSet& kernels);
  // Block maxima [rows, columns] of a head, layer-major; null while not yet made.
  [[nodiscard]] std::shared_ptr<const Tile> tile(size_t head) const;
  [[nodiscard]] bool complete() const;

 private:
  void work();
  std::function<void()> on_some_;
  mutable std::mutex mutex_;
  std::condition_variable wake_;
  std::shared_ptr<const Capture> capture_;
  const KernelSet* kernels_ = nullptr;
  std::vector<std::shared_ptr<const Tile>> tiles_;
  size_t next_ = 0;
  uint64_t generation_ = 0;
  bool stop_ = false;
  std::thread thread_;
};

}  // namespace saccade
