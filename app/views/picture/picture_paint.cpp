// How the picture, the map over it, its scale and the scanpaths are painted.
#include <QPainter>
#include <algorithm>
#include <cmath>

#include "analysis/scanpath/write_scanpath.h"
#include "app/views/head_map/map_overlay.h"
#include "app/views/picture/picture_canvas.h"

namespace saccade {
namespace {

QString signed_number(double value) {
  return short_number(value).replace(QLatin1Char('-'), QStringLiteral("−"));
}

}  // namespace

void paint_colour_bar(QPainter& painter, const QRectF& bar, const ColourScale& scale, const QString& title,
                      const QPalette& palette) {
  const auto& table = table_of(scale.palette);
  const int steps = std::max(2, static_cast<int>(bar.height()));
  for (int y = 0; y < steps; ++y) {
    const Rgb rgb = table[static_cast<size_t>(255 - y * 255 / (steps - 1))];
    painter.fillRect(QRectF(bar.left(), bar.top() + y, bar.width(), 1.5), QColor(rgb.r, rgb.g, rgb.b));
  }
  painter.setBrush(Qt::NoBrush);
  painter.setPen(palette.color(QPalette::Mid));
  painter.drawRect(bar);
  painter.setPen(palette.color(QPalette::WindowText));
  const auto label = [&](double y, double value) {
    painter.drawText(QRectF(bar.right() + 5.0, y - 9.0, 60.0, 18.0), Qt::AlignLeft | Qt::AlignVCenter,
                     signed_number(value));
  };
  label(bar.top() + 4.0, scale.high);
  if (bar.height() > 60.0) label(bar.center().y(), (scale.low + scale.high) / 2.0);
  label(bar.bottom() - 4.0, scale.low);
  painter.drawText(QRectF(bar.left() - 2.0, bar.top() - 40.0, 78.0, 36.0),
                   Qt::AlignLeft | Qt::AlignBottom | Qt::TextWordWrap, title);
}

void PictureCanvas::paint_picture(QPainter& painter, int panel) {
  const QRectF whole(place_of(0.0, 0.0, panel), picture_size() * zoom_);
  if (picture_.isNull()) {
    painter.fillRect(whole, palette().color(QPalette::AlternateBase));
  } else if (zoom_ * devicePixelRatioF() < 1.0) {
    // Averaged once per zoom, not once per frame.
    const double device = zoom_ * devicePixelRatioF();
    if (shrunk_.isNull() || std::abs(shrunk_zoom_ - device) > 1e-9) {
      shrunk_ = picture_.scaled((QSizeF(picture_.size()) * device).toSize().expandedTo(QSize(1, 1)),
                                Qt::IgnoreAspectRatio, Qt::SmoothTransformation);
      shrunk_zoom_ = device;
    }
    painter.drawImage(whole, shrunk_);
  } else {
    painter.setRenderHint(QPainter::SmoothPixmapTransform, zoom_ < 4.0);
    painter.drawImage(whole, picture_);
  }
  if (colours_.isNull()) return;
  const PatchRect grid = grid_rect(scene_.map.region);
  painter.save();
  painter.setClipRect(whole, Qt::IntersectClip);  // patches may reach into the processor's padding
  painter.setOpacity(alpha_);
  painter.setRenderHint(QPainter::SmoothPixmapTransform, smooth_);
  painter.drawImage(QRectF(place_of(grid.x, grid.y, panel), QSizeF(grid.width, grid.height) * zoom_),
                    colours_);
  painter.restore();
}

void PictureCanvas::paint_regions(QPainter& painter, int panel) const {
  const auto outline = [&](const QRectF& box, const QString& name) {
    const QRectF rect(place_of(box.left(), box.top(), panel), box.size() * zoom_);
    painter.setBrush(Qt::NoBrush);
    painter.setPen(QPen(QColor(0, 0, 0, 200), 4.0));
    painter.drawRect(rect);
    painter.setPen(QPen(QColor(90, 220, 255), 2.0, Qt::DashLine));
    painter.drawRect(rect);
    if (name.isEmpty()) return;
    const QSizeF size = QSizeF(painter.fontMetrics().size(Qt::TextSingleLine, name)) + QSizeF(8, 2);
    // Over the box where there is room, else inside it.
    const double top =
        rect.top() - size.height() >= frame(panel).top() ? rect.top() - size.height() : rect.top();
    const QRectF label(QPointF(std::max(rect.left(), frame(panel).left()), top), size);
    painter.fillRect(label, QColor(20, 22, 26, 215));
    painter.setPen(QColor(200, 245, 255));
    painter.drawText(label, Qt::AlignCenter, name);
  };
  for (const LookRegion& region : regions_)
    outline({QPointF(region.left, region.top), QPointF(region.right, region.bottom)}, region.name);
  if (drawn_) outline(drawn_->normalized(), {});
}

void PictureCanvas::paint_outlines(QPainter& painter, int panel) const {
  if (scene_.map.region.grid_width < 1) return;
  const auto outline = [&](int64_t patch, const QColor& colour, double width) {
    const QRectF rect = rectangle_of(patch, panel);
    painter.setBrush(Qt::NoBrush);
    painter.setPen(QPen(QColor(0, 0, 0, 200), width + 2.0));
    painter.drawRect(rect);
    painter.setPen(QPen(colour, width));
    painter.drawRect(rect);
  };
  if (scene_.query_patch >= 0) outline(scene_.query_patch, QColor(255, 140, 0), 2.5);
  if (hovered_ >= 0) outline(hovered_, Qt::white, 1.5);
}

void PictureCanvas::paint_path(QPainter& painter, size_t p, int panel) const {
  painter.setRenderHint(QPainter::Antialiasing);
  const double radius =
      std::max(5.0, 0.022 * std::hypot(picture_size().width(), picture_size().height()) * zoom_);
  const Rgb rgb = scanpath_colour(p);
  const QColor colour(rgb.r, rgb.g, rgb.b);
  const TimedPath& path = paths_[p];
  const auto seen = path.begun(time_ms_);
  const auto place = [&](const Fixation& fixation) { return place_of(fixation.x, fixation.y, panel); };
  for (size_t i = 1; i < seen; ++i) {
    const QPointF from = place(path.path.fixations[i - 1]), to = place(path.path.fixations[i]);
    painter.setPen(QPen(QColor(0, 0, 0, 150), 4.0, Qt::SolidLine, Qt::RoundCap));
    painter.drawLine(from, to);
    painter.setPen(QPen(colour, 2.2, Qt::SolidLine, Qt::RoundCap));
    painter.drawLine(from, to);
  }
  for (size_t i = 0; i < seen; ++i) {
    const double r = radius * path.size_at(i, time_ms_);
    const bool now = i + 1 == seen && time_ms_ < path.end();
    QColor fill = colour;
    fill.setAlpha(now ? 230 : 150);
    painter.setBrush(fill);
    painter.setPen(QPen(now ? QColor(Qt::white) : QColor(0, 0, 0, 170), now ? 2.5 : 1.2));
    painter.drawEllipse(place(path.path.fixations[i]), r, r);
  }
  QFont face = font();
  face.setBold(true);
  painter.setFont(face);
  // Of fixations on one place the last has its number, or none could be read.
  const auto covered = [&](size_t i) {
    for (size_t later = i + 1; later < seen; ++later)
      if ((place(path.path.fixations[i]) - place(path.path.fixations[later])).manhattanLength() < 12.0)
        return true;
    return false;
  };
  for (size_t i = 0; i < seen; ++i) {
    if (covered(i)) continue;
    const QRectF around(place(path.path.fixations[i]) - QPointF(16, 9), QSizeF(32, 18));
    painter.setPen(Qt::black);
    for (const QPointF shift : {QPointF(1, 0), QPointF(-1, 0), QPointF(0, 1), QPointF(0, -1)})
      painter.drawText(around.translated(shift), Qt::AlignCenter, QString::number(i + 1));
    painter.setPen(Qt::white);
    painter.drawText(around, Qt::AlignCenter, QString::number(i + 1));
  }
  painter.setFont(font());
  painter.setRenderHint(QPainter::Antialiasing, false);
}

// Whose paths these are, where the picture is there twice.
void PictureCanvas::paint_name(QPainter& painter, int panel) const {
  QStringList names;
  for (size_t p = 0; p < paths_.size(); ++p)
    if ((p < *beside_) == (panel == 0)) names << QString::fromStdString(paths_[p].label);
  const QRectF area = frame(panel);
  const QString text = painter.fontMetrics().elidedText(names.join(QStringLiteral(", ")), Qt::ElideRight,
                                                        static_cast<int>(area.width()) - 16);
  const QSizeF size(painter.fontMetrics().horizontalAdvance(text) + 12, painter.fontMetrics().height() + 4);
  // Above the picture's corner, or in it where there is no room.
  const QPointF corner = place_of(0.0, 0.0, panel);
  const QRectF label(
      QPointF(std::max(area.left(), corner.x()), std::max(area.top(), corner.y() - size.height())), size);
  painter.fillRect(label, QColor(20, 22, 26, 215));
  painter.setPen(Qt::white);
  painter.drawText(label, Qt::AlignCenter, text);
}

void PictureCanvas::paint_scale(QPainter& painter) const {
  if (scene_.map.empty()) return;
  const QRectF area = frame(panels() - 1);
  const double height = std::clamp(area.height() - 60.0, 40.0, 220.0);
  paint_colour_bar(painter, {area.right() + 12.0, area.top() + 46.0, 12.0, height}, scene_.scale,
                   scene_.attention && !scene_.difference ? tr("attention\nweight") : scene_.quantity,
                   palette());
}

void PictureCanvas::paint_panel(QPainter& painter, int panel) {
  painter.setClipRect(frame(panel));
  paint_picture(painter, panel);
  paint_regions(painter, panel);
  paint_outlines(painter, panel);
  for (size_t p = 0; p < paths_.size(); ++p)
    if (!beside_ || (p < *beside_) == (panel == 0)) paint_path(painter, p, panel);
  if (beside_) paint_name(painter, panel);
  if (!scene_.note.isEmpty()) {
    const QRectF area = frame(panel);
    const QRectF text = painter.boundingRect(area.adjusted(24, 24, -24, -24),
                                             Qt::AlignHCenter | Qt::TextWordWrap, scene_.note);
    painter.fillRect(text.adjusted(-10, -8, 10, 8), QColor(20, 22, 26, 225));
    painter.setPen(Qt::white);
    painter.drawText(text, Qt::AlignCenter | Qt::TextWordWrap, scene_.note);
  }
}

void PictureCanvas::paintEvent(QPaintEvent* /*event*/) {
  if (!scene_.there) return;
  QPainter painter(this);
  for (int panel = 0; panel < panels(); ++panel) paint_panel(painter, panel);
  painter.setClipping(false);
  paint_scale(painter);
}

}  // namespace saccade
