#include "app/views/head_map/brush_meter.h"

#include <algorithm>

namespace saccade {

BrushMeter::BrushMeter(std::function<void()> on_change)
    : on_change_(std::move(on_change)), thread_([this] { work(); }) {}

BrushMeter::~BrushMeter() {
  {
    const std::lock_guard lock(mutex_);
    end_ = true;
    ++generation_;
  }
  wake_.notify_all();
  thread_.join();
}

void BrushMeter::measure(const AttentionMap& map, const Area& area) {
  {
    const std::lock_guard lock(mutex_);
    request_ = Request{map, area};
    statistics_ = BrushStatistics{};
    ++generation_;
  }
  wake_.notify_all();
}

void BrushMeter::stop() {
  const std::lock_guard lock(mutex_);
  request_.reset();
  statistics_.reset();
  ++generation_;
}

std::optional<BrushStatistics> BrushMeter::statistics() const {
  const std::lock_guard lock(mutex_);
  return statistics_;
}

// Pieces of 1024 x 1024 cells, some milliseconds each: between two of them a newer request is seen.
void BrushMeter::work() {
  constexpr int64_t step = 1024, block = 256;
  std::unique_lock lock(mutex_);
  while (!end_) {
    if (!request_ || finished_ == generation_) {
      wake_.wait(lock);
      continue;
    }
    const Request request = *request_;
    const uint64_t generation = generation_;
    lock.unlock();
    const Area& area = request.area;
    const auto rows = static_cast<double>(area.row_end - area.row),
               columns = static_cast<double>(area.column_end - area.column);
    BrushStatistics so_far;
    double measured = 0.0;
    bool current = true;
    for (int64_t row = area.row; row < area.row_end && current; row += step)
      for (int64_t column = area.column; column < area.column_end && current; column += step) {
        const int64_t row_end = std::min(row + step, area.row_end),
                      column_end = std::min(column + step, area.column_end);
        if (!request.map.masked(row, row_end, column, column_end))
          if (const auto tile = request.map.tile(row, row_end, column, column_end, block); tile.ok()) {
            for (const float mass : tile->block_mass.values()) so_far.sum += mass;
            for (const float high : tile->block_max.values()) so_far.highest = std::max(so_far.highest, high);
          }
        measured += static_cast<double>((row_end - row) * (column_end - column));
        so_far.mean = so_far.sum / (rows * columns);
        so_far.done = measured / (rows * columns);
        const std::lock_guard guard(mutex_);
        current = generation == generation_;
        if (current) statistics_ = so_far;
      }
    lock.lock();
    if (generation != generation_) continue;
    finished_ = generation;
    lock.unlock();
    on_change_();
    lock.lock();
  }
}

}  // namespace saccade
