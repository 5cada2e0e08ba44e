// BrushMeter: mass and largest weight of a rectangle of the map, summed on its own thread, so that a brush
// over a thousand million cells holds nothing up. A newer rectangle replaces the older one at once.
#pragma once

#include <QRect>
#include <condition_variable>
#include <functional>
#include <mutex>
#include <optional>
#include <thread>

#include "core/capture/attention_map.h"

namespace saccade {

struct BrushStatistics {
  double sum = 0.0, mean = 0.0;  // of the cells' probability; mean over all cells, masked ones included
  float highest = 0.0f;
  double done = 0.0;  // share of the rectangle that has been measured; 1 = final
};

class BrushMeter {
 public:
  // on_change is called on the meter's thread.
  explicit BrushMeter(std::function<void()> on_change);
  ~BrushMeter();
  BrushMeter(const BrushMeter&) = delete;
  BrushMeter& operator=(const BrushMeter&) = delete;

  struct Area {
    int64_t row = 0, row_end = 0, column = 0, column_end = 0;  // cells, inside the map
  };
  void measure(const AttentionMap& map, const Area& area);
  void stop();  // forgets the measurement
  [[nodiscard]] std::optional<BrushStatistics> statistics() const;

 private:
  struct Request {
    AttentionMap map;
    Area area;
  };
  void work();

  std::function<void()> on_change_;
  mutable std::mutex mutex_;
  std::condition_variable wake_;
  std::optional<Request> request_;
  std::optional<BrushStatistics> statistics_;
  uint64_t generation_ = 0, finished_ = 0;
  bool end_ = false;
  std::thread thread_;
};

}  // namespace saccade
