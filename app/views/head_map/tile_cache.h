// TileCache: a map as a quad-tree of tiles, filled by one worker thread that does what is wanted first.
//
// The GUI thread says which tiles it would draw, most important first, and draws those that are there; the
// worker makes the first missing one, again and again. A new source drops everything. Tiles are immutable.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <functional>
#include <list>
#include <map>
#include <memory>
#include <mutex>
#include <thread>
#include <vector>

namespace saccade {

struct TileKey {
  int level = 0;                // log2 of the block side
  int64_t row = 0, column = 0;  // in tiles
  auto operator<=>(const TileKey&) const = default;
};

struct MapTile {
  int64_t rows = 0, columns = 0;
  std::vector<float> values;  // [rows, columns]
};

class TileCache {
 public:
  static constexpr int64_t side = 256;  // elements of a tile
  // Runs on the worker thread; an empty tile means it could not be made.
  using Source = std::function<MapTile(const TileKey&)>;

  explicit TileCache(std::function<void()> on_tile, size_t byte_limit = size_t{192} << 20);
  ~TileCache();
  TileCache(const TileCache&) = delete;
  TileCache& operator=(const TileCache&) = delete;

  void set_source(Source source);  // drops all tiles
  void want(std::vector<TileKey> keys);
  [[nodiscard]] std::shared_ptr<const MapTile> find(const TileKey& key);
  [[nodiscard]] int pending() const;          // wanted and not yet there
  [[nodiscard]] uint64_t generation() const;  // changes with the source

 private:
  struct Entry {
    std::shared_ptr<const MapTile> tile;
    std::list<TileKey>::iterator used;
  };
  void work();
  void trim();

  std::function<void()> on_tile_;
  const size_t byte_limit_;
  mutable std::mutex mutex_;
  std::condition_variable wake_;
  Source source_;
  uint64_t generation_ = 0;
  std::vector<TileKey> wanted_;
  std::map<TileKey, Entry> tiles_;
  std::list<TileKey> by_use_;  // latest first
  size_t bytes_ = 0;
  bool stop_ = false;
  std::thread thread_;
};

}  // namespace saccade
