// TileCache: a map as a quad-tree of tiles, filled by worker threads that do what is visible first.
//
// A tile is `side` x `side` elements; at level L an element stands for a block of 2^L x 2^L cells. Tiles up
// to `leaf_level` are computed, some 2 ms of work at most; coarser ones are reduced from their four children,
// which are made first. So no piece of work is long: what is no longer wanted is dropped before it starts,
// and a tile that comes into view waits for no other. Until the first coarse tiles are there, a sampled
// overview (one row of cells per row of elements of the root tile) is to be had, and says that it is one.
//
// The GUI thread says which tiles it sees, most important first, and draws what is there; it never waits.
// A new source drops everything. Tiles are immutable. When memory runs short, the tiles that are quickest to
// make again (the finest, then the longest unused) go first.
#pragma once

#include <array>
#include <condition_variable>
#include <cstdint>
#include <functional>
#include <list>
#include <memory>
#include <mutex>
#include <optional>
#include <thread>
#include <unordered_map>
#include <unordered_set>
#include <vector>

#include "app/views/head_map/tile_source.h"

namespace saccade {

// What to draw in the place of one wanted tile: the tile itself, or what comes nearest.
struct TilePart {
  TileKey source;                       // which tile the values are of
  std::shared_ptr<const MapTile> tile;  // no values: all masked
  TileKey area;                         // which tile's place it fills: source, or one below it
};

struct TileCover {
  std::vector<TilePart> parts;  // in the order to draw
  double exact = 1.0;           // share of the wanted area that is exact (masked areas are)
  bool sampled = false;         // some of it is drawn from the sampled overview
  bool whole = true;            // there is something to draw everywhere
};

class TileCache {
 public:
  // on_tile is called on a worker thread after every tile that was made.
  explicit TileCache(std::function<void()> on_tile, size_t byte_limit = size_t{192} << 20, int workers = 0);
  ~TileCache();
  TileCache(const TileCache&) = delete;
  TileCache& operator=(const TileCache&) = delete;

  void set_source(std::shared_ptr<const TileSource> source);  // drops all tiles; null = there is no map
  // What is on screen, most important first, and what may be soon. Replaces what was wanted before.
  void want(std::vector<TileKey> visible, std::vector<TileKey> soon = {});
  // The best that is there for these tiles.
  [[nodiscard]] TileCover cover(const std::vector<TileKey>& visible);
  [[nodiscard]] std::shared_ptr<const MapTile> find(const TileKey& key);  // exact or sampled; null = none
  [[nodiscard]] int pending() const;                                      // visible and not exactly there yet
  [[nodiscard]] size_t bytes() const;                                     // of all tiles
  [[nodiscard]] uint64_t generation() const;                              // changes with the source

 private:
  struct Entry {
    std::shared_ptr<const MapTile> tile;
    std::list<TileKey>::iterator used;
  };
  struct Overview {
    int64_t bands = 0, begun = 0, done = 0;
    std::vector<float> values;
  };
  struct Task {
    enum class Kind { compute, reduce, sample } kind = Kind::compute;
    TileKey key;
    int64_t band = 0;
    TileChildren children;
  };
  void work();
  // All below: with mutex_ held.
  [[nodiscard]] std::shared_ptr<const MapTile> exact(const TileKey& key) const;
  [[nodiscard]] bool in_map(const TileKey& key) const;
  [[nodiscard]] double share(const TileKey& key) const;
  [[nodiscard]] std::optional<Task> next_task() const;
  [[nodiscard]] std::optional<Task> task_for(const TileKey& key) const;
  [[nodiscard]] std::optional<Task> overview_task() const;
  [[nodiscard]] bool needed(const TileKey& key) const;
  void begin(const Task& task);
  void finish(const Task& task, MapTile made);
  void insert(const TileKey& key, MapTile made);
  void touch(const TileKey& key);
  void trim();
  void add_finer(const TileKey& area, int levels, TileCover& cover) const;

  std::function<void()> on_tile_;
  const size_t byte_limit_;
  mutable std::mutex mutex_;
  std::condition_variable wake_;
  std::shared_ptr<const TileSource> source_;
  TileKey root_;
  uint64_t generation_ = 0;
  std::vector<TileKey> visible_, soon_;
  std::unordered_set<TileKey, TileKeyHash> wanted_, busy_;
  std::unordered_map<TileKey, Entry, TileKeyHash> tiles_;
  std::array<std::list<TileKey>, 40> by_use_;  // of every level, latest first
  Overview overview_;
  size_t bytes_ = 0;
  bool stop_ = false;
  std::vector<std::thread> threads_;
};

}  // namespace saccade
