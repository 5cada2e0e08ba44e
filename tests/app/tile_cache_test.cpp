#include "app/views/head_map/tile_cache.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <chrono>

#include "app/views/head_map/tile_wish.h"

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

// Notes what it was asked for; a tile's elements hold its column.
class NotedSource : public TileSource {
 public:
  explicit NotedSource(int64_t cells, bool causal = true, float offset = 0.0f)
      : cells_(cells), causal_(causal), offset_(offset) {}

  [[nodiscard]] int64_t cells() const override { return cells_; }
  [[nodiscard]] bool masked(const TileKey& key) const override { return causal_ && key.column > key.row; }
  [[nodiscard]] MapTile compute(const TileKey& key) const override {
    {
      const std::lock_guard lock(mutex_);
      computed_.push_back(key);
    }
    while (hold_) std::this_thread::yield();
    return filled(key, static_cast<float>(key.column) + offset_);
  }
  [[nodiscard]] MapTile reduce(const TileKey& key, const TileChildren&) const override {
    const std::lock_guard lock(mutex_);
    reduced_.push_back(key);
    return filled(key, static_cast<float>(key.column) + offset_);
  }
  [[nodiscard]] std::vector<float> sample(const TileKey& key, int64_t begin, int64_t end) const override {
    {
      const std::lock_guard lock(mutex_);
      computed_before_sampling_ = static_cast<int>(computed_.size());
    }
    return std::vector<float>(static_cast<size_t>((end - begin) * tile_columns(key, cells_)), -1.0f);
  }
  std::vector<TileKey> computed() const {
    const std::lock_guard lock(mutex_);
    return computed_;
  }
  std::vector<TileKey> reduced() const {
    const std::lock_guard lock(mutex_);
    return reduced_;
  }
  int computed_before_sampling() const {
    const std::lock_guard lock(mutex_);
    return computed_before_sampling_;
  }
  void hold(bool hold) { hold_ = hold; }

 private:
  [[nodiscard]] MapTile filled(const TileKey& key, float value) const {
    const int64_t rows = tile_rows(key, cells_), columns = tile_columns(key, cells_);
    return {rows, columns, std::vector<float>(static_cast<size_t>(rows * columns), value)};
  }
  int64_t cells_;
  bool causal_;
  float offset_;
  std::atomic<bool> hold_{false};
  mutable std::mutex mutex_;
  mutable std::vector<TileKey> computed_, reduced_;
  mutable int computed_before_sampling_ = -1;
};

constexpr size_t plenty = size_t{1} << 30;
constexpr size_t tile_bytes = tile_side * tile_side * sizeof(float);

TEST(TileCache, makes_what_is_visible_in_the_order_asked_for_and_then_what_may_be_soon) {
  const auto source = std::make_shared<NotedSource>(2048);
  TileCache cache([] {}, plenty, 1);
  source->hold(true);  // so that all is asked for before the first is done
  cache.set_source(source);
  cache.want({{0, 5, 3}, {0, 5, 1}, {0, 5, 2}}, {{0, 6, 2}});
  source->hold(false);
  ASSERT_TRUE(eventually([&] { return source->computed().size() == 4; }));
  EXPECT_EQ(source->computed(), (std::vector<TileKey>{{0, 5, 3}, {0, 5, 1}, {0, 5, 2}, {0, 6, 2}}));
  ASSERT_TRUE(eventually([&] { return cache.pending() == 0; }));
  EXPECT_EQ(cache.find({0, 5, 1})->values[0], 1.0f);
  EXPECT_EQ(cache.find({0, 7, 1}), nullptr);
}

TEST(TileCache, what_has_left_the_screen_before_it_was_begun_is_never_made) {
  const auto source = std::make_shared<NotedSource>(32768);
  TileCache cache([] {}, plenty, 1);
  source->hold(true);
  cache.set_source(source);
  cache.want({{0, 50, 1}, {0, 50, 2}, {0, 50, 3}});
  ASSERT_TRUE(eventually([&] { return source->computed().size() == 1; }));
  cache.want({{0, 90, 9}});
  source->hold(false);
  ASSERT_TRUE(eventually([&] { return cache.pending() == 0; }));
  EXPECT_EQ(source->computed(), (std::vector<TileKey>{{0, 50, 1}, {0, 90, 9}}));
}

