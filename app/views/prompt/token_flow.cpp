#include "app/views/prompt/token_flow.h"

#include <QHelpEvent>
#include <QMouseEvent>
#include <QPainter>
#include <QToolTip>

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

int TokenFlow::arrange(int width, std::vector<QRect>* chips) const {
  const auto run = workbench_.run_a();
  if (!run) return 3 * line;
  const QFontMetrics metrics(font());
  int x = margin, y = margin;
  for (const Token& token : run->capture->tokens) {
    const int wide = metrics.horizontalAdvance(QString::fromStdString(display_text(token, true, 24))) + 10;
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
    QColor fill = palette().color(QPalette::AlternateBase);
    if (const auto loss = surprise(i)) {
      const QColor tint = dark ? QColor(196, 98, 16) : QColor(255, 163, 77);
      const float t = std::clamp(*loss / strong_surprise, 0.0f, 1.0f);
      fill = QColor::fromRgbF(fill.redF() + t * (tint.redF() - fill.redF()),
                              fill.greenF() + t * (tint.greenF() - fill.greenF()),
                              fill.blueF() + t * (tint.blueF() - fill.blueF()));
    }
    const bool query = static_cast<int>(i) == workbench_.selection().query,
               key = static_cast<int>(i) == workbench_.selection().key;
    painter.setBrush(fill);
    painter.setPen(query ? QPen(palette().color(QPalette::Highlight), 2)
                   : key ? QPen(QColor(255, 140, 0), 2, Qt::DashLine)
                         : QPen(Qt::NoPen));
    painter.drawRoundedRect(QRectF(chips_[i]).adjusted(1, 1, -1, -1), 4, 4);
    QFont face = font();
    face.setItalic(token.special);
    painter.setFont(face);
    painter.setPen(palette().color(QPalette::WindowText));
    painter.drawText(chips_[i], Qt::AlignCenter, QString::fromStdString(display_text(token, true, 24)));
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
  workbench_.select_tokens(token == now.query ? -1 : token, now.key);
}

bool TokenFlow::event(QEvent* event) {
  if (event->type() == QEvent::ToolTip) {
    const auto* help = static_cast<QHelpEvent*>(event);
    const int token = at(help->pos());
    const auto run = workbench_.run_a();
    if (token < 0 || !run) {
      QToolTip::hideText();
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
