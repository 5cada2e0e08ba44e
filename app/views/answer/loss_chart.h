// LossChart: the loss of every position, A and B; a click selects that token as the query.
#pragma once

#include <QWidget>

#include "app/shell/workbench.h"

namespace saccade {

class LossChart : public QWidget {
  Q_OBJECT
 public:
  explicit LossChart(Workbench& workbench, QWidget* parent = nullptr);

 protected:
  void paintEvent(QPaintEvent* event) override;
  void mousePressEvent(QMouseEvent* event) override;
  bool event(QEvent* event) override;

 private:
  [[nodiscard]] QRectF plot() const;
  [[nodiscard]] int token_at(double x) const;
  void paint_line(QPainter& painter, const std::vector<float>& loss, const QColor& colour, Qt::PenStyle style,
                  double top) const;
  Workbench& workbench_;
};

}  // namespace saccade
