// MapCanvas: the OpenGL picture of one head's map and its Dear ImGui HUD.
#pragma once

#include <QElapsedTimer>
#include <QOpenGLWidget>
#include <QTimer>
#include <atomic>
#include <memory>
#include <optional>

#include "app/shell/workbench.h"
#include "app/viewport/imgui_layer.h"
#include "app/views/head_map/brush_meter.h"
#include "app/views/head_map/map_camera.h"
#include "app/views/head_map/map_renderer.h"
#include "app/views/head_map/tile_cache.h"
#include "app/views/head_map/tile_wish.h"
#include "core/capture/attention_map.h"

namespace saccade {

class MapCanvas : public QOpenGLWidget {
  Q_OBJECT
 public:
  explicit MapCanvas(Workbench& workbench, QWidget* parent = nullptr);
  ~MapCanvas() override;

  // Looks at the workbench again: which map, which selection, which scale.
  void refresh();
  [[nodiscard]] const QString& failure() const { return failure_; }
  [[nodiscard]] bool complete() const { return cache_->pending() == 0; }
  // Something is drawn everywhere, be it sampled.
  [[nodiscard]] bool has_picture() const { return has_picture_; }
  // As of the last frame: the share of what is seen that was drawn exactly, and whether some was sampled.
  [[nodiscard]] double exact() const { return exact_; }
  [[nodiscard]] bool sampled() const { return sampled_; }
  // Milliseconds from the beginning of the last frame until it was on screen.
  [[nodiscard]] double last_frame_ms() const { return frame_ms_; }
  [[nodiscard]] const MapCamera& camera() const { return camera_; }
  // Puts a cell (x = key, y = query) in the middle of the picture.
  void look_at(QPointF cell, double pixels_per_cell);
  // Whether the tile that holds a cell is there exactly, at the level of detail that is shown.
  [[nodiscard]] bool exact_at(QPointF cell) const;

 Q_SIGNALS:
  void gl_failed(const QString& reason);

 protected:
  void initializeGL() override;
  void paintGL() override;
  void resizeEvent(QResizeEvent* event) override;
  bool event(QEvent* event) override;
  void wheelEvent(QWheelEvent* event) override;
  void mousePressEvent(QMouseEvent* event) override;
  void mouseMoveEvent(QMouseEvent* event) override;
  void mouseReleaseEvent(QMouseEvent* event) override;
  void mouseDoubleClickEvent(QMouseEvent* event) override;
  void keyPressEvent(QKeyEvent* event) override;

 private:
  struct Cell {
    int64_t query = -1, key = -1;
    bool operator==(const Cell&) const = default;
  };
  void choose_maps();
  void request_tiles();
  void show_progress();
  void paint_tiles();
  void paint_overlay();
  void paint_hud();
  void hud_controls();
  void hud_pointer();
  void hud_detail();
  [[nodiscard]] std::optional<Cell> cell_at(QPointF position) const;
  [[nodiscard]] std::optional<float> known_value(int64_t query, int64_t key) const;
  [[nodiscard]] QRectF frame() const;
  void measure_brush();

  Workbench& workbench_;
  std::unique_ptr<MapRenderer> renderer_;
  ImGuiLayer imgui_;
  MapCamera camera_;
  std::optional<AttentionMap> map_, other_;  // B - A: map_ is B, other_ is A
  const Capture* shown_ = nullptr;
  std::shared_ptr<const std::vector<float>> sink_mass_;
  ColourScale scale_;  // as drawn: with the range of this view
  QString failure_;
  std::optional<Cell> pointer_;
  float pointer_weight_ = 0.0f, pointer_score_ = 0.0f;
  QPointF pressed_, dragged_;
  bool panning_ = false, moved_ = false;
  std::optional<QRectF> brush_;
  QPointF brush_from_;
  TileWish wish_;
  double exact_ = 1.0;
  bool sampled_ = false, has_picture_ = false;
  QElapsedTimer frame_clock_, since_frame_;
  QTimer later_;
  bool painting_ = false;
  double frame_ms_ = 0.0;
  std::atomic<bool> repaint_posted_ = false;
  std::unique_ptr<TileCache> cache_;
  std::unique_ptr<BrushMeter> meter_;
};

}  // namespace saccade
