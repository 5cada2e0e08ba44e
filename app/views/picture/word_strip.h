// WordStrip: the answer's words in a row, each with the picture as it was looked at for that word; all on one
// scale. A click selects the word. Only what is visible is drawn.
#pragma once

#include <QImage>
#include <QScrollArea>
#include <QWidget>

#include "app/views/picture/picture_scene.h"

namespace saccade {

// The picture small, with the place of its grid; shared by the strip and the gallery of heads.
struct SmallPicture {
  QImage image;
  QRectF grid;  // in pixels of the image; may reach over its border
  static SmallPicture of(const PictureScene& scene, QSize room);
  void paint(QPainter& painter, QPointF at, const QImage& colours, double alpha, bool smooth) const;
};

class WordStrip : public QWidget {
  Q_OBJECT
 public:
  WordStrip(Workbench& workbench, AttentionRows& rows, QWidget* parent = nullptr);
  void refresh(const PictureScene& scene);
  [[nodiscard]] int words() const { return static_cast<int>(maps_.size()); }
  [[nodiscard]] QRect cell(int word) const;
  [[nodiscard]] const PatchMap& map(int word) const { return maps_[static_cast<size_t>(word)]; }
  [[nodiscard]] const ColourScale& scale() const { return scale_; }

 protected:
  void paintEvent(QPaintEvent* event) override;
  void mousePressEvent(QMouseEvent* event) override;
  void keyPressEvent(QKeyEvent* event) override;
  bool event(QEvent* event) override;

 private:
  [[nodiscard]] QString text_of_word(int word) const;
  Workbench& workbench_;
  AttentionRows& rows_;
  SmallPicture small_;
  std::vector<PatchMap> maps_;
  ColourScale scale_;
};

// The strip in a scroll area of its height, which follows the selected word.
class WordStripArea : public QScrollArea {
  Q_OBJECT
 public:
  WordStripArea(Workbench& workbench, AttentionRows& rows, QWidget* parent = nullptr);
  void refresh(const PictureScene& scene);
  [[nodiscard]] WordStrip* strip() const { return strip_; }

 private:
  Workbench& workbench_;
  WordStrip* strip_ = nullptr;
};

}  // namespace saccade
