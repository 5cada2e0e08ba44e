#include "app/views/head_map/tile_cache.h"

#include <gtest/gtest.h>

#include <atomic>
#include <chrono>

namespace saccade {
namespace {

template <class Condition>
bool eventually(const Condition& condition) {
  for (int i = 0; i < 2000; ++i) {
    if (condition()) return true;
    std::this_thread::sleep_for(std::chrono::milliseconds(2));
  }
  return false;
}

MapTile tile_of(float value, size_t size = 16) {
  MapTile tile{static_cast<int64_t>(size), 1, std::vector<float>(size, value)};
  return tile;
}

TEST(TileCache, makes_what_is_wanted_in_the_order_wanted) {
  std::mutex mutex;
  std::vector<int64_t> made;
  TileCache cache([] {});
  cache.set_source([&](const TileKey& key) {
    const std::lock_guard lock(mutex);
    made.push_back(key.column);
    return tile_of(static_cast<float>(key.column));
  });
  cache.want({{0, 0, 3}, {0, 0, 1}, {0, 0, 2}});
  ASSERT_TRUE(eventually([&] { return cache.pending() == 0; }));
  EXPECT_EQ(made, (std::vector<int64_t>{3, 1, 2}));
  EXPECT_EQ(cache.find({0, 0, 1})->values[0], 1.0f);
  EXPECT_EQ(cache.find({0, 0, 9}), nullptr);
}

TEST(TileCache, a_tile_for_an_older_source_never_shows_up) {
  std::atomic<bool> go{false}, started{false};
  TileCache cache([] {});
  cache.set_source([&](const TileKey&) {
    started = true;
    while (!go) std::this_thread::yield();
    return tile_of(1.0f);
  });
  cache.want({{0, 0, 0}});
  ASSERT_TRUE(eventually([&] { return started.load(); }));
  cache.set_source([](const TileKey&) { return tile_of(2.0f); });
  cache.want({{0, 0, 0}});
  go = true;
  ASSERT_TRUE(eventually([&] { return cache.pending() == 0; }));
  EXPECT_EQ(cache.find({0, 0, 0})->values[0], 2.0f);
}

TEST(TileCache, forgets_the_longest_unused_tiles_beyond_its_limit_but_none_that_are_wanted) {
  TileCache cache([] {}, 10 * 1024 * sizeof(float));
  cache.set_source([](const TileKey& key) { return tile_of(static_cast<float>(key.column), 1024); });
  for (int64_t column = 0; column < 30; ++column) {
    cache.want({{0, 0, column}});
    ASSERT_TRUE(eventually([&] { return cache.pending() == 0; }));
    EXPECT_NE(cache.find({0, 0, column}), nullptr);
  }
  int kept = 0;
  for (int64_t column = 0; column < 30; ++column) kept += cache.find({0, 0, column}) != nullptr;
  EXPECT_LE(kept, 11);
  EXPECT_NE(cache.find({0, 0, 29}), nullptr);
  EXPECT_EQ(cache.find({0, 0, 0}), nullptr);
}

}  // namespace
}  // namespace saccade
