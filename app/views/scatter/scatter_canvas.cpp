#include "app/views/scatter/scatter_canvas.h"

#include <QMouseEvent>
#include <QPainter>
#include <QToolTip>
#include <algorithm>
#include <cmath>

#include "app/views/head_map/map_overlay.h"

namespace saccade {
namespace {

constexpr double reach = 12.0, radius = 5.0;

QString quantity_of(const HeadColumn& column) {
  const QString label = QString::fromStdString(column.label);
  return column.unit.empty() ? label : label + QStringLiteral(", ") + QString::fromStdString(column.unit);
}

bool chosen(const Selection& selection, HeadId head) {
  return std::find(selection.heads.begin(), selection.heads.end(), head) != selection.heads.end();
}

// 1, 2 or 5 times a power of ten, some five of them over the range.
double tick_step(double range) {
  const double power = std::pow(10.0, std::floor(std::log10(range / 5.0)));
  for (const double factor : {1.0, 2.0, 5.0})
    if (factor * power >= range / 5.0) return factor * power;
  return 10.0 * power;
}

QString tick_text(double value, double step) {
  if (std::abs(value) < step * 1e-6) return QStringLiteral("0");
  const int decimals = std::max(0, static_cast<int>(-std::floor(std::log10(step) + 1e-9)));
  const QString text = decimals > 4 ? QString::number(value, 'g', 3) : QString::number(value, 'f', decimals);
  return QString(text).replace(QLatin1Char('-'), QStringLiteral("−"));
}

}  // namespace

ScatterCanvas::ScatterCanvas(Workbench& workbench, QWidget* parent) : QWidget(parent), workbench_(workbench) {
  setObjectName("scatter");
  setMouseTracking(true);
  setAccessibleName(tr("Scatter plot of heads"));
  connect(&workbench, &Workbench::selection_changed, this, [this] { update(); });
}

ScatterCanvas::Range ScatterCanvas::range_of(const HeadColumn& column) {
  Range range{HUGE_VAL, -HUGE_VAL};
  for (const float value : column.values.values())
    if (std::isfinite(value))
      range = {std::min<double>(range.low, value), std::max<double>(range.high, value)};
  if (!(range.low <= range.high)) return {};
  const double pad = range.high > range.low ? 0.06 * (range.high - range.low) : 0.5;
  return {range.low - pad, range.high + pad};
}

void ScatterCanvas::show_columns(const HeadColumn* x, const HeadColumn* y) {
  shown_ = x && y && x->values.shape() == y->values.shape() && x->values.shape().size() == 2;
  if (shown_) {
    x_ = *x;
    y_ = *y;
    x_range_ = range_of(x_);
    y_range_ = range_of(y_);
    setAccessibleDescription(tr("%1 against %2").arg(quantity_of(y_), quantity_of(x_)));
  }
  hovered_.reset();
  update();
}

QRectF ScatterCanvas::plot() const {
  return {74.0, 14.0, std::max(40.0, width() - 94.0), std::max(40.0, height() - 66.0)};
}

std::vector<HeadId> ScatterCanvas::heads() const {
  std::vector<HeadId> all;
  if (!shown_) return all;
  for (int32_t l = 0; l < x_.values.shape()[0]; ++l)
    for (int32_t h = 0; h < x_.values.shape()[1]; ++h) all.push_back({LayerIndex{l}, HeadIndex{h}});
  return all;
}

std::optional<QPointF> ScatterCanvas::place_of(HeadId head) const {
  if (!shown_) return std::nullopt;
  const double x = x_.values.at({head.layer.value, head.head.value}),
               y = y_.values.at({head.layer.value, head.head.value});
  if (!std::isfinite(x) || !std::isfinite(y)) return std::nullopt;
  const QRectF area = plot();
  return QPointF(area.left() + area.width() * (x - x_range_.low) / (x_range_.high - x_range_.low),
                 area.bottom() - area.height() * (y - y_range_.low) / (y_range_.high - y_range_.low));
}

std::optional<HeadId> ScatterCanvas::head_at(QPointF at) const {
  std::optional<HeadId> nearest;
  double least = reach;
  for (const HeadId head : heads())
    if (const auto place = place_of(head)) {
      const double distance = std::hypot(place->x() - at.x(), place->y() - at.y());
      if (distance >= least) continue;
      least = distance;
      nearest = head;
    }
  return nearest;
}

void ScatterCanvas::paint_axis_ticks(QPainter& painter, bool across) const {
  const Range& range = across ? x_range_ : y_range_;
  const QRectF area = plot();
  const double step = tick_step(range.high - range.low);
  const QColor line = palette().color(QPalette::Mid), text = palette().color(QPalette::WindowText);
  QColor faint = line;
  faint.setAlpha(70);
  for (double value = std::ceil(range.low / step) * step; value <= range.high; value += step) {
    const double share = (value - range.low) / (range.high - range.low);
    const double x = area.left() + area.width() * share, y = area.bottom() - area.height() * share;
    painter.setPen(faint);
    across ? painter.drawLine(QPointF(x, area.top()), QPointF(x, area.bottom()))
           : painter.drawLine(QPointF(area.left(), y), QPointF(area.right(), y));
    painter.setPen(text);
    across ? painter.drawText(QRectF(x - 40, area.bottom() + 4, 80, 18), Qt::AlignHCenter,
                              tick_text(value, step))
           : painter.drawText(QRectF(20, y - 9, area.left() - 26, 18), Qt::AlignRight | Qt::AlignVCenter,
                              tick_text(value, step));
  }
}

void ScatterCanvas::paint_axes(QPainter& painter) const {
  const QRectF area = plot();
  painter.fillRect(area, palette().base());
  paint_axis_ticks(painter, true);
  paint_axis_ticks(painter, false);
  painter.setPen(palette().color(QPalette::Mid));
  painter.drawRect(area);
  painter.setPen(palette().color(QPalette::WindowText));
  painter.drawText(QRectF(area.left(), height() - 26, area.width(), 20), Qt::AlignCenter, quantity_of(x_));
  painter.save();
  painter.translate(2, area.bottom());
  painter.rotate(-90);
  painter.drawText(QRectF(0, 0, area.height(), 20), Qt::AlignCenter, quantity_of(y_));
  painter.restore();
}

void ScatterCanvas::paint_points(QPainter& painter) const {
  painter.setRenderHint(QPainter::Antialiasing);
  const auto all = heads();
  const double layers = std::max<double>(1.0, static_cast<double>(x_.values.shape()[0]) - 1.0);
  const auto& colours = table_of(Palette::cividis);
  for (const bool front : {false, true})
    for (const HeadId head : all) {
      const auto place = place_of(head);
      if (!place || chosen(workbench_.selection(), head) != front) continue;
      const Rgb rgb = colours[static_cast<size_t>(head.layer.value / layers * 255.0)];
      painter.setPen(front ? QPen(QColor(220, 70, 20), 2.4) : QPen(QColor(40, 40, 40, 160), 0.8));
      painter.setBrush(QColor(rgb.r, rgb.g, rgb.b));
      const double size = radius + (front ? 1.5 : 0.0) + (hovered_ == head ? 1.5 : 0.0);
      painter.drawEllipse(*place, size, size);
    }
}

// Those that are selected or pointed at, then others as far as there is room between them.
void ScatterCanvas::paint_names(QPainter& painter) const {
  const QFontMetricsF metrics(font());
  painter.setPen(palette().color(QPalette::WindowText));
  std::vector<QRectF> taken;
  for (const bool front : {true, false})
    for (const HeadId head : heads()) {
      const bool named = hovered_ == head || chosen(workbench_.selection(), head);
      const auto place = place_of(head);
      if (!place || named != front) continue;
      const QString name = QString::fromStdString(to_string(head));
      const QRectF box(place->x() + radius + 4.0, place->y() - metrics.height(),
                       metrics.horizontalAdvance(name), metrics.height());
      const bool free = std::none_of(taken.begin(), taken.end(),
                                     [&](const QRectF& other) { return other.intersects(box); });
      if (!free) continue;
      painter.drawText(box, Qt::AlignCenter | Qt::TextDontClip, name);
      taken.push_back(box);
    }
}

void ScatterCanvas::paintEvent(QPaintEvent* /*event*/) {
  QPainter painter(this);
  if (!shown_) {
    painter.drawText(
        rect().adjusted(40, 0, -40, 0), Qt::AlignCenter | Qt::TextWordWrap,
        tr("Heads as points will be here, one number per head along each edge: run a prompt, or a "
           "method that scores heads."));
    return;
  }
  paint_axes(painter);
  paint_points(painter);
  paint_names(painter);
  if (rubber_.isEmpty()) return;
  painter.setBrush(Qt::NoBrush);
  painter.setPen(QPen(palette().color(QPalette::Highlight), 1, Qt::DashLine));
  painter.drawRect(rubber_);
}

void ScatterCanvas::mousePressEvent(QMouseEvent* event) {
  pressed_ = event->pos();
  rubber_ = {};
}

void ScatterCanvas::mouseMoveEvent(QMouseEvent* event) {
  if (event->buttons().testFlag(Qt::LeftButton)) {
    if ((event->pos() - pressed_).manhattanLength() > 8) rubber_ = QRect(pressed_, event->pos()).normalized();
    return update();
  }
  const auto head = head_at(event->position());
  if (head != hovered_) update();
  hovered_ = head;
  if (!head) return QToolTip::hideText();
  const auto number = [&](const HeadColumn& column) {
    return QStringLiteral("%1: %2").arg(
        quantity_of(column),
        QString::number(column.values.at({head->layer.value, head->head.value}), 'g', 6));
  };
  QToolTip::showText(event->globalPosition().toPoint(),
                     tr("head %1").arg(QString::fromStdString(to_string(*head))) + QLatin1Char('\n') +
                         number(x_) + QLatin1Char('\n') + number(y_),
                     this);
}

void ScatterCanvas::mouseReleaseEvent(QMouseEvent* event) {
  if (!rubber_.isEmpty()) {
    std::vector<HeadId> inside;
    for (const HeadId head : heads())
      if (const auto place = place_of(head); place && rubber_.contains(place->toPoint()))
        inside.push_back(head);
    rubber_ = {};
    workbench_.select_known_heads(inside);
    return update();
  }
  if (const auto head = head_at(event->position()))
    workbench_.select_head(*head, event->modifiers().testFlag(Qt::ControlModifier) ||
                                      event->modifiers().testFlag(Qt::ShiftModifier));
}

void ScatterCanvas::leaveEvent(QEvent* /*event*/) {
  hovered_.reset();
  update();
}

}  // namespace saccade
