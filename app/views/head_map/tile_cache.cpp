#include "app/views/head_map/tile_cache.h"

#include <algorithm>

namespace saccade {

TileCache::TileCache(std::function<void()> on_tile, size_t byte_limit)
    : on_tile_(std::move(on_tile)), byte_limit_(byte_limit), thread_([this] { work(); }) {}

TileCache::~TileCache() {
  {
    const std::lock_guard lock(mutex_);
    stop_ = true;
  }
  wake_.notify_all();
  thread_.join();
}

void TileCache::set_source(Source source) {
  {
    const std::lock_guard lock(mutex_);
    source_ = std::move(source);
    ++generation_;
    wanted_.clear();
    tiles_.clear();
    by_use_.clear();
    bytes_ = 0;
  }
  wake_.notify_all();
}

void TileCache::want(std::vector<TileKey> keys) {
  {
    const std::lock_guard lock(mutex_);
    wanted_ = std::move(keys);
  }
  wake_.notify_all();
}

std::shared_ptr<const MapTile> TileCache::find(const TileKey& key) {
  const std::lock_guard lock(mutex_);
  const auto found = tiles_.find(key);
  if (found == tiles_.end()) return nullptr;
  by_use_.splice(by_use_.begin(), by_use_, found->second.used);
  return found->second.tile;
}

int TileCache::pending() const {
  const std::lock_guard lock(mutex_);
  return static_cast<int>(std::count_if(wanted_.begin(), wanted_.end(),
                                        [&](const TileKey& key) { return !tiles_.contains(key); }));
}

uint64_t TileCache::generation() const {
  const std::lock_guard lock(mutex_);
  return generation_;
}

void TileCache::work() {
  std::unique_lock lock(mutex_);
  while (!stop_) {
    const auto missing = std::find_if(wanted_.begin(), wanted_.end(),
                                      [&](const TileKey& key) { return !tiles_.contains(key); });
    if (!source_ || missing == wanted_.end()) {
      wake_.wait(lock);
      continue;
    }
    const TileKey key = *missing;
    const Source source = source_;
    const uint64_t generation = generation_;
    lock.unlock();
    auto tile = std::make_shared<const MapTile>(source(key));
    lock.lock();
    if (generation != generation_ || stop_) continue;
    by_use_.push_front(key);
    bytes_ += tile->values.size() * sizeof(float);
    tiles_[key] = {std::move(tile), by_use_.begin()};
    trim();
    lock.unlock();
    on_tile_();
    lock.lock();
  }
}

// Forgets the longest unused tiles that nobody wants.
void TileCache::trim() {
  for (auto at = by_use_.end(); bytes_ > byte_limit_ && at != by_use_.begin();) {
    --at;
    if (std::find(wanted_.begin(), wanted_.end(), *at) != wanted_.end()) continue;
    const auto found = tiles_.find(*at);
    bytes_ -= found->second.tile->values.size() * sizeof(float);
    tiles_.erase(found);
    at = by_use_.erase(at);
  }
}

}  // namespace saccade
