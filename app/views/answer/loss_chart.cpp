#include "app/views/answer/loss_chart.h"

#include <QHelpEvent>
#include <QMouseEvent>
#include <QPainter>
#include <QToolTip>
#include <algorithm>
#include <cmath>

namespace saccade {
namespace {

const QColor colour_a(38, 110, 214), colour_b(214, 96, 32);

}  // namespace

LossChart::LossChart(Workbench& workbench, QWidget* parent) : QWidget(parent), workbench_(workbench) {
  setMinimumHeight(110);
  setMouseTracking(true);
  setAccessibleName(tr("Loss per token"));
}

QRectF LossChart::plot() const { return QRectF(rect()).adjusted(34, 20, -8, -16); }

int LossChart::token_at(double x) const {
  const auto run = workbench_.run_a();
  if (!run || run->capture->loss.empty()) return -1;
  const auto n = static_cast<double>(run->capture->loss.size());
  const int at = static_cast<int>(std::lround((x - plot().left()) / plot().width() * std::max(1.0, n - 1)));
  return at < 0 || at >= static_cast<int>(n) ? -1 : at + 1;
}

void LossChart::paint_line(QPainter& painter, const std::vector<float>& loss, const QColor& colour,
                           Qt::PenStyle style, double top) const {
  QPolygonF points;
  const double step = plot().width() / std::max<double>(1.0, static_cast<double>(loss.size()) - 1);
  for (size_t i = 0; i < loss.size(); ++i)
    points << QPointF(plot().left() + step * static_cast<double>(i),
                      plot().bottom() - plot().height() * std::min<double>(loss[i], top) / top);
  painter.setPen(QPen(colour, 1.6, style));
  painter.drawPolyline(points);
}

void LossChart::paintEvent(QPaintEvent*) {
  QPainter painter(this);
  const auto a = workbench_.run_a(), b = workbench_.run_b();
  if (!a || a->capture->loss.empty()) return;
  painter.setRenderHint(QPainter::Antialiasing);
  double top = 1.0;
  for (const auto& run : {a, b})
    for (const float loss : run->capture->loss)
      if (std::isfinite(loss)) top = std::max(top, static_cast<double>(loss));
  top = std::ceil(top);
  painter.setPen(palette().color(QPalette::Mid));
  painter.drawLine(plot().bottomLeft(), plot().bottomRight());
  painter.drawLine(plot().bottomLeft(), plot().topLeft());
  painter.setPen(palette().color(QPalette::WindowText));
  painter.drawText(QRectF(0, plot().top() - 8, 30, 16), Qt::AlignRight, QString::number(top));
  painter.drawText(QRectF(0, plot().bottom() - 8, 30, 16), Qt::AlignRight, QStringLiteral("0"));
  painter.drawText(QRectF(4, 0, width() - 8, 18), Qt::AlignLeft, tr("loss per token, nats"));
  painter.drawText(QRectF(plot().left(), plot().bottom() + 1, plot().width(), 16), Qt::AlignRight,
                   tr("position %1").arg(a->capture->loss.size()));
  paint_line(painter, a->capture->loss, colour_a, Qt::SolidLine, top);
  if (workbench_.edited()) {
    paint_line(painter, b->capture->loss, colour_b, Qt::DashLine, top);
    painter.setPen(colour_a);
    painter.drawText(QRectF(0, 0, width() - 46, 18), Qt::AlignRight, tr("— A"));
    painter.setPen(colour_b);
    painter.drawText(QRectF(0, 0, width() - 8, 18), Qt::AlignRight, tr("- - B"));
  }
  if (const int query = workbench_.selection().query;
      query > 0 && query <= static_cast<int>(a->capture->loss.size())) {
    const double x =
        plot().left() + plot().width() * (query - 1) /
                            std::max<double>(1.0, static_cast<double>(a->capture->loss.size()) - 1);
    painter.setPen(QPen(QColor(255, 140, 0), 1));
    painter.drawLine(QPointF(x, plot().top()), QPointF(x, plot().bottom()));
  }
}

void LossChart::mousePressEvent(QMouseEvent* event) {
  if (const int token = token_at(event->position().x()); token >= 0)
    workbench_.select_tokens(token, workbench_.selection().key);
}

bool LossChart::event(QEvent* event) {
  if (event->type() == QEvent::ToolTip) {
    const auto* help = static_cast<QHelpEvent*>(event);
    const auto a = workbench_.run_a(), b = workbench_.run_b();
    if (const int token = token_at(help->pos().x()); token > 0) {
      const auto at = static_cast<size_t>(token - 1);
      QString text =
          tr("%1 “%2”: A %3 nats")
              .arg(token)
              .arg(QString::fromStdString(display_text(a->capture->tokens[static_cast<size_t>(token)])))
              .arg(a->capture->loss[at], 0, 'f', 3);
      if (workbench_.edited() && at < b->capture->loss.size())
        text += tr(", B %1 nats").arg(b->capture->loss[at], 0, 'f', 3);
      QToolTip::showText(help->globalPos(), text, this);
    }
    return true;
  }
  return QWidget::event(event);
}

}  // namespace saccade
