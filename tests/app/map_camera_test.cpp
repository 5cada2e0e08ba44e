#include "app/views/head_map/map_camera.h"

#include <gtest/gtest.h>

#include <vector>

#include "app/views/head_map/map_overlay.h"

namespace saccade {
namespace {

MapCamera camera_of(int64_t cells) {
  MapCamera camera;
  camera.set_frame({800, 600});
  camera.set_map(cells);
  return camera;
}

TEST(MapCamera, a_new_map_is_shown_whole) {
  const MapCamera camera = camera_of(4096);
  EXPECT_NEAR(camera.visible().height(), 4096, 1e-6);
  EXPECT_GE(camera.visible().width(), 4096 - 1e-6);
}

TEST(MapCamera, zooming_keeps_the_cell_under_the_pointer) {
  MapCamera camera = camera_of(4096);
  const QPointF pointer(310, 222);
  for (int i = 0; i < 12; ++i) {
    const QPointF before = camera.to_map(pointer);
    camera.zoom_at(pointer, 1.7);
    const QPointF after = camera.to_map(pointer);
    EXPECT_NEAR(before.x(), after.x(), 1e-6);
    EXPECT_NEAR(before.y(), after.y(), 1e-6);
  }
}

TEST(MapCamera, never_zooms_out_beyond_the_whole_map_nor_pans_off_it) {
  MapCamera camera = camera_of(1000);
  camera.zoom_at({100, 100}, 1e-9);
  EXPECT_NEAR(camera.zoom(), 0.6, 1e-9);
  camera.zoom_at({400, 300}, 10);
  camera.pan({1e6, 1e6});
  EXPECT_NEAR(camera.visible().left(), 0, 1e-9);
  camera.pan({-1e7, -1e7});
  EXPECT_NEAR(camera.visible().bottom(), 1000, 1e-6);
}

TEST(MapCamera, the_level_is_the_finest_whose_elements_fill_more_than_half_a_device_pixel) {
  MapCamera camera = camera_of(32768);  // 600 pixels for 32768 cells: 54 cells a pixel
  EXPECT_EQ(camera.level(), 5);
  EXPECT_EQ(camera.level(2.0), 4);
  camera.zoom_at({0, 0}, 1e9);
  EXPECT_EQ(camera.level(), 0);
}

TEST(MapCamera, resizing_keeps_a_fitted_map_fitted_and_another_one_where_it_was) {
  MapCamera camera = camera_of(500);
  camera.set_frame({400, 300});
  EXPECT_NEAR(camera.zoom(), 0.6, 1e-9);
  camera.zoom_at({200, 150}, 8);
  const QPointF centre = camera.to_map({200, 150});
  camera.set_frame({300, 200});
  EXPECT_NEAR(camera.to_map({150, 100}).x(), centre.x(), 1e-6);
}

TEST(MapCamera, can_be_told_where_to_look) {
  MapCamera camera = camera_of(32768);
  camera.look_at({12000, 20000}, 8.0);
  EXPECT_EQ(camera.zoom(), 8.0);
  EXPECT_NEAR(camera.to_map({400, 300}).x(), 12000, 1e-6);
  EXPECT_NEAR(camera.to_map({400, 300}).y(), 20000, 1e-6);
  camera.look_at({0, 0}, 0.0);
  EXPECT_NEAR(camera.visible().height(), 32768, 1e-6);
}

TEST(MapTicks, stand_at_round_positions_and_far_enough_apart) {
  for (const auto& [least, step] : std::vector<std::pair<double, int64_t>>{{0.3, 1},
                                                                           {1, 1},
                                                                           {1.5, 2},
                                                                           {3, 5},
                                                                           {7, 10},
                                                                           {10, 10},
                                                                           {11, 20},
                                                                           {130, 200},
                                                                           {999, 1000},
                                                                           {2100, 5000}})
    EXPECT_EQ(round_step(least), step) << least;
}

TEST(ShortNumbers, have_no_more_digits_than_they_deserve) {
  EXPECT_EQ(short_number(0), "0");
  EXPECT_EQ(short_number(0.9449), "0.94");
  EXPECT_EQ(short_number(0.0312), "0.031");
  EXPECT_EQ(short_number(-0.5), "-0.50");
  EXPECT_EQ(short_number(0.0000123), "1.2e-05");
}

}  // namespace
}  // namespace saccade
