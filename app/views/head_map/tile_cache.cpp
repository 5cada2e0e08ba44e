#include "app/views/head_map/tile_cache.h"

#ifdef __linux__
#include <sys/resource.h>
#endif

#include <algorithm>

namespace saccade {
namespace {

constexpr int64_t band_rows = 4;        // of the sampled overview; some 2 ms of work at 32,768 cells
constexpr int overview_from_level = 5;  // smaller maps are exact as soon as an overview would be there

// The window's own thread goes first when there are fewer cores than threads.
void yield_to_the_window() {
#ifdef __linux__
  setpriority(PRIO_PROCESS, 0, getpriority(PRIO_PROCESS, 0) + 5);  // Linux: of the calling thread
#endif
}

int worker_count(int asked) {
  return asked > 0 ? asked : static_cast<int>(std::clamp(std::thread::hardware_concurrency(), 1u, 16u));
}

const std::shared_ptr<const MapTile>& blank_tile() {
  static const auto blank = std::make_shared<const MapTile>();
  return blank;
}

}  // namespace

TileCache::TileCache(std::function<void()> on_tile, size_t byte_limit, int workers)
    : on_tile_(std::move(on_tile)), byte_limit_(byte_limit) {
  for (int i = 0; i < worker_count(workers); ++i) threads_.emplace_back([this] { work(); });
}

TileCache::~TileCache() {
  {
    const std::lock_guard lock(mutex_);
    stop_ = true;
  }
  wake_.notify_all();
  for (std::thread& thread : threads_) thread.join();
}

void TileCache::set_source(std::shared_ptr<const TileSource> source) {
  {
    const std::lock_guard lock(mutex_);
    source_ = std::move(source);
    ++generation_;
    root_ = source_ ? root_tile(source_->cells()) : TileKey{};
    visible_.clear();
    soon_.clear();
    wanted_.clear();
    busy_.clear();
    tiles_.clear();
    for (auto& list : by_use_) list.clear();
    bytes_ = 0;
    overview_ = {};
    if (source_ && root_.level >= overview_from_level) {
      const int64_t rows = tile_rows(root_, source_->cells());
      overview_.bands = (rows + band_rows - 1) / band_rows;
      overview_.values.resize(static_cast<size_t>(rows * tile_columns(root_, source_->cells())));
    }
  }
  wake_.notify_all();
}

void TileCache::want(std::vector<TileKey> visible, std::vector<TileKey> soon) {
  {
    const std::lock_guard lock(mutex_);
    if (visible == visible_ && soon == soon_) return;
    visible_ = std::move(visible);
    soon_ = std::move(soon);
    wanted_.clear();
    wanted_.insert(visible_.begin(), visible_.end());
    wanted_.insert(soon_.begin(), soon_.end());
  }
  wake_.notify_all();
}

bool TileCache::in_map(const TileKey& key) const {
  const int64_t cells = source_->cells();
  return key.level >= 0 && key.row * key.reach() < cells && key.column * key.reach() < cells;
}

std::shared_ptr<const MapTile> TileCache::exact(const TileKey& key) const {
  if (const auto found = tiles_.find(key); found != tiles_.end() && !found->second.tile->sampled)
    return found->second.tile;
  return source_ && source_->masked(key) ? blank_tile() : nullptr;
}

// How much of a tile is there exactly, in itself or in what it will be reduced from.
double TileCache::share(const TileKey& key) const {
  if (!in_map(key) || exact(key)) return 1.0;
  if (key.level <= leaf_level) return 0.0;
  double sum = 0.0;
  for (int index = 0; index < 4; ++index) sum += share(key.child(index)) / 4;
  return sum;
}

// Draws over an area what there is below it, so that a coarse picture grows as its parts are made.
void TileCache::add_finer(const TileKey& area, int levels, TileCover& cover) const {
  if (levels == 0 || area.level <= leaf_level) return;
  for (int index = 0; index < 4; ++index) {
    const TileKey child = area.child(index);
    if (!in_map(child)) continue;
    if (auto tile = exact(child))
      cover.parts.push_back({child, std::move(tile), child});
    else
      add_finer(child, levels - 1, cover);
  }
}

TileCover TileCache::cover(const std::vector<TileKey>& visible) {
  const std::lock_guard lock(mutex_);
  TileCover cover;
  if (!source_) return cover;
  double ready = 0.0, all = 0.0;
  for (const TileKey& area : visible) {
    if (!in_map(area)) continue;
    if (!source_->masked(area)) {
      all += 1.0;
      ready += share(area);
    }
    TileKey key = area;
    std::shared_ptr<const MapTile> tile = exact(key);
    for (; !tile; key = key.parent()) {
      if (const auto found = tiles_.find(key); found != tiles_.end()) tile = found->second.tile;
      if (tile || key.level >= root_.level) break;
    }
    if (tile) {
      touch(key);
      cover.sampled |= tile->sampled;
      cover.parts.push_back({key, tile, area});
    }
    const bool here = tile && key == area && !tile->sampled;
    cover.whole &= tile || share(area) >= 1.0;
    if (!here) add_finer(area, 3, cover);
  }
  cover.exact = all > 0.0 ? ready / all : 1.0;
  return cover;
}

void TileCache::touch(const TileKey& key) {
  const auto found = tiles_.find(key);
  if (found == tiles_.end()) return;
  auto& list = by_use_[static_cast<size_t>(key.level)];
  list.splice(list.begin(), list, found->second.used);
}

std::shared_ptr<const MapTile> TileCache::find(const TileKey& key) {
  const std::lock_guard lock(mutex_);
  touch(key);
  const auto found = tiles_.find(key);
  return found == tiles_.end() ? nullptr : found->second.tile;
}

int TileCache::pending() const {
  const std::lock_guard lock(mutex_);
  return static_cast<int>(std::count_if(visible_.begin(), visible_.end(),
                                        [&](const TileKey& key) { return in_map(key) && !exact(key); }));
}

size_t TileCache::bytes() const {
  const std::lock_guard lock(mutex_);
  return bytes_;
}

uint64_t TileCache::generation() const {
  const std::lock_guard lock(mutex_);
  return generation_;
}

std::optional<TileCache::Task> TileCache::overview_task() const {
  if (overview_.begun >= overview_.bands || exact(root_)) return std::nullopt;
  return Task{Task::Kind::sample, root_, overview_.begun, {}};
}

// The first piece of work towards a tile that nobody has begun; none where it is there or all is under way.
std::optional<TileCache::Task> TileCache::task_for(const TileKey& key) const {
  if (!in_map(key) || busy_.contains(key) || exact(key)) return std::nullopt;
  Task task{Task::Kind::reduce, key, 0, {}};
  bool complete = key.level > 0;
  for (int index = 0; complete && index < 4; ++index) {
    const TileKey child = key.child(index);
    if (!in_map(child)) continue;
    auto& tile = task.children[static_cast<size_t>(index)];
    tile = exact(child);
    if (tile) continue;
    complete = false;
    if (key.level <= leaf_level) break;
    for (int from = index; from < 4; ++from)
      if (auto part = task_for(key.child(from))) return part;
    return std::nullopt;
  }
  if (!complete) task = {Task::Kind::compute, key, 0, {}};
  return task;
}

// A tile that is quickly made goes before all when it is the first; then the overview, without which there is
// nothing to look at; then what is visible, in order.
std::optional<TileCache::Task> TileCache::next_task() const {
  if (!source_) return std::nullopt;
  if (!visible_.empty() && visible_.front().level <= leaf_level)
    if (auto task = task_for(visible_.front())) return task;
  if (!visible_.empty())
    if (auto task = overview_task()) return task;
  for (const auto* keys : {&visible_, &soon_})
    for (const TileKey& key : *keys)
      if (auto task = task_for(key)) return task;
  return std::nullopt;
}

void TileCache::begin(const Task& task) {
  if (task.kind == Task::Kind::sample)
    ++overview_.begun;
  else
    busy_.insert(task.key);
}

void TileCache::finish(const Task& task, MapTile made) {
  if (task.kind != Task::Kind::sample) {
    busy_.erase(task.key);
    return insert(task.key, std::move(made));
  }
  const int64_t columns = tile_columns(root_, source_->cells()), rows = tile_rows(root_, source_->cells());
  std::copy(made.values.begin(), made.values.end(),
            overview_.values.begin() + task.band * band_rows * columns);
  if (++overview_.done == overview_.bands && !exact(root_))
    insert(root_, {rows, columns, std::move(overview_.values), true});
}

void TileCache::insert(const TileKey& key, MapTile made) {
  auto& list = by_use_[static_cast<size_t>(key.level)];
  if (const auto old = tiles_.find(key); old != tiles_.end()) {
    bytes_ -= old->second.tile->values.size() * sizeof(float);
    list.erase(old->second.used);
  }
  list.push_front(key);
  bytes_ += made.values.size() * sizeof(float);
  tiles_[key] = {std::make_shared<const MapTile>(std::move(made)), list.begin()};
  trim();
}

void TileCache::work() {
  yield_to_the_window();
  std::unique_lock lock(mutex_);
  while (!stop_) {
    const std::optional<Task> task = next_task();
    if (!task) {
      wake_.wait(lock);
      continue;
    }
    begin(*task);
    const std::shared_ptr<const TileSource> source = source_;
    const uint64_t generation = generation_;
    lock.unlock();
    MapTile made;
    switch (task->kind) {
      case Task::Kind::compute:
        made = source->compute(task->key);
        break;
      case Task::Kind::reduce:
        made = source->reduce(task->key, task->children);
        break;
      case Task::Kind::sample:
        const int64_t first = task->band * band_rows;
        made.values = source->sample(task->key, first,
                                     std::min(first + band_rows, tile_rows(task->key, source->cells())));
        break;
    }
    lock.lock();
    if (generation != generation_ || stop_) continue;
    finish(*task, std::move(made));
    lock.unlock();
    wake_.notify_all();  // a reduction may have become possible
    on_tile_();
    lock.lock();
  }
}

// Wanted, or a part of something wanted that has not been put together yet.
bool TileCache::needed(const TileKey& key) const {
  if (wanted_.contains(key) || key == root_) return true;
  if (exact(key.parent())) return false;
  for (TileKey above = key.parent(); above.level <= root_.level; above = above.parent())
    if (wanted_.contains(above)) return true;
  return false;
}

void TileCache::trim() {
  for (auto& list : by_use_)
    for (auto at = list.end(); bytes_ > byte_limit_ && at != list.begin();) {
      --at;
      if (needed(*at)) continue;
      const auto found = tiles_.find(*at);
      bytes_ -= found->second.tile->values.size() * sizeof(float);
      tiles_.erase(found);
      at = list.erase(at);
    }
}

}  // namespace saccade
