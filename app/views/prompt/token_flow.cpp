#include "app/views/prompt/token_flow.h"

#include <QHelpEvent>
#include <QMouseEvent>
#include <QPainter>
#include <QToolTip>
#include <algorithm>

namespace saccade {
namespace {

constexpr int line = 24, space = 3, margin = 4;
constexpr float strong_surprise = 8.0f;  // nats at which the tint is full

}  // namespace

TokenFlow::TokenFlow(Workbench& workbench, QWidget* parent) : QWidget(parent), workbench_(workbench) {
  setMouseTracking(true);
  setAccessibleName(tr("Tokens"));
  QSizePolicy policy(QSizePolicy::Preferred, QSizePolicy::Minimum);
  policy.setHeightForWidth(true);
  setSizePolicy(policy);
}

const ImageRegion* TokenFlow::picture_of(size_t token) const {
  const auto run = workbench_.run_a();
  if (!run) return nullptr;
  for (const ImageRegion& region : run->capture->images)
    if (static_cast<int64_t>(token) >= region.first_patch() && static_cast<int64_t>(token) < region.end())
      return &region;
  return nullptr;
}

QString TokenFlow::text_of(size_t token) const {
  if (const ImageRegion* picture = picture_of(token))
    return tr("%1: %2 × %3 patches")
        .arg(QString::fromStdString(picture->name))
        .arg(picture->grid_height)
        .arg(picture->grid_width);
  return QString::fromStdString(display_text(workbench_.run_a()->capture->tokens[token], true, 24));
}

int TokenFlow::arrange(int width, std::vector<QRect>* chips) const {
  const auto run = workbench_.run_a();
  if (!run) return 3 * line;
  const QFontMetrics metrics(font());
  int x = margin, y = margin;
  for (size_t i = 0; i < run->capture->tokens.size(); ++i) {
    const ImageRegion* picture = picture_of(i);
    if (picture && static_cast<int64_t>(i) > picture->first_patch()) {  // one chip for all of them
      if (chips) chips->push_back(chips->back());
      continue;
    }
    const int wide = std::min(metrics.horizontalAdvance(text_of(i)) + 10, std::max(40, width - 2 * margin));
    if (x + wide > width - margin && x > margin) {
      x = margin;
      y += line + space;
    }
    if (chips) chips->push_back({x, y, wide, line});
    x += wide + space;
  }
  return y + line + margin;
}

int TokenFlow::heightForWidth(int width) const { return arrange(width, nullptr); }

void TokenFlow::refresh() {
  chips_.clear();
  setMinimumHeight(arrange(width(), &chips_));
  update();
}

void TokenFlow::resizeEvent(QResizeEvent* event) {
  QWidget::resizeEvent(event);
  refresh();
}

std::optional<float> TokenFlow::surprise(size_t token) const {
  const auto run = workbench_.run_a();
  if (!run || token == 0 || token > run->capture->loss.size()) return std::nullopt;
  return run->capture->loss[token - 1];
}

void TokenFlow::paintEvent(QPaintEvent*) {
  QPainter painter(this);
  painter.setRenderHint(QPainter::Antialiasing);
  const auto run = workbench_.run_a();
  if (!run) {
    painter.setPen(palette().color(QPalette::PlaceholderText));
    painter.drawText(rect(), Qt::AlignCenter | Qt::TextWordWrap,
                     tr("The tokens that really go in will be here."));
    return;
  }
  const bool dark = palette().color(QPalette::Base).lightness() < 128;
  for (size_t i = 0; i < chips_.size() && i < run->capture->tokens.size(); ++i) {
    const Token& token = run->capture->tokens[i];
    const ImageRegion* picture = picture_of(i);
    if (picture && static_cast<int64_t>(i) > picture->first_patch()) continue;
    QColor fill = palette().color(QPalette::AlternateBase);
    if (const auto loss = surprise(i); loss && !picture) {
      const QColor tint = dark ? QColor(196, 98, 16) : QColor(255, 163, 77);
      const float t = std::clamp(*loss / strong_surprise, 0.0f, 1.0f);
      fill = QColor::fromRgbF(fill.redF() + t * (tint.redF() - fill.redF()),
                              fill.greenF() + t * (tint.greenF() - fill.greenF()),
                              fill.blueF() + t * (tint.blueF() - fill.blueF()));
    }
    const auto here = [&](int position) {
      return picture ? position >= picture->first_patch() && position < picture->end()
                     : static_cast<int>(i) == position;
    };
    const bool query = here(workbench_.selection().query), key = here(workbench_.selection().key);
    painter.setBrush(fill);
    painter.setPen(query ? QPen(palette().color(QPalette::Highlight), 2)
                   : key ? QPen(QColor(255, 140, 0), 2, Qt::DashLine)
                         : QPen(Qt::NoPen));
    painter.drawRoundedRect(QRectF(chips_[i]).adjusted(1, 1, -1, -1), 4, 4);
    QFont face = font();
    face.setItalic(token.special);
    painter.setFont(face);
    painter.setPen(palette().color(QPalette::WindowText));
    painter.drawText(chips_[i], Qt::AlignCenter,
                     painter.fontMetrics().elidedText(text_of(i), Qt::ElideMiddle, chips_[i].width() - 6));
  }
}

int TokenFlow::at(QPoint position) const {
  for (size_t i = 0; i < chips_.size(); ++i)
    if (chips_[i].contains(position)) return static_cast<int>(i);
  return -1;
}

void TokenFlow::mousePressEvent(QMouseEvent* event) {
  const int token = at(event->pos());
  const Selection& now = workbench_.selection();
  if (token >= 0 && picture_of(static_cast<size_t>(token))) return;  // its patches are clicked in the picture
  workbench_.select_tokens(token == now.query ? -1 : token, now.key);
}

bool TokenFlow::event(QEvent* event) {
  if (event->type() == QEvent::ToolTip) {
    const auto* help = static_cast<QHelpEvent*>(event);
    const int token = at(help->pos());
    const auto run = workbench_.run_a();
    if (token < 0 || !run) {
      QToolTip::hideText();
    } else if (const ImageRegion* picture = picture_of(static_cast<size_t>(token))) {
      QToolTip::showText(help->globalPos(),
                         tr("%1: positions %2 to %3, the patches row by row; click one in the picture")
                             .arg(QString::fromStdString(picture->name))
                             .arg(picture->first_patch())
                             .arg(picture->end() - 1),
                         this);
    } else {
      const Token& t = run->capture->tokens[static_cast<size_t>(token)];
      QString text =
          tr("position %1, id %2: “%3”").arg(token).arg(t.id).arg(QString::fromStdString(display_text(t)));
      if (const auto loss = surprise(static_cast<size_t>(token)))
        text += tr("\nsurprise %1 nats").arg(*loss, 0, 'f', 3);
      QToolTip::showText(help->globalPos(), text, this);
    }
    return true;
  }
  return QWidget::event(event);
}

}  // namespace saccade
