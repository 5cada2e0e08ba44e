// What is drawn around and over the map with QPainter: token labels, ticks, the scale bar, the selection's
// cross-hair, numbers in cells that are large enough. Text goes through Qt, so every script is readable.
#pragma once

#include <QObject>
#include <QPainter>
#include <QPalette>
#include <QRectF>
#include <QString>
#include <functional>
#include <optional>
#include <vector>

#include "analysis/colour.h"
#include "app/views/head_map/map_camera.h"
#include "core/session/session.h"
#include "core/tokens/tokenizer.h"

namespace saccade {

// Margins of the picture inside the widget, in logical pixels.
struct MapFrame {
  static constexpr double left = 104, top = 84, right = 84, bottom = 16;
  [[nodiscard]] static QRectF of(const QSizeF& widget) {
    return {left, top, std::max(40.0, widget.width() - left - right),
            std::max(40.0, widget.height() - top - bottom)};
  }
};

struct MapOverlay {
  QRectF frame;
  const MapCamera* camera = nullptr;
  const std::vector<Token>* tokens = nullptr;
  ColourScale scale;
  bool difference = false;
  bool blocks = false;  // a colour stands for the largest of a block's cells, not for one cell
  Selection selection;
  std::optional<QRectF> brush;  // in cells
  QPalette palette;
  // Value of a cell where it is known without computing; for the numbers in cells.
  std::function<std::optional<float>(int64_t query, int64_t key)> value;

  void paint(QPainter& painter) const;

 private:
  void paint_labels(QPainter& painter, bool queries) const;
  void paint_scale_bar(QPainter& painter) const;
  void paint_selection(QPainter& painter) const;
  void paint_numbers(QPainter& painter) const;
};

// 1, 2 or 5 times a power of ten: the smallest that is at least `least`.
[[nodiscard]] int64_t round_step(double least);
// 0.031, 0.94, 1.2e-05: no more digits than they deserve.
[[nodiscard]] QString short_number(double value);

}  // namespace saccade
