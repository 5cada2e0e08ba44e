#include "app/views/head_grid/thumbnails.h"

namespace saccade {

Thumbnails::Thumbnails(std::function<void()> on_some)
    : on_some_(std::move(on_some)), thread_([this] { work(); }) {}

Thumbnails::~Thumbnails() {
  {
    const std::lock_guard lock(mutex_);
    stop_ = true;
  }
  wake_.notify_all();
  thread_.join();
}

void Thumbnails::set(std::shared_ptr<const Capture> capture, const KernelSet& kernels) {
  {
    const std::lock_guard lock(mutex_);
    if (capture == capture_) return;
    capture_ = std::move(capture);
    kernels_ = &kernels;
    tiles_.assign(capture_ ? static_cast<size_t>(capture_->spec.n_heads_total()) : 0, nullptr);
    next_ = 0;
    ++generation_;
  }
  wake_.notify_all();
}

std::shared_ptr<const Tile> Thumbnails::tile(size_t head) const {
  const std::lock_guard lock(mutex_);
  return head < tiles_.size() ? tiles_[head] : nullptr;
}

bool Thumbnails::complete() const {
  const std::lock_guard lock(mutex_);
  return next_ >= tiles_.size();
}

void Thumbnails::work() {
  std::unique_lock lock(mutex_);
  while (!stop_) {
    if (!capture_ || next_ >= tiles_.size()) {
      wake_.wait(lock);
      continue;
    }
    const size_t head = next_;
    const uint64_t generation = generation_;
    const auto capture = capture_;
    const KernelSet* kernels = kernels_;
    lock.unlock();
    const auto per_layer = static_cast<size_t>(capture->spec.n_head);
    const HeadId id{LayerIndex{static_cast<int32_t>(head / per_layer)},
                    HeadIndex{static_cast<int32_t>(head % per_layer)}};
    std::shared_ptr<const Tile> made = std::make_shared<const Tile>();
    if (const auto map = AttentionMap::of(capture, id, *kernels); map.ok())
      if (auto tile = map->thumbnail(side); tile.ok()) made = std::make_shared<const Tile>(std::move(*tile));
    lock.lock();
    if (generation != generation_) continue;
    tiles_[head] = std::move(made);
    next_ = head + 1;
    lock.unlock();
    on_some_();
    lock.lock();
  }
}

}  // namespace saccade
