// HeadGridView: every head at a glance, layers down, heads across: a thumbnail of its map, or a score's
// colour; all on one scale, which is drawn.
#pragma once

#include <QComboBox>
#include <QLineEdit>
#include <QScrollArea>
#include <memory>

#include "app/views/head_grid/thumbnails.h"
#include "app/views/picture/head_gallery.h"
#include "app/views/view.h"

namespace saccade {

class HeadGridCanvas;

class HeadGridView : public View {
  Q_OBJECT
 public:
  explicit HeadGridView(Workbench& workbench, QWidget* parent = nullptr);
  ~HeadGridView() override;

  [[nodiscard]] bool complete() const;  // every thumbnail is there
  // Where a head is drawn, in this widget's coordinates; empty when it is filtered out. For tests and tours.
  [[nodiscard]] QRect rectangle_of(HeadId head) const;
  [[nodiscard]] HeadGridCanvas* canvas() const { return canvas_; }

 protected:
  void refresh() override;
  void resizeEvent(QResizeEvent* event) override;

 private:
  void fill_scores();
  std::unique_ptr<Thumbnails> thumbnails_;
  QComboBox* score_ = nullptr;
  QComboBox* order_ = nullptr;
  QLineEdit* filter_ = nullptr;
  QScrollArea* scroll_ = nullptr;
  HeadGridCanvas* canvas_ = nullptr;
};

// The picture itself.
class HeadGridCanvas : public QWidget {
  Q_OBJECT
 public:
  HeadGridCanvas(Workbench& workbench, const Thumbnails& thumbnails, QWidget* parent);

  void set_order(bool by_score) { by_score_ = by_score, arrange(); }
  void set_filter(const QString& filter) { filter_ = filter.trimmed(), arrange(); }
  void refresh();
  void fit(const QSize& viewport);
  [[nodiscard]] QRect rectangle_of(HeadId head) const;
  [[nodiscard]] const HeadGallery& gallery() const { return gallery_; }
  // Nothing is left to be made of what is drawn.
  [[nodiscard]] bool complete() const { return !gallery_.shown() || !gallery_.wants_more(); }

 protected:
  void paintEvent(QPaintEvent* event) override;
  void mousePressEvent(QMouseEvent* event) override;
  void mouseMoveEvent(QMouseEvent* event) override;
  void mouseReleaseEvent(QMouseEvent* event) override;
  void keyPressEvent(QKeyEvent* event) override;
  bool event(QEvent* event) override;

 private:
  void arrange();
  void paint_head(QPainter& painter, HeadId head, const QRect& cell);
  void paint_scale(QPainter& painter);
  [[nodiscard]] QImage image_of(const Tile& tile) const;
  [[nodiscard]] std::optional<HeadId> head_at(QPoint position) const;
  [[nodiscard]] const HeadColumn* score() const;
  [[nodiscard]] ColourScale scale_shown() const;  // of the score, or of the thumbnails
  [[nodiscard]] bool is_zeroed(HeadId head) const;
  [[nodiscard]] bool is_edited(HeadId head) const;
  [[nodiscard]] QString describe(HeadId head) const;

  Workbench& workbench_;
  const Thumbnails& thumbnails_;
  HeadGallery gallery_;
  std::vector<HeadId> heads_;  // in the order drawn
  bool by_score_ = false;
  QString filter_;
  QSize viewport_;
  int cell_ = 64, columns_ = 1;
  QPoint pressed_;
  QRect rubber_;
};

}  // namespace saccade
