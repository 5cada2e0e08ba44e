// ArcsView: who looks at whom, as lines between two columns of tokens: left = query, right = key.
#pragma once

#include <QScrollArea>
#include <QSlider>
#include <vector>

#include "app/views/view.h"
#include "core/capture/attention_map.h"

namespace saccade {

class ArcsCanvas;

class ArcsView : public View {
  Q_OBJECT
 public:
  explicit ArcsView(Workbench& workbench, QWidget* parent = nullptr);

 protected:
  void refresh() override;

 private:
  ArcsCanvas* canvas_ = nullptr;
  QSlider* threshold_ = nullptr;
};

class ArcsCanvas : public QWidget {
  Q_OBJECT
 public:
  explicit ArcsCanvas(Workbench& workbench, QWidget* parent = nullptr);
  void refresh();
  void set_threshold(double threshold);

 protected:
  void paintEvent(QPaintEvent* event) override;
  void mouseMoveEvent(QMouseEvent* event) override;
  void mousePressEvent(QMouseEvent* event) override;
  void mouseDoubleClickEvent(QMouseEvent* event) override;
  void leaveEvent(QEvent* event) override;

 private:
  struct Drawn {
    HeadId head;
    std::vector<float> weights;  // [query, key] of the window of tokens
  };
  [[nodiscard]] int token_at(double y) const;
  [[nodiscard]] double y_of(int token) const;
  [[nodiscard]] int chip_at(QPoint position) const;
  void paint_chips(QPainter& painter) const;
  void paint_edges(QPainter& painter, const Drawn& drawn, const QColor& colour) const;
  void paint_tokens(QPainter& painter) const;

  Workbench& workbench_;
  std::shared_ptr<const Capture> capture_;
  std::vector<Drawn> drawn_;
  std::vector<HeadId> restore_;  // before a head was isolated
  int first_ = 0, count_ = 0;    // the tokens shown
  int hovered_ = -1;
  double threshold_ = 0.05;
};

}  // namespace saccade