TEST(TileCache, the_overview_comes_before_the_fine_tiles_save_the_one_under_the_pointer) {
  const auto source = std::make_shared<NotedSource>(32768);
  TileCache cache([] {}, plenty, 1);
  cache.set_source(source);
  cache.want({{0, 50, 1}, {0, 50, 2}, {0, 50, 3}});
  ASSERT_TRUE(eventually([&] { return cache.pending() == 0; }));
  EXPECT_EQ(source->computed_before_sampling(), 1);
}

TEST(TileCache, a_sampled_overview_says_that_it_is_one_until_exact_tiles_take_its_place) {
  const auto source = std::make_shared<NotedSource>(32768);
  TileCache cache([] {}, plenty, 2);
  source->hold(true);  // the exact tiles wait
  cache.set_source(source);
  const TileKey root = root_tile(32768);
  ASSERT_EQ(root.level, 7);
  cache.want({root});
  ASSERT_TRUE(eventually([&] { return cache.find(root) != nullptr; }));
  TileCover cover = cache.cover({root});
  EXPECT_TRUE(cover.whole);
  EXPECT_TRUE(cover.sampled);
  EXPECT_EQ(cover.exact, 0.5 - 1.0 / 64);  // the masked tiles above the diagonal, down to the leaves
  EXPECT_EQ(cover.parts.front().tile->values[0], -1.0f);
  EXPECT_EQ(cache.pending(), 1);
  source->hold(false);
  ASSERT_TRUE(eventually([&] { return cache.pending() == 0; }));
  cover = cache.cover({root});
  EXPECT_FALSE(cover.sampled);
  EXPECT_EQ(cover.exact, 1.0);
  ASSERT_EQ(cover.parts.size(), 1u);
  EXPECT_EQ(cover.parts.front().tile->values[0], 0.0f);
}

TEST(TileCache, coarse_tiles_are_reduced_from_their_parts_and_parts_at_hand_are_not_made_again) {
  const auto source = std::make_shared<NotedSource>(8192);
  TileCache cache([] {}, plenty, 2);
  cache.set_source(source);
  cache.want({{2, 0, 0}});
  ASSERT_TRUE(eventually([&] { return cache.pending() == 0; }));
  cache.want({root_tile(8192)});
  ASSERT_TRUE(eventually([&] { return cache.pending() == 0; }));
  std::vector<TileKey> computed = source->computed();
  EXPECT_EQ(computed.size(), 36u);  // 8 x 8 leaves on and below the diagonal, each once
  std::sort(computed.begin(), computed.end());
  EXPECT_EQ(std::unique(computed.begin(), computed.end()), computed.end());
  for (const TileKey& key : computed) EXPECT_EQ(key.level, leaf_level);
  EXPECT_EQ(source->reduced().size(), 10u + 3u + 1u);  // of levels 3, 4 and 5
}

TEST(TileCache, masked_tiles_are_there_without_any_work) {
  const auto source = std::make_shared<NotedSource>(4096);
  TileCache cache([] {}, plenty, 2);
  cache.set_source(source);
  cache.want({{0, 2, 9}, {2, 0, 1}});
  EXPECT_EQ(cache.pending(), 0);
  const TileCover cover = cache.cover({{0, 2, 9}, {2, 0, 1}});
  EXPECT_EQ(cover.exact, 1.0);
  EXPECT_EQ(cover.parts.size(), 2u);
  for (const TilePart& part : cover.parts) EXPECT_TRUE(part.tile->values.empty());
  std::this_thread::sleep_for(std::chrono::milliseconds(30));
  EXPECT_TRUE(source->computed().empty());
}

TEST(TileCache, a_missing_tile_is_covered_by_a_coarser_one_and_by_what_there_is_of_its_parts) {
  const auto source = std::make_shared<NotedSource>(4096, false);
  TileCache cache([] {}, plenty, 1);
  cache.set_source(source);
  cache.want({{4, 0, 0}});
  ASSERT_TRUE(eventually([&] { return cache.pending() == 0; }));
  const TileCover coarser = cache.cover({{0, 3, 2}});
  ASSERT_EQ(coarser.parts.size(), 1u);
  EXPECT_EQ(coarser.parts[0].source, (TileKey{2, 0, 0}));
  EXPECT_EQ(coarser.parts[0].area, (TileKey{0, 3, 2}));
  EXPECT_EQ(coarser.exact, 0.0);
  EXPECT_FALSE(coarser.sampled);

  TileCache other([] {}, plenty, 1);
  other.set_source(source);
  other.want({{2, 1, 0}});
  ASSERT_TRUE(eventually([&] { return other.pending() == 0; }));
  const TileCover finer = other.cover({{3, 0, 0}});
  ASSERT_EQ(finer.parts.size(), 1u);
  EXPECT_EQ(finer.parts[0].source, (TileKey{2, 1, 0}));
  EXPECT_EQ(finer.exact, 0.25);
  EXPECT_FALSE(finer.whole);
}

