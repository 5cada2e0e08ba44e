// FieldCanvas: a slice of a field: two axes as a heatmap, one as a curve. Axes are labelled, the scale is
// drawn, hovering gives the exact number; a click on a head or on a query and key selects them.
#pragma once

#include <QWidget>

#include "analysis/field_slice.h"
#include "app/shell/workbench.h"

namespace saccade {

class FieldCanvas : public QWidget {
  Q_OBJECT
 public:
  explicit FieldCanvas(Workbench& workbench, QWidget* parent = nullptr);
  void show_slice(const Field& field, const FieldSlice& slice);
  [[nodiscard]] QString describe(QPoint at) const;  // what is under the pointer; empty = nothing
  [[nodiscard]] QRectF cell(int64_t row, int64_t column) const;
  [[nodiscard]] QImage picture();

 protected:
  void paintEvent(QPaintEvent* event) override;
  void resizeEvent(QResizeEvent* event) override;
  void mouseMoveEvent(QMouseEvent* event) override;
  void mousePressEvent(QMouseEvent* event) override;

 private:
  void arrange();
  void paint_heat(QPainter& painter) const;
  void paint_labels(QPainter& painter) const;
  void paint_numbers(QPainter& painter) const;
  void paint_scale(QPainter& painter) const;
  void paint_curve(QPainter& painter) const;
  void paint_selection(QPainter& painter) const;
  [[nodiscard]] double y_of(double value) const;  // of the curve
  [[nodiscard]] bool place_of(QPoint at, int64_t& row, int64_t& column) const;

  Workbench& workbench_;
  Field field_;
  FieldSlice slice_;
  ColourScale scale_;
  QRectF plot_;
  bool upward_ = false;        // column labels are turned
  double low_ = 0, high_ = 1;  // of the curve
};

}  // namespace saccade
