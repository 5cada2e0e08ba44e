#include "app/views/head_map/head_map_view.h"

#include <QGuiApplication>
#include <QOpenGLContext>
#include <QVBoxLayout>

#include "app/views/head_map/map_canvas.h"

namespace saccade {
namespace {

bool has_opengl() {
  if (QGuiApplication::platformName() == QLatin1String("offscreen") ||
      QGuiApplication::platformName() == QLatin1String("minimal"))
    return false;
  QOpenGLContext context;
  return context.create();
}

}  // namespace

HeadMapView::HeadMapView(Workbench& workbench, QWidget* parent) : View(workbench, parent) {
  auto* layout = new QVBoxLayout(this);
  layout->setContentsMargins(0, 0, 0, 0);
  message_ = new QLabel(this);
  message_->setAlignment(Qt::AlignCenter);
  message_->setWordWrap(true);
  layout->addWidget(message_);
  if (has_opengl()) {
    canvas_ = new MapCanvas(workbench, this);
    layout->addWidget(canvas_, 1);
    message_->hide();
    connect(canvas_, &MapCanvas::gl_failed, this, [this](const QString& reason) {
      message_->setText(tr("The head map needs OpenGL 3.3, and %1. Everything else works.").arg(reason));
      message_->show();
      canvas_->hide();
    });
  } else {
    message_->setText(tr("The head map needs OpenGL, and this display has none. Everything else works."));
  }
  connect(&workbench, &Workbench::runs_changed, this, [this] { touch(); });
  connect(&workbench, &Workbench::selection_changed, this, [this] { touch(); });
  connect(&workbench, &Workbench::scale_changed, this, [this] { touch(); });
}

void HeadMapView::refresh() {
  if (canvas_) canvas_->refresh();
}

bool HeadMapView::complete() const { return !canvas_ || !canvas_->isVisible() || canvas_->complete(); }

}  // namespace saccade
