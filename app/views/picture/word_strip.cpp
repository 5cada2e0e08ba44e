#include "app/views/picture/word_strip.h"

#include <QHelpEvent>
#include <QKeyEvent>
#include <QMouseEvent>
#include <QPainter>
#include <QScrollBar>
#include <QToolTip>
#include <algorithm>

#include "app/views/head_map/map_overlay.h"
#include "app/views/picture/picture_canvas.h"

namespace saccade {
namespace {

constexpr int cell_width = 78, picture_height = 60, text_height = 18, gap = 4;
constexpr size_t most_words = 512;  // an answer longer than that has the first so many

}  // namespace

SmallPicture SmallPicture::of(const PictureScene& scene, QSize room) {
  SmallPicture small;
  const ImageGeometry& g = scene.map.region.geometry;
  const QSizeF size = scene.pixels ? QSizeF(scene.pixels->width, scene.pixels->height)
                                   : QSizeF(std::max(1, g.original_width), std::max(1, g.original_height));
  const double zoom = std::min(room.width() / size.width(), room.height() / size.height());
  const QSize pixels = (size * zoom).toSize().expandedTo(QSize(1, 1));
  if (scene.pixels) {
    small.image = image_of(*scene.pixels).scaled(pixels, Qt::IgnoreAspectRatio, Qt::SmoothTransformation);
  } else {
    small.image = QImage(pixels, QImage::Format_RGB32);
    small.image.fill(QColor(196, 196, 196));
  }
  if (scene.map.region.grid_width > 0) {
    const PatchRect grid = grid_rect(scene.map.region);
    small.grid = QRectF(grid.x * zoom, grid.y * zoom, grid.width * zoom, grid.height * zoom);
  }
  return small;
}

void SmallPicture::paint(QPainter& painter, QPointF at, const QImage& colours, double alpha,
                         bool smooth) const {
  painter.drawImage(at, image);
  if (colours.isNull()) return;
  painter.save();
  painter.setClipRect(QRectF(at, image.size()), Qt::IntersectClip);
  painter.setOpacity(alpha);
  painter.setRenderHint(QPainter::SmoothPixmapTransform, smooth);
  painter.drawImage(grid.translated(at), colours);
  painter.restore();
}

WordStrip::WordStrip(Workbench& workbench, AttentionRows& rows, QWidget* parent)
    : QWidget(parent), workbench_(workbench), rows_(rows) {
  setObjectName("word_strip");
  setAccessibleName(tr("Where each word of the answer looked"));
  setFocusPolicy(Qt::StrongFocus);
}

void WordStrip::refresh(const PictureScene& scene) {
  const GeneratedText& text = workbench_.text_shown();
  maps_.clear();
  if (text.run && scene.there && scene.map.region.grid_width > 0) {
    const std::vector<HeadId> heads = heads_shown(workbench_);
    double largest = 0.0;
    bool difference = false;
    for (size_t word = 0; word < std::min(most_words, text.tokens.size()); ++word) {
      const LookedFrom from = looked_from_word(workbench_, static_cast<int>(word));
      maps_.push_back({scene.map.region, {}});
      if (cannot_be_compared(workbench_, from)) continue;  // the picture alone
      maps_.back().values = patches_of(rows_, from, heads, scene.map.region);
      difference = difference || from.other;
      largest = std::max<double>(largest, maps_.back().furthest());
    }
    scale_ = overlay_scale(workbench_.picture_look(), difference, largest);
    small_ = SmallPicture::of(scene, {cell_width - 6, picture_height});
  }
  setFixedSize(std::max(1, words() * (cell_width + gap) + 2), picture_height + text_height + 6);
  update();
}

QRect WordStrip::cell(int word) const {
  return {1 + word * (cell_width + gap), 1, cell_width, picture_height + text_height + 4};
}

QString WordStrip::text_of_word(int word) const {
  const GeneratedText& text = workbench_.text_shown();
  return word < static_cast<int>(text.tokens.size())
             ? QString::fromStdString(display_text(text.tokens[static_cast<size_t>(word)], false, 24))
             : QString();
}

void WordStrip::paintEvent(QPaintEvent* event) {
  QPainter painter(this);
  const PictureLook& look = workbench_.picture_look();
  const QFontMetrics metrics(font());
  const int first = std::max(0, event->rect().left() / (cell_width + gap) - 1),
            last = std::min(words() - 1, event->rect().right() / (cell_width + gap) + 1);
  for (int word = first; word <= last; ++word) {
    const QRect area = cell(word);
    const PatchMap& map = maps_[static_cast<size_t>(word)];
    const QPointF at(area.center().x() - small_.image.width() / 2.0,
                     area.top() + 2 + (picture_height - small_.image.height()) / 2.0);
    small_.paint(painter, at, colours_of(map, scale_, false), look.alpha, look.smooth);
    const bool selected = word == workbench_.selection().word;
    if (selected) {
      painter.setBrush(Qt::NoBrush);
      painter.setPen(QPen(palette().color(QPalette::Highlight), 2.5));
      painter.drawRect(area.adjusted(1, 1, -1, -1));
    }
    QFont face = font();
    face.setBold(selected);
    painter.setFont(face);
    painter.setPen(palette().color(QPalette::WindowText));
    painter.drawText(QRect(area.left(), area.bottom() - text_height, area.width(), text_height),
                     Qt::AlignCenter,
                     metrics.elidedText(text_of_word(word).trimmed(), Qt::ElideRight, cell_width - 4));
  }
}

void WordStrip::mousePressEvent(QMouseEvent* event) {
  setFocus();
  for (int word = 0; word < words(); ++word)
    if (cell(word).contains(event->pos()))
      return workbench_.select_word(word == workbench_.selection().word ? -1 : word);
}

void WordStrip::keyPressEvent(QKeyEvent* event) {
  const int step = event->key() == Qt::Key_Right ? 1 : event->key() == Qt::Key_Left ? -1 : 0;
  if (step == 0 || words() == 0) return QWidget::keyPressEvent(event);
  workbench_.select_word(std::clamp(workbench_.selection().word + step, 0, words() - 1));
}

bool WordStrip::event(QEvent* event) {
  if (event->type() != QEvent::ToolTip) return QWidget::event(event);
  const auto* help = static_cast<QHelpEvent*>(event);
  QToolTip::hideText();
  for (int word = 0; word < words(); ++word)
    if (cell(word).contains(help->pos())) {
      const PatchMap& map = maps_[static_cast<size_t>(word)];
      if (map.empty()) {
        QToolTip::showText(help->globalPos(), tr("A's answer had other words before this one: no B − A"),
                           this);
        return true;
      }
      QToolTip::showText(help->globalPos(),
                         tr("word %1 “%2”: %3 of its attention is on the picture, at most %4 on a patch\n"
                            "(all words on one scale, 0 to %5)")
                             .arg(word + 1)
                             .arg(text_of_word(word), short_number(map.sum()), short_number(map.largest()),
                                  short_number(scale_.high)),
                         this);
    }
  return true;
}

WordStripArea::WordStripArea(Workbench& workbench, AttentionRows& rows, QWidget* parent)
    : QScrollArea(parent), workbench_(workbench) {
  strip_ = new WordStrip(workbench, rows, this);
  setWidget(strip_);
  setFrameShape(QFrame::NoFrame);
  setVerticalScrollBarPolicy(Qt::ScrollBarAlwaysOff);
  hide();
}

void WordStripArea::refresh(const PictureScene& scene) {
  strip_->refresh(scene);
  setVisible(strip_->words() > 0);
  if (strip_->words() == 0) return;
  setFixedHeight(strip_->height() + horizontalScrollBar()->sizeHint().height() + 2);
  if (const int word = workbench_.selection().word; word >= 0 && word < strip_->words())
    ensureVisible(strip_->cell(word).center().x(), 0, cell_width, 0);
}

}  // namespace saccade
