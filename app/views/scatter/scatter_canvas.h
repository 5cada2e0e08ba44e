// The points of a scatter plot over heads, with axes.
#pragma once

#include <QWidget>
#include <optional>

#include "analysis/head_columns.h"
#include "app/shell/workbench.h"

namespace saccade {

class ScatterCanvas : public QWidget {
  Q_OBJECT
 public:
  explicit ScatterCanvas(Workbench& workbench, QWidget* parent = nullptr);
  void show_columns(const HeadColumn* x, const HeadColumn* y);  // null: nothing to show
  [[nodiscard]] std::optional<QPointF> place_of(HeadId head) const;
  [[nodiscard]] std::optional<HeadId> head_at(QPointF at) const;  // the nearest within reach

 protected:
  void paintEvent(QPaintEvent* event) override;
  void mousePressEvent(QMouseEvent* event) override;
  void mouseMoveEvent(QMouseEvent* event) override;
  void mouseReleaseEvent(QMouseEvent* event) override;
  void leaveEvent(QEvent* event) override;

 private:
  struct Range {
    double low = 0.0, high = 1.0;
  };
  [[nodiscard]] static Range range_of(const HeadColumn& column);
  [[nodiscard]] QRectF plot() const;
  [[nodiscard]] std::vector<HeadId> heads() const;
  void paint_axes(QPainter& painter) const;
  void paint_axis_ticks(QPainter& painter, bool across) const;
  void paint_points(QPainter& painter) const;
  void paint_names(QPainter& painter) const;

  Workbench& workbench_;
  HeadColumn x_, y_;
  bool shown_ = false;
  Range x_range_, y_range_;
  std::optional<HeadId> hovered_;
  QPoint pressed_;
  QRect rubber_;
};

}  // namespace saccade
