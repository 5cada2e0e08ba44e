// MapCamera: which part of a map is on screen, and at which level of detail. Pure arithmetic, no widget.
//
// Map coordinates are cells: x = key, y = query, (0, 0) the top left corner of the first cell. Screen
// coordinates are logical pixels inside the picture's frame.
#pragma once

#include <QPointF>
#include <QRectF>
#include <QSizeF>
#include <algorithm>
#include <cmath>
#include <cstdint>

namespace saccade {

class MapCamera {
 public:
  void set_map(int64_t cells) {
    cells_ = std::max<int64_t>(cells, 1);
    fit();
  }
  // Keeps what is at the centre; a fitted picture stays fitted.
  void set_frame(QSizeF frame) {
    const bool fitted = fitted_;
    const QPointF centre = to_map({frame_.width() / 2, frame_.height() / 2});
    frame_ = frame;
    if (fitted) return fit();
    origin_ = centre - QPointF(frame_.width(), frame_.height()) / (2 * zoom_);
    keep_in_view();
  }
  void fit() {
    zoom_ = fit_zoom();
    fitted_ = true;
    origin_ = {(cells_ - frame_.width() / zoom_) / 2, (cells_ - frame_.height() / zoom_) / 2};
    // A picture narrower than its frame stands at the left, its labels beside it.
    origin_.setX(0.0);
    origin_.setY(0.0);
  }
  // `factor` > 1 magnifies; the cell under `at` stays where it is.
  void zoom_at(QPointF at, double factor) {
    const QPointF fixed = to_map(at);
    zoom_ = std::clamp(zoom_ * factor, fit_zoom(), 160.0);
    fitted_ = zoom_ <= fit_zoom() * 1.0001;
    origin_ = fixed - at / zoom_;
    keep_in_view();
  }
  // Puts a cell in the middle, `zoom` pixels wide.
  void look_at(QPointF cell, double zoom) {
    zoom_ = std::clamp(zoom, fit_zoom(), 160.0);
    fitted_ = zoom_ <= fit_zoom() * 1.0001;
    origin_ = cell - QPointF(frame_.width(), frame_.height()) / (2 * zoom_);
    keep_in_view();
  }
  void pan(QPointF pixels) {
    origin_ -= pixels / zoom_;
    keep_in_view();
  }
  // Moves as little as needed to show a cell.
  void reveal(double key, double query) {
    const QRectF seen = visible();
    if (key < seen.left()) origin_.setX(key);
    if (key + 1 > seen.right()) origin_.setX(key + 1 - seen.width());
    if (query < seen.top()) origin_.setY(query);
    if (query + 1 > seen.bottom()) origin_.setY(query + 1 - seen.height());
    keep_in_view();
  }

  [[nodiscard]] double zoom() const { return zoom_; }  // pixels per cell
  [[nodiscard]] int64_t cells() const { return cells_; }
  [[nodiscard]] QSizeF frame() const { return frame_; }
  [[nodiscard]] QPointF to_map(QPointF pixel) const { return origin_ + pixel / zoom_; }
  [[nodiscard]] QPointF to_screen(QPointF cell) const { return (cell - origin_) * zoom_; }
  // The part of the map that is on screen, in cells, clipped to the map.
  [[nodiscard]] QRectF visible() const {
    return QRectF(origin_, QSizeF(frame_.width() / zoom_, frame_.height() / zoom_))
        .intersected(QRectF(0, 0, static_cast<double>(cells_), static_cast<double>(cells_)));
  }
  // log2 of the block side that one picture element stands for: the finest whose elements are more than half
  // a device pixel. (A pixel then shows the largest of those it touches: none is lost between two.) ratio:
  // device pixels per logical pixel.
  [[nodiscard]] int level(double ratio = 1.0) const {
    const double pixels = zoom_ * ratio;  // per cell
    return pixels >= 1.0 ? 0 : static_cast<int>(std::floor(std::log2(1.0 / pixels) + 1e-9));
  }

 private:
  [[nodiscard]] double fit_zoom() const {
    return std::max(1e-6, std::min(frame_.width(), frame_.height()) / static_cast<double>(cells_));
  }
  void keep_in_view() {
    const auto clamp = [&](double origin, double frame) {
      const double most = static_cast<double>(cells_) - frame / zoom_;
      return most <= 0 ? 0.0 : std::clamp(origin, 0.0, most);
    };
    origin_ = {clamp(origin_.x(), frame_.width()), clamp(origin_.y(), frame_.height())};
  }

  int64_t cells_ = 1;
  QSizeF frame_{100, 100};
  QPointF origin_;
  double zoom_ = 1.0;
  bool fitted_ = true;
};

}  // namespace saccade