TEST(TileCache, a_tile_for_an_older_source_never_shows_up) {
  const auto old = std::make_shared<NotedSource>(2048, true, 100.0f);
  TileCache cache([] {}, plenty, 1);
  old->hold(true);
  cache.set_source(old);
  cache.want({{0, 3, 1}});
  ASSERT_TRUE(eventually([&] { return old->computed().size() == 1; }));
  cache.set_source(std::make_shared<NotedSource>(2048));
  cache.want({{0, 3, 1}});
  old->hold(false);
  ASSERT_TRUE(eventually([&] { return cache.pending() == 0; }));
  EXPECT_EQ(cache.find({0, 3, 1})->values[0], 1.0f);
}

TEST(TileCache, keeps_its_budget_and_lets_the_finest_and_longest_unused_go_but_none_that_is_visible) {
  const auto source = std::make_shared<NotedSource>(32768);
  TileCache cache([] {}, 10 * tile_bytes, 1);
  cache.set_source(source);
  cache.want({{2, 20, 3}, {2, 20, 4}});
  ASSERT_TRUE(eventually([&] { return cache.pending() == 0; }));
  for (int64_t column = 0; column < 30; ++column) {
    cache.want({{0, 100, column}});
    ASSERT_TRUE(eventually([&] { return cache.pending() == 0; }));
    EXPECT_NE(cache.find({0, 100, column}), nullptr);
    EXPECT_LE(cache.bytes(), 10 * tile_bytes);
  }
  EXPECT_EQ(cache.find({0, 100, 0}), nullptr);
  EXPECT_NE(cache.find({0, 100, 28}), nullptr);
  EXPECT_NE(cache.find({2, 20, 3}), nullptr);  // older, and dearer to make again
  std::vector<TileKey> many;
  for (int64_t column = 40; column < 60; ++column) many.push_back({0, 100, column});
  cache.want(many);  // more than the budget: all visible, all kept
  ASSERT_TRUE(eventually([&] { return cache.pending() == 0; }));
  for (const TileKey& key : many) EXPECT_NE(cache.find(key), nullptr);
}

TEST(TileCache, a_coarse_tile_can_be_made_whatever_the_budget) {
  const auto source = std::make_shared<NotedSource>(16384);
  TileCache cache([] {}, 4 * tile_bytes, 2);
  cache.set_source(source);
  cache.want({root_tile(16384)});
  ASSERT_TRUE(eventually([&] { return cache.pending() == 0; }));
  EXPECT_LE(cache.bytes(), 4 * tile_bytes);
  EXPECT_FALSE(cache.find(root_tile(16384))->sampled);
}

TEST(TileWish, begins_under_the_pointer_and_adds_a_ring_and_the_finer_tiles_there) {
  MapCamera camera;
  camera.set_frame({800, 600});
  camera.set_map(32768);
  camera.look_at({10000, 20000}, 0.5);
  const TileWish wish = wish_for(camera, {9700, 20100});
  EXPECT_EQ(wish.level, 1);
  EXPECT_EQ(wish.visible.front(), (TileKey{1, 20100 / 512, 9700 / 512}));
  EXPECT_EQ(wish.soon.front(), (TileKey{0, 20100 / 256, 9700 / 256}));
  for (const TileKey& key : wish.soon)
    EXPECT_EQ(std::count(wish.visible.begin(), wish.visible.end(), key), 0);
  const QRectF seen = camera.visible();
  const auto covered = [&](double x, double y) {
    return std::count(wish.visible.begin(), wish.visible.end(),
                      TileKey{1, static_cast<int64_t>(y) / 512, static_cast<int64_t>(x) / 512}) == 1;
  };
  for (const double x : {seen.left(), seen.center().x(), seen.right() - 1e-6})
    for (const double y : {seen.top(), seen.center().y(), seen.bottom() - 1e-6}) EXPECT_TRUE(covered(x, y));
}

}  // namespace
}  // namespace saccade
