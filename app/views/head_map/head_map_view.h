// HeadMapView: the deep-zoom map of the selected head.
#pragma once

#include <QLabel>
#include <QStackedLayout>

#include "app/views/view.h"

namespace saccade {

class MapCanvas;

class HeadMapView : public View {
  Q_OBJECT
 public:
  explicit HeadMapView(Workbench& workbench, QWidget* parent = nullptr);

  // Whether everything visible has been drawn at its level of detail; true where there is no OpenGL.
  [[nodiscard]] bool complete() const;
  [[nodiscard]] MapCanvas* canvas() const { return canvas_; }

 protected:
  void refresh() override;

 private:
  MapCanvas* canvas_ = nullptr;  // null where OpenGL cannot be had
  QLabel* message_ = nullptr;
};

}  // namespace saccade
