#include "app/views/results/field_canvas.h"

#include <QMouseEvent>
#include <QPainter>
#include <QPainterPath>
#include <QToolTip>
#include <algorithm>
#include <cmath>

#include "app/views/head_map/map_overlay.h"

namespace saccade {
namespace {

constexpr double scale_room = 74.0, axis_room = 18.0, most_label = 96.0;

QString label(const Axis& axis, int64_t index) { return QString::fromStdString(label_of(axis, index)); }

QString signed_number(double value) {
  return std::isfinite(value) ? short_number(value).replace(QLatin1Char('-'), QStringLiteral("−"))
                              : QStringLiteral("–");
}

int64_t label_step(double cell, double text) {
  return std::max<int64_t>(1, static_cast<int64_t>(std::ceil(text / std::max(cell, 1e-6))));
}

}  // namespace

FieldCanvas::FieldCanvas(Workbench& workbench, QWidget* parent) : QWidget(parent), workbench_(workbench) {
  setObjectName("field_canvas");
  setMouseTracking(true);
  setMinimumHeight(130);
  connect(&workbench, &Workbench::selection_changed, this, [this] { update(); });
}

void FieldCanvas::show_slice(const Field& field, const FieldSlice& slice) {
  field_ = field;
  slice_ = slice;
  scale_ = scale_of(field.kind, field.values.values(), workbench_.scale().palette);
  low_ = high_ = 0.0;
  for (const float value : field.values.values())
    if (std::isfinite(value)) {
      low_ = std::min<double>(low_, value);
      high_ = std::max<double>(high_, value);
    }
  if (high_ <= low_) high_ = low_ + 1.0;
  setAccessibleName(QString::fromStdString(field.label));
  arrange();
  update();
}

void FieldCanvas::arrange() {
  const QFontMetricsF metrics(font());
  double widest = slice_.has_rows ? 0.0 : 48.0, deepest = 0.0;
  if (slice_.has_rows)
    for (int64_t r = 0; r < slice_.rows; ++r)
      widest = std::max(widest, metrics.horizontalAdvance(label(slice_.row_axis, r)));
  for (int64_t c = 0; c < slice_.columns; ++c)
    deepest = std::max(deepest, metrics.horizontalAdvance(label(slice_.column_axis, c)));
  const double left = axis_room + std::min(widest, most_label) + 8.0;
  const double right = slice_.has_rows ? scale_room : 12.0;
  double wide = std::max(20.0, width() - left - right);
  upward_ =
      deepest + 6.0 > wide / static_cast<double>(std::max<int64_t>(slice_.columns, 1)) && deepest > 24.0;
  const double below = (upward_ ? std::min(deepest, most_label) : metrics.height()) + 6.0 + axis_room;
  double high = std::max(20.0, height() - 10.0 - below);
  if (slice_.has_rows) {
    const auto rows = static_cast<double>(std::max<int64_t>(slice_.rows, 1)),
               columns = static_cast<double>(std::max<int64_t>(slice_.columns, 1));
    wide = std::min(wide, columns * 72.0);
    high = std::min(high, rows * std::max(26.0, std::min(wide / columns, 60.0)));
  }
  plot_ = QRectF(left, 8.0, wide, high);
}

QRectF FieldCanvas::cell(int64_t row, int64_t column) const {
  const double w = plot_.width() / static_cast<double>(std::max<int64_t>(slice_.columns, 1)),
               h = plot_.height() / static_cast<double>(std::max<int64_t>(slice_.rows, 1));
  return {plot_.left() + w * static_cast<double>(column), plot_.top() + h * static_cast<double>(row), w, h};
}

bool FieldCanvas::place_of(QPoint at, int64_t& row, int64_t& column) const {
  if (slice_.values.empty() || !plot_.contains(at)) return false;
  column = std::min(static_cast<int64_t>((at.x() - plot_.left()) / plot_.width() * slice_.columns),
                    slice_.columns - 1);
  row =
      std::min(static_cast<int64_t>((at.y() - plot_.top()) / plot_.height() * slice_.rows), slice_.rows - 1);
  if (!slice_.has_rows) row = 0;
  return true;
}

QString FieldCanvas::describe(QPoint at) const {
  int64_t row = 0, column = 0;
  if (!place_of(at, row, column)) return {};
  const auto part = [](const Axis& axis, int64_t index) {
    const QString text = label(axis, index), number = QString::number(index);
    return QStringLiteral("%1 %2").arg(
        QString::fromStdString(name_of(axis)),
        axis.labels.empty() ? number : QStringLiteral("%1 “%2”").arg(number, text));
  };
  QString where = slice_.has_rows ? part(slice_.row_axis, row) + QStringLiteral(", ") : QString();
  where += part(slice_.column_axis, column);
  const float value = slice_.at(row, column);
  return QStringLiteral("%1\n%2 %3 %4")
      .arg(where, QString::fromStdString(field_.label),
           std::isfinite(value) ? QString::number(value, 'g', 7) : tr("no value"),
           QString::fromStdString(field_.unit))
      .trimmed();
}

void FieldCanvas::paint_heat(QPainter& painter) const {
  QImage image(static_cast<int>(slice_.columns), static_cast<int>(slice_.rows), QImage::Format_RGB32);
  const bool dark = palette().color(QPalette::Window).lightness() < 128;
  for (int64_t r = 0; r < slice_.rows; ++r)
    for (int64_t c = 0; c < slice_.columns; ++c) {
      const float value = slice_.at(r, c);
      const Rgb rgb = std::isfinite(value) ? scale_.colour(value) : dark ? masked_colour_dark : masked_colour;
      image.setPixel(static_cast<int>(c), static_cast<int>(r), qRgb(rgb.r, rgb.g, rgb.b));
    }
  painter.setRenderHint(QPainter::SmoothPixmapTransform, false);
  painter.drawImage(plot_, image);
  painter.setPen(palette().color(QPalette::Mid));
  painter.drawRect(plot_);
}

// The number too, where it fits: colour never carries meaning alone.
void FieldCanvas::paint_numbers(QPainter& painter) const {
  const QRectF first = cell(0, 0);
  if (first.width() < 38.0 || first.height() < 15.0) return;
  for (int64_t r = 0; r < slice_.rows; ++r)
    for (int64_t c = 0; c < slice_.columns; ++c) {
      const float value = slice_.at(r, c);
      const Rgb rgb = std::isfinite(value) ? scale_.colour(value) : masked_colour;
      painter.setPen(0.299 * rgb.r + 0.587 * rgb.g + 0.114 * rgb.b > 140 ? Qt::black : Qt::white);
      painter.drawText(cell(r, c), Qt::AlignCenter, signed_number(value));
    }
}

void FieldCanvas::paint_labels(QPainter& painter) const {
  const QFontMetricsF metrics(font());
  painter.setPen(palette().color(QPalette::WindowText));
  const QRectF first = cell(0, 0);
  if (slice_.has_rows)
    for (int64_t r = 0; r < slice_.rows; r += label_step(first.height(), metrics.height()))
      painter.drawText(QRectF(axis_room, cell(r, 0).top(), plot_.left() - axis_room - 6.0, first.height()),
                       Qt::AlignRight | Qt::AlignVCenter | Qt::TextDontClip,
                       metrics.elidedText(label(slice_.row_axis, r), Qt::ElideRight, most_label));
  const double room = upward_ ? metrics.height() : 30.0;
  for (int64_t c = 0; c < slice_.columns;
       c += label_step(first.width(), upward_ ? room : std::min(room, 22.0))) {
    const QRectF at = cell(slice_.rows - 1, c);
    const QString text = metrics.elidedText(label(slice_.column_axis, c), Qt::ElideRight, most_label);
    if (!upward_) {
      painter.drawText(QRectF(at.center().x() - 40, plot_.bottom() + 3, 80, metrics.height()),
                       Qt::AlignCenter, text);
      continue;
    }
    painter.save();
    painter.translate(at.center().x(), plot_.bottom() + 5.0);
    painter.rotate(-90.0);
    painter.drawText(QRectF(-most_label - 2, -metrics.height() / 2, most_label + 2, metrics.height()),
                     Qt::AlignRight | Qt::AlignVCenter, text);
    painter.restore();
  }
  painter.setPen(palette().color(QPalette::PlaceholderText));
  painter.drawText(QRectF(plot_.left(), height() - axis_room, plot_.width(), axis_room), Qt::AlignCenter,
                   QString::fromStdString(name_of(slice_.column_axis)));
  painter.save();
  painter.translate(0, plot_.bottom());
  painter.rotate(-90.0);
  QString along = QString::fromStdString(slice_.has_rows ? name_of(slice_.row_axis) : field_.label);
  if (!slice_.has_rows && !field_.unit.empty())
    along += QStringLiteral(", ") + QString::fromStdString(field_.unit);
  painter.drawText(QRectF(0, 0, plot_.height(), axis_room), Qt::AlignCenter,
                   metrics.elidedText(along, Qt::ElideRight, plot_.height()));
  painter.restore();
}

void FieldCanvas::paint_scale(QPainter& painter) const {
  const QRectF bar(plot_.right() + 14.0, plot_.top() + 16.0, 10.0,
                   std::clamp(plot_.height() - 24.0, 40.0, 150.0));
  const auto& table = table_of(scale_.palette);
  const int steps = static_cast<int>(bar.height());
  for (int y = 0; y < steps; ++y) {
    const Rgb rgb = table[static_cast<size_t>(255 - y * 255 / std::max(1, steps - 1))];
    painter.fillRect(QRectF(bar.left(), bar.top() + y, bar.width(), 1.5), QColor(rgb.r, rgb.g, rgb.b));
  }
  painter.setPen(palette().color(QPalette::WindowText));
  const auto number = [&](double y, double value) {
    painter.drawText(QRectF(bar.right() + 5.0, y - 9.0, 60.0, 18.0), Qt::AlignLeft | Qt::AlignVCenter,
                     signed_number(value));
  };
  number(bar.top() + 3, scale_.high);
  number(bar.center().y(), (scale_.low + scale_.high) / 2.0);
  number(bar.bottom() - 3, scale_.low);
  painter.drawText(QRectF(bar.left() - 4.0, plot_.top() - 8.0, scale_room - 8.0, 18.0), Qt::AlignLeft,
                   QString::fromStdString(field_.unit));
}

double FieldCanvas::y_of(double value) const {
  return plot_.bottom() - plot_.height() * (value - low_) / (high_ - low_);
}

void FieldCanvas::paint_curve(QPainter& painter) const {
  painter.setRenderHint(QPainter::Antialiasing);
  painter.setPen(palette().color(QPalette::Mid));
  painter.drawLine(plot_.topLeft(), plot_.bottomLeft());
  painter.drawLine(QPointF(plot_.left(), y_of(0.0)), QPointF(plot_.right(), y_of(0.0)));
  painter.setPen(palette().color(QPalette::WindowText));
  for (const double value : {low_, (low_ + high_) / 2.0, high_})
    painter.drawText(QRectF(axis_room, y_of(value) - 9.0, plot_.left() - axis_room - 5.0, 18.0),
                     Qt::AlignRight | Qt::AlignVCenter, signed_number(value));
  const bool bars = slice_.columns <= 48;
  const QColor ink(38, 110, 214);
  QPainterPath path;
  bool down = false;
  for (int64_t c = 0; c < slice_.columns; ++c) {
    const float value = slice_.at(0, c);
    const QRectF at = cell(0, c);
    if (!std::isfinite(value)) {
      down = false;
      continue;
    }
    const QPointF point(at.center().x(), y_of(value));
    if (bars) {
      const double inset = std::min(3.0, at.width() * 0.15);
      painter.fillRect(
          QRectF(QPointF(at.left() + inset, point.y()), QPointF(at.right() - inset, y_of(0.0))).normalized(),
          ink);
    }
    down ? path.lineTo(point) : path.moveTo(point);
    down = true;
  }
  painter.setPen(QPen(ink, 1.6));
  if (!bars) painter.drawPath(path);
}

void FieldCanvas::paint_selection(QPainter& painter) const {
  if (!slice_.has_rows || slice_.row_axis.kind != AxisKind::layer ||
      slice_.column_axis.kind != AxisKind::head)
    return;
  painter.setBrush(Qt::NoBrush);
  for (const HeadId head : workbench_.selection().heads) {
    if (head.layer.value >= slice_.rows || head.head.value >= slice_.columns) continue;
    painter.setPen(QPen(palette().color(QPalette::Highlight), 3));
    painter.drawRect(cell(head.layer.value, head.head.value).adjusted(1, 1, -1, -1));
  }
}

void FieldCanvas::paintEvent(QPaintEvent* /*event*/) {
  QPainter painter(this);
  if (slice_.values.empty()) {
    painter.drawText(rect(), Qt::AlignCenter, tr("This field holds no numbers."));
    return;
  }
  if (slice_.has_rows) {
    paint_heat(painter);
    paint_numbers(painter);
    paint_scale(painter);
    paint_selection(painter);
  } else {
    paint_curve(painter);
  }
  paint_labels(painter);
}

void FieldCanvas::resizeEvent(QResizeEvent* event) {
  QWidget::resizeEvent(event);
  arrange();
}

void FieldCanvas::mouseMoveEvent(QMouseEvent* event) {
  const QString text = describe(event->pos());
  text.isEmpty() ? QToolTip::hideText() : QToolTip::showText(event->globalPosition().toPoint(), text, this);
}

void FieldCanvas::mousePressEvent(QMouseEvent* event) {
  int64_t row = 0, column = 0;
  if (!place_of(event->pos(), row, column)) return;
  const AxisKind down = slice_.has_rows ? slice_.row_axis.kind : AxisKind::other,
                 across = slice_.column_axis.kind;
  const auto index = [](int64_t value) { return static_cast<int32_t>(value); };
  if (down == AxisKind::layer && across == AxisKind::head)
    return workbench_.select_known_heads({{LayerIndex{index(row)}, HeadIndex{index(column)}}});
  if (down == AxisKind::query && across == AxisKind::key)
    return workbench_.select_tokens(index(row), index(column));
}

QImage FieldCanvas::picture() { return grab().toImage(); }

}  // namespace saccade
