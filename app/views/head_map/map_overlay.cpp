#include "app/views/head_map/map_overlay.h"

#include <QLinearGradient>

namespace saccade {

QString short_number(double value) {
  const double size = std::abs(value);
  if (size == 0.0) return QStringLiteral("0");
  if (size < 0.001) return QString::number(value, 'e', 1);
  return QString::number(value, 'f', size < 0.1 ? 3 : 2);
}

int64_t round_step(double least) {
  int64_t power = 1;
  while (static_cast<double>(10 * power) <= least) power *= 10;
  for (const int64_t step : {power, 2 * power, 5 * power})
    if (static_cast<double>(step) >= least) return step;
  return 10 * power;
}

void MapOverlay::paint(QPainter& painter) const {
  painter.setRenderHint(QPainter::TextAntialiasing);
  paint_numbers(painter);
  paint_selection(painter);
  paint_labels(painter, true);
  paint_labels(painter, false);
  paint_scale_bar(painter);
}

// Tokens along an edge where a cell has room for a line of text, positions at round steps otherwise.
void MapOverlay::paint_labels(QPainter& painter, bool queries) const {
  const QRectF seen = camera->visible();
  const double zoom = camera->zoom();
  const QFontMetricsF metrics(painter.font());
  const bool tokens_fit = zoom >= 0.85 * metrics.height();
  const auto first = static_cast<int64_t>(std::floor(queries ? seen.top() : seen.left()));
  const auto last = std::min<int64_t>(
      camera->cells(), static_cast<int64_t>(std::ceil(queries ? seen.bottom() : seen.right())));
  const int64_t step = tokens_fit ? 1 : round_step(56.0 / zoom);
  const int chosen = queries ? selection.query : selection.key;
  for (int64_t i = tokens_fit ? first : (first + step - 1) / step * step; i < last;
       i += tokens_fit ? 1 : step) {
    const QPointF at = camera->to_screen({i + 0.5, i + 0.5});
    const double along = queries ? at.y() : at.x();
    if (along < 0 || along > (queries ? frame.height() : frame.width())) continue;
    QString text = QString::number(i);
    if (tokens_fit) text = QString::fromStdString(display_text((*tokens)[static_cast<size_t>(i)]));
    const bool bold = i == chosen;
    QFont font = painter.font();
    font.setBold(bold);
    painter.save();
    painter.setFont(font);
    painter.setPen(palette.color(bold ? QPalette::Highlight : QPalette::WindowText));
    if (!bold) painter.setOpacity(tokens_fit ? 0.9 : 0.75);
    if (!tokens_fit)
      painter.drawLine(
          queries ? QLineF(frame.left() - 5, frame.top() + along, frame.left() - 1, frame.top() + along)
                  : QLineF(frame.left() + along, frame.top() - 5, frame.left() + along, frame.top() - 1));
    const double room = (queries ? MapFrame::left : MapFrame::top) - 26;
    text = metrics.elidedText(text, Qt::ElideRight, room);
    if (queries) {
      painter.drawText(QRectF(frame.left() - room - 8, frame.top() + along - 12, room, 24),
                       Qt::AlignRight | Qt::AlignVCenter, text);
    } else if (!tokens_fit) {  // numbers have room to lie
      painter.drawText(QRectF(frame.left() + along - 40, frame.top() - 28, 80, 20), Qt::AlignCenter, text);
    } else {
      painter.translate(frame.left() + along, frame.top() - 6);
      painter.rotate(-90);
      painter.drawText(QRectF(0, -12, room, 24), Qt::AlignLeft | Qt::AlignVCenter, text);
    }
    painter.restore();
  }
  painter.save();
  painter.setPen(palette.color(QPalette::WindowText));
  painter.setOpacity(0.6);
  if (queries) {
    painter.translate(10, frame.center().y());
    painter.rotate(-90);
    painter.drawText(QRectF(-60, -10, 120, 20), Qt::AlignCenter, QObject::tr("query"));
  } else {
    painter.drawText(QRectF(frame.center().x() - 60, 0, 120, 18), Qt::AlignCenter, QObject::tr("key"));
  }
  painter.restore();
}

void MapOverlay::paint_scale_bar(QPainter& painter) const {
  const QRectF bar(frame.right() + 16, frame.top() + 18, 12, std::min(240.0, frame.height() - 36));
  const auto& table = table_of(difference ? Palette::red_blue : scale.palette);
  QLinearGradient gradient(bar.bottomLeft(), bar.topLeft());
  for (int i = 0; i <= 16; ++i) {
    const Rgb c = table[static_cast<size_t>(i * 255 / 16)];
    gradient.setColorAt(i / 16.0, QColor(c.r, c.g, c.b));
  }
  painter.fillRect(bar, gradient);
  painter.setPen(palette.color(QPalette::Mid));
  painter.drawRect(bar);
  painter.setPen(palette.color(QPalette::WindowText));
  const bool logarithmic = !difference && scale.mode == SinkMode::logarithmic;
  const double low = difference ? -scale.high : logarithmic ? scale.log_floor : scale.low;
  const double middle = logarithmic ? std::sqrt(low * scale.high) : (low + scale.high) / 2;
  const auto label = [&](double y, double value) {
    painter.drawText(QRectF(bar.right() + 4, y - 9, 52, 18), Qt::AlignLeft | Qt::AlignVCenter,
                     short_number(value));
  };
  label(bar.bottom(), low);
  label(bar.center().y(), middle);
  label(bar.top(), scale.high);
  QString title = difference ? QObject::tr("B − A")
                  : blocks   ? QObject::tr("max. prob.")
                             : QObject::tr("prob.");
  if (logarithmic) title += QObject::tr("\nlog scale");
  painter.drawText(QRectF(frame.right() + 10, bar.top() - 48, MapFrame::right - 10, 38),
                   Qt::AlignLeft | Qt::AlignBottom, title);
}

void MapOverlay::paint_selection(QPainter& painter) const {
  painter.save();
  const auto band = [&](double cell, bool row) {
    const QPointF a = camera->to_screen({cell, cell}) + frame.topLeft();
    const double size = std::max(1.5, camera->zoom());
    const QRectF area = row ? QRectF(frame.left(), a.y(), frame.width(), size)
                            : QRectF(a.x(), frame.top(), size, frame.height());
    const QRectF seen = area.adjusted(-0.5, -0.5, 0.5, 0.5).intersected(frame);
    if (seen.isEmpty()) return;
    painter.setPen(QPen(QColor(255, 140, 0), 1.5));
    painter.setBrush(Qt::NoBrush);
    painter.drawRect(seen);
  };
  if (selection.query >= 0) band(selection.query, true);
  if (selection.key >= 0) band(selection.key, false);
  if (brush) {
    const QRectF area(camera->to_screen(brush->topLeft()) + frame.topLeft(), brush->size() * camera->zoom());
    painter.setPen(QPen(Qt::white, 1.5, Qt::DashLine));
    painter.setBrush(QColor(255, 255, 255, 40));
    painter.drawRect(area.intersected(frame));
  }
  painter.restore();
}

void MapOverlay::paint_numbers(QPainter& painter) const {
  if (camera->zoom() < 46 || !value) return;
  painter.save();
  const QRectF seen = camera->visible();
  for (auto q = static_cast<int64_t>(seen.top()); q < static_cast<int64_t>(std::ceil(seen.bottom())); ++q)
    for (auto k = static_cast<int64_t>(seen.left()); k < static_cast<int64_t>(std::ceil(seen.right())); ++k) {
      const std::optional<float> p = value(q, k);
      if (!p) continue;
      const Rgb c = difference ? table_of(Palette::red_blue)[static_cast<size_t>(
                                     std::clamp((*p / scale.high + 1) / 2, 0.0, 1.0) * 255)]
                               : scale.colour(*p);
      painter.setPen(0.299 * c.r + 0.587 * c.g + 0.114 * c.b > 140 ? Qt::black : Qt::white);
      const QPointF at =
          camera->to_screen({static_cast<double>(k), static_cast<double>(q)}) + frame.topLeft();
      const QRectF cell = QRectF(at, QSizeF(camera->zoom(), camera->zoom())).intersected(frame);
      if (cell.width() > 44 && cell.height() > 14) painter.drawText(cell, Qt::AlignCenter, short_number(*p));
    }
  painter.restore();
}

}  // namespace saccade
