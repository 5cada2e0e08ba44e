// PictureCanvas: the original picture, fitted, zoomed and panned, with a map laid exactly on its patches, the
// scale drawn beside it, and scanpaths on top. Drawn with QPainter: it needs no OpenGL.
#pragma once

#include <QImage>
#include <QWidget>
#include <optional>

#include "app/views/picture/picture_scene.h"
#include "app/views/picture/scanpath_player.h"

namespace saccade {

[[nodiscard]] QImage image_of(const Picture& picture);  // a copy
// The colours of a map, one element per patch (or several, smooth); opaque, transparent where not a number.
[[nodiscard]] QImage colours_of(const PatchMap& map, const ColourScale& scale, bool smooth);

class PictureCanvas : public QWidget {
  Q_OBJECT
 public:
  explicit PictureCanvas(QWidget* parent = nullptr);

  void show_scene(const PictureScene& scene, const PictureLook& look);
  // With `beside` the picture is drawn twice: the first so many paths are over the left one, the others over
  // the right one. Zoom and place are the same in both.
  void show_paths(const std::vector<TimedPath>& paths, double time_ms, std::optional<size_t> beside = {});
  // A drag makes a region instead of moving the picture; with Shift held it does so in any case.
  void set_drawing(bool on);
  [[nodiscard]] int panels() const { return beside_ ? 2 : 1; }
  [[nodiscard]] const PictureScene& scene() const { return scene_; }
  [[nodiscard]] std::optional<int64_t> patch_under(QPointF at) const;
  // From pixels of the original picture to this widget's.
  [[nodiscard]] QPointF place_of(double x, double y, int panel = 0) const;
  [[nodiscard]] QRectF rectangle_of(int64_t patch, int panel = 0) const;
  [[nodiscard]] int64_t hovered() const { return hovered_; }  // -1 = none
  [[nodiscard]] double zoom() const { return zoom_; }
  void fit();

 Q_SIGNALS:
  void patch_hovered(qint64 patch);  // -1 = none
  void patch_clicked(qint64 patch);
  void stepped(int dx, int dy);   // arrow keys: to the patch beside
  void region_drawn(QRectF box);  // in pixels of the picture

 protected:
  void paintEvent(QPaintEvent* event) override;
  void resizeEvent(QResizeEvent* event) override;
  void wheelEvent(QWheelEvent* event) override;
  void mousePressEvent(QMouseEvent* event) override;
  void mouseMoveEvent(QMouseEvent* event) override;
  void mouseReleaseEvent(QMouseEvent* event) override;
  void mouseDoubleClickEvent(QMouseEvent* event) override;
  void leaveEvent(QEvent* event) override;
  void keyPressEvent(QKeyEvent* event) override;

 private:
  [[nodiscard]] QRectF frame(int panel = 0) const;
  [[nodiscard]] int panel_at(QPointF at) const;
  [[nodiscard]] QPointF pixel_at(QPointF at) const;  // of the picture, under a place of this widget
  [[nodiscard]] QSizeF picture_size() const;
  [[nodiscard]] double fit_zoom() const;
  void keep_in_view();
  void hover(int64_t patch);
  void paint_panel(QPainter& painter, int panel);
  void paint_picture(QPainter& painter, int panel);
  void paint_regions(QPainter& painter, int panel) const;
  void paint_outlines(QPainter& painter, int panel) const;
  void paint_path(QPainter& painter, size_t path, int panel) const;
  void paint_name(QPainter& painter, int panel) const;
  void paint_scale(QPainter& painter) const;

  PictureScene scene_;
  QImage picture_, shrunk_, colours_;
  double alpha_ = 0.6;
  bool smooth_ = false;
  double zoom_ = 1.0, shrunk_zoom_ = 0.0;  // widget pixels per pixel of the picture
  QPointF origin_;                         // the picture's pixel at the frame's corner
  bool fitted_ = true, moved_ = false;
  QPointF pressed_, dragged_;
  int64_t hovered_ = -1;
  std::vector<LookRegion> regions_;  // of this picture
  bool drawing_ = false;
  std::optional<QRectF> drawn_;  // so far, in pixels of the picture
  std::vector<TimedPath> paths_;
  std::optional<size_t> beside_;
  double time_ms_ = 0.0;
};

// A colour bar with its numbers at the right; `title` over it.
void paint_colour_bar(QPainter& painter, const QRectF& bar, const ColourScale& scale, const QString& title,
                      const QPalette& palette);

}  // namespace saccade
