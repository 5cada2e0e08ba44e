#include "app/views/picture/picture_canvas.h"

#include <QKeyEvent>
#include <QMouseEvent>
#include <QWheelEvent>
#include <algorithm>
#include <cmath>
#include <utility>

namespace saccade {
namespace {

constexpr double margin = 8.0, bar_room = 84.0, largest_zoom = 64.0;

}  // namespace

QImage image_of(const Picture& picture) {
  const QImage view(picture.rgb.data(), picture.width, picture.height, picture.width * 3,
                    QImage::Format_RGB888);
  return view.convertToFormat(QImage::Format_RGB32);
}

QImage colours_of(const PatchMap& map, const ColourScale& scale, bool smooth) {
  if (map.empty()) return {};
  const int longest = std::max(map.region.grid_width, map.region.grid_height);
  const int factor = smooth ? std::clamp(1024 / longest, 1, 24) : 1;
  const std::vector<float> values = smoothed(map, factor);
  QImage image(map.region.grid_width * factor, map.region.grid_height * factor, QImage::Format_ARGB32);
  auto value = values.begin();
  for (int y = 0; y < image.height(); ++y) {
    auto* line = reinterpret_cast<QRgb*>(image.scanLine(y));
    for (int x = 0; x < image.width(); ++x, ++value) {
      const Rgb rgb = scale.colour(*value);
      line[x] = std::isfinite(*value) ? qRgb(rgb.r, rgb.g, rgb.b) : qRgba(0, 0, 0, 0);
    }
  }
  return image;
}

PictureCanvas::PictureCanvas(QWidget* parent) : QWidget(parent) {
  setObjectName("picture_canvas");
  setAccessibleName(tr("The picture with the map over it"));
  setMouseTracking(true);
  setFocusPolicy(Qt::StrongFocus);
  setMinimumSize(220, 150);
}

void PictureCanvas::show_scene(const PictureScene& scene, const PictureLook& look) {
  const bool other = scene.pixels != scene_.pixels || scene.there != scene_.there ||
                     !(scene.map.region.geometry == scene_.map.region.geometry);
  scene_ = scene;
  if (other) {
    picture_ = scene.pixels ? image_of(*scene.pixels) : QImage();
    shrunk_ = {};
    hovered_ = -1;
    fit();
  }
  colours_ = colours_of(scene.map, scene.scale, look.smooth);
  alpha_ = look.alpha;
  smooth_ = look.smooth;
  regions_.clear();
  for (const LookRegion& region : look.regions)
    if (region.picture == look.picture) regions_.push_back(region);
  update();
}

void PictureCanvas::show_paths(const std::vector<TimedPath>& paths, double time_ms,
                               std::optional<size_t> beside) {
  const bool other = beside.has_value() != beside_.has_value();
  paths_ = paths;
  time_ms_ = time_ms;
  beside_ = beside;
  if (other) fitted_ ? fit() : keep_in_view();
  update();
}

void PictureCanvas::set_drawing(bool on) {
  drawing_ = on;
  setCursor(on ? Qt::CrossCursor : Qt::ArrowCursor);
}

QRectF PictureCanvas::frame(int panel) const {
  const double room = width() - 2 * margin - bar_room;
  const QRectF whole(margin, margin, std::max(40.0, room), std::max(40.0, height() - 2 * margin));
  if (!beside_) return whole;
  const double half = std::max(40.0, (whole.width() - margin) / 2.0);
  return {whole.left() + panel * (half + margin), whole.top(), half, whole.height()};
}

int PictureCanvas::panel_at(QPointF at) const { return beside_ && at.x() >= frame(1).left() ? 1 : 0; }

QPointF PictureCanvas::pixel_at(QPointF at) const {
  return origin_ + (at - frame(panel_at(at)).topLeft()) / zoom_;
}

QSizeF PictureCanvas::picture_size() const {
  const ImageGeometry& g = scene_.map.region.geometry;
  return scene_.pixels ? QSizeF(scene_.pixels->width, scene_.pixels->height)
                       : QSizeF(std::max(1, g.original_width), std::max(1, g.original_height));
}

double PictureCanvas::fit_zoom() const {
  return std::min(frame().width() / picture_size().width(), frame().height() / picture_size().height());
}

void PictureCanvas::fit() {
  zoom_ = fit_zoom();
  fitted_ = true;
  keep_in_view();
  update();
}

// A picture smaller than the frame stands in its middle; a larger one leaves no gap.
void PictureCanvas::keep_in_view() {
  const auto place = [this](double origin, double room, double size) {
    const double seen = room / zoom_;
    return size <= seen ? (size - seen) / 2.0 : std::clamp(origin, 0.0, size - seen);
  };
  origin_ = {place(origin_.x(), frame().width(), picture_size().width()),
             place(origin_.y(), frame().height(), picture_size().height())};
}

QPointF PictureCanvas::place_of(double x, double y, int panel) const {
  return frame(panel).topLeft() + (QPointF(x, y) - origin_) * zoom_;
}

QRectF PictureCanvas::rectangle_of(int64_t patch, int panel) const {
  if (scene_.map.region.grid_width < 1) return {};
  const PatchRect rect = rect_of(scene_.map.region, patch);
  return {place_of(rect.x, rect.y, panel), QSizeF(rect.width, rect.height) * zoom_};
}

std::optional<int64_t> PictureCanvas::patch_under(QPointF at) const {
  if (!scene_.there || scene_.map.region.grid_width < 1 || !frame(panel_at(at)).contains(at))
    return std::nullopt;
  const QPointF pixel = pixel_at(at);
  return patch_at(scene_.map.region, pixel.x(), pixel.y());
}

void PictureCanvas::resizeEvent(QResizeEvent* event) {
  QWidget::resizeEvent(event);
  fitted_ ? fit() : keep_in_view();
}

void PictureCanvas::wheelEvent(QWheelEvent* event) {
  const QPointF at = event->position() - frame(panel_at(event->position())).topLeft();
  const QPointF fixed = origin_ + at / zoom_;
  const double factor = std::pow(1.2, event->angleDelta().y() / 120.0);
  zoom_ = std::clamp(zoom_ * factor, fit_zoom(), std::max(largest_zoom, fit_zoom()));
  fitted_ = zoom_ <= fit_zoom() * 1.0001;
  origin_ = fixed - at / zoom_;
  keep_in_view();
  update();
}

void PictureCanvas::mousePressEvent(QMouseEvent* event) {
  pressed_ = dragged_ = event->position();
  moved_ = false;
  drawn_.reset();
  const bool wanted = drawing_ || event->modifiers().testFlag(Qt::ShiftModifier);
  if (wanted && event->button() == Qt::LeftButton && patch_under(event->position()))
    drawn_ = QRectF(pixel_at(event->position()), QSizeF(0.0, 0.0));
}

void PictureCanvas::mouseMoveEvent(QMouseEvent* event) {
  if (event->buttons().testFlag(Qt::LeftButton)) {
    moved_ = moved_ || (event->position() - pressed_).manhattanLength() > 5;
    if (!moved_) return;
    if (drawn_) {
      drawn_->setBottomRight(origin_ + (event->position() - frame(panel_at(pressed_)).topLeft()) / zoom_);
      return update();
    }
    origin_ -= (event->position() - dragged_) / zoom_;
    dragged_ = event->position();
    keep_in_view();
    return update();
  }
  hover(patch_under(event->position()).value_or(-1));
}

void PictureCanvas::mouseReleaseEvent(QMouseEvent* event) {
  if (event->button() == Qt::LeftButton && drawn_) {
    const QRectF box = std::exchange(drawn_, std::nullopt)->normalized();
    update();
    if (moved_) return Q_EMIT region_drawn(box);
  }
  if (moved_ || event->button() != Qt::LeftButton) return;
  if (const auto patch = patch_under(event->position())) Q_EMIT patch_clicked(*patch);
}

void PictureCanvas::mouseDoubleClickEvent(QMouseEvent* /*event*/) { fit(); }

void PictureCanvas::leaveEvent(QEvent* /*event*/) { hover(-1); }

void PictureCanvas::hover(int64_t patch) {
  if (patch == hovered_) return;
  hovered_ = patch;
  update();
  Q_EMIT patch_hovered(patch);
}

void PictureCanvas::keyPressEvent(QKeyEvent* event) {
  switch (event->key()) {
    case Qt::Key_Left:
      return Q_EMIT stepped(-1, 0);
    case Qt::Key_Right:
      return Q_EMIT stepped(1, 0);
    case Qt::Key_Up:
      return Q_EMIT stepped(0, -1);
    case Qt::Key_Down:
      return Q_EMIT stepped(0, 1);
    case Qt::Key_Plus:
    case Qt::Key_Minus: {
      const QPointF middle = frame().center();
      QWheelEvent wheel(middle, mapToGlobal(middle), {}, {0, event->key() == Qt::Key_Plus ? 120 : -120},
                        Qt::NoButton, Qt::NoModifier, Qt::NoScrollPhase, false);
      return wheelEvent(&wheel);
    }
    case Qt::Key_Home:
      return fit();
    default:
      return QWidget::keyPressEvent(event);
  }
}

}  // namespace saccade
