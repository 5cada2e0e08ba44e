#include "app/views/head_map/map_canvas.h"

#include <QGuiApplication>
#include <QMouseEvent>
#include <QOpenGLContext>
#include <QOpenGLFunctions>
#include <QPainter>
#include <QWheelEvent>

#include "app/views/head_map/map_overlay.h"

namespace saccade {

MapCanvas::MapCanvas(Workbench& workbench, QWidget* parent) : QOpenGLWidget(parent), workbench_(workbench) {
  // A window of its own under X11: a frame then composes the map alone, not everything around it, which is
  // most of a frame's work where OpenGL is done in software.
  if (QGuiApplication::platformName() == QLatin1String("xcb")) {
    QCoreApplication::setAttribute(Qt::AA_DontCreateNativeWidgetSiblings);
    setAttribute(Qt::WA_DontCreateNativeAncestors);
    setAttribute(Qt::WA_NativeWindow);
  }
  setMouseTracking(true);
  setFocusPolicy(Qt::StrongFocus);
  setAccessibleName(tr("Head map"));
  setAccessibleDescription(
      tr("The attention map of the selected head; arrow keys move the selected query and key"));
  QSurfaceFormat format;
  format.setVersion(3, 3);
  format.setProfile(QSurfaceFormat::CoreProfile);
  setFormat(format);
  connect(this, &QOpenGLWidget::frameSwapped, this, [this] {
    if (!painting_) return;
    painting_ = false;
    frame_ms_ = static_cast<double>(frame_clock_.nsecsElapsed()) / 1e6;
    since_frame_.start();
  });
  later_.setSingleShot(true);
  connect(&later_, &QTimer::timeout, this, [this] { update(); });
  const auto show_soon = [this] {  // from a worker's thread
    if (!repaint_posted_.exchange(true))
      QMetaObject::invokeMethod(this, &MapCanvas::show_progress, Qt::QueuedConnection);
  };
  cache_ = std::make_unique<TileCache>(show_soon);
  meter_ = std::make_unique<BrushMeter>(show_soon);
}

MapCanvas::~MapCanvas() {
  meter_.reset();
  cache_.reset();
  if (context()) {
    makeCurrent();
    imgui_.shutdown();
    if (renderer_) renderer_->destroy();
    doneCurrent();
  }
}

QRectF MapCanvas::frame() const { return MapFrame::of(size()); }

// Full detail is shown at once. A coarse picture that grows is shown as often as leaves two thirds of the
// time to those who compute it, which matters where they share cores with OpenGL.
void MapCanvas::show_progress() {
  repaint_posted_ = false;
  const double wait =
      wish_.level <= leaf_level ? 0.0 : 2 * frame_ms_ - static_cast<double>(since_frame_.elapsed());
  if (wait <= 0.0)
    update();
  else if (!later_.isActive())
    later_.start(static_cast<int>(std::ceil(wait)));
}

void MapCanvas::look_at(QPointF cell, double pixels_per_cell) {
  camera_.look_at(cell, pixels_per_cell);
  pointer_.reset();
  request_tiles();
  update();
}

bool MapCanvas::exact_at(QPointF cell) const {
  const TileKey key{wish_.level, static_cast<int64_t>(cell.y()) / TileKey{wish_.level, 0, 0}.reach(),
                    static_cast<int64_t>(cell.x()) / TileKey{wish_.level, 0, 0}.reach()};
  return cache_->cover({key}).exact >= 1.0;
}

void MapCanvas::choose_maps() {
  const auto capture = workbench_.shown_capture();
  const Selection& selection = workbench_.selection();
  const bool difference = workbench_.shown() == Shown::difference && workbench_.run_a();
  const bool same =
      map_ && capture.get() == shown_ && map_->head() == selection.head && difference == other_.has_value();
  if (same) return;
  const int64_t size_before = map_ ? map_->size() : -1;
  map_.reset();
  other_.reset();
  shown_ = capture.get();
  meter_->stop();
  brush_.reset();
  if (!capture || selection.heads.empty()) return cache_->set_source(nullptr);
  auto map = AttentionMap::of(capture, selection.head, workbench_.kernels());
  if (!map.ok()) return cache_->set_source(nullptr);
  map_ = *map;
  if (difference)
    if (auto other = AttentionMap::of(workbench_.run_a()->capture, selection.head, workbench_.kernels());
        other.ok())
      other_ = *other;
  if (map_->size() != size_before) camera_.set_map(map_->size());
  sink_mass_.reset();
  const HostTensor& sinks =
      capture->layers[static_cast<size_t>(selection.head.layer.value)]->statistics.sink_mass;
  if (!sinks.empty()) {
    const auto row = sinks.slice(selection.head.head.value);
    sink_mass_ = std::make_shared<const std::vector<float>>(row.begin(), row.end());
  }
  cache_->set_source(std::make_shared<const MapTileSource>(*map_, other_));
  pointer_.reset();
}

void MapCanvas::refresh() {
  choose_maps();
  scale_ = workbench_.scale();
  if (map_) scale_.sink_keys = map_->capture().sink_keys;
  request_tiles();
  update();
}

void MapCanvas::request_tiles() {
  if (!map_) return;
  const QPointF focus =
      pointer_ ? QPointF(static_cast<double>(pointer_->key) + 0.5, static_cast<double>(pointer_->query) + 0.5)
               : camera_.visible().center();
  wish_ = wish_for(camera_, focus, devicePixelRatioF());
  cache_->want(wish_.visible, wish_.soon);
}

void MapCanvas::initializeGL() {
  renderer_ = std::make_unique<MapRenderer>();
  if (renderer_->create(failure_)) return;
  renderer_.reset();
  Q_EMIT gl_failed(failure_);
}

void MapCanvas::paint_tiles() {
  MapLook look;
  look.scale = scale_;
  look.difference = other_.has_value();
  look.causal = map_->causal();
  look.masked = palette().color(QPalette::Window).lightness() < 128 ? masked_colour_dark : masked_colour;
  look.sink_mass = sink_mass_;
  renderer_->begin(look, camera_, frame(), size(), devicePixelRatioF());
  const uint64_t generation = cache_->generation();
  const TileCover cover = cache_->cover(wish_.visible);
  for (const TilePart& part : cover.parts) renderer_->draw(part, generation);
  renderer_->end();
  exact_ = cover.exact;
  sampled_ = cover.sampled;
  has_picture_ = cover.whole;
}

// Three layers, one after the other: tiles by OpenGL, text by Qt, controls by Dear ImGui.
void MapCanvas::paintGL() {
  frame_clock_.start();
  painting_ = true;
  QOpenGLFunctions* gl = QOpenGLContext::currentContext()->functions();
  const QColor ground = palette().color(QPalette::Window);
  gl->glClearColor(static_cast<float>(ground.redF()), static_cast<float>(ground.greenF()),
                   static_cast<float>(ground.blueF()), 1.0f);
  gl->glClear(GL_COLOR_BUFFER_BIT | GL_DEPTH_BUFFER_BIT | GL_STENCIL_BUFFER_BIT);
  if (!renderer_ || !map_) {
    QPainter painter(this);
    painter.setPen(palette().color(QPalette::WindowText));
    painter.drawText(
        rect().adjusted(40, 40, -40, -40), Qt::AlignCenter | Qt::TextWordWrap,
        !renderer_ ? failure_
                   : tr("Here will be the map of the selected head: run a prompt and click a head below."));
    return;
  }
  paint_tiles();
  paint_overlay();
  const double ratio = devicePixelRatioF();
  gl->glViewport(0, 0, static_cast<int>(width() * ratio), static_cast<int>(height() * ratio));
  imgui_.begin(*this);
  paint_hud();
  imgui_.end();
}

void MapCanvas::paint_overlay() {
  MapOverlay overlay;
  overlay.frame = frame();
  overlay.camera = &camera_;
  overlay.tokens = &map_->capture().tokens;
  overlay.scale = scale_;
  overlay.difference = other_.has_value();
  overlay.blocks = wish_.level > 0;
  overlay.selection = workbench_.selection();
  overlay.brush = brush_;
  overlay.palette = palette();
  overlay.value = [this](int64_t query, int64_t key) { return known_value(query, key); };
  QPainter painter(this);
  overlay.paint(painter);
}

std::optional<float> MapCanvas::known_value(int64_t query, int64_t key) const {
  if (map_->causal() && key > query) return std::nullopt;
  const auto tile = cache_->find({0, query / tile_side, key / tile_side});
  if (!tile || tile->values.empty()) return std::nullopt;
  return tile->values[static_cast<size_t>(query % tile_side * tile->columns + key % tile_side)];
}

std::optional<MapCanvas::Cell> MapCanvas::cell_at(QPointF position) const {
  if (!map_ || !frame().contains(position)) return std::nullopt;
  const QPointF cell = camera_.to_map(position - frame().topLeft());
  const Cell at{static_cast<int64_t>(std::floor(cell.y())), static_cast<int64_t>(std::floor(cell.x()))};
  if (at.query < 0 || at.key < 0 || at.query >= map_->size() || at.key >= map_->size()) return std::nullopt;
  return at;
}

void MapCanvas::measure_brush() {
  if (!brush_ || !map_) return meter_->stop();
  const auto size = static_cast<double>(map_->size());
  const QRectF cells = brush_->intersected(QRectF(0, 0, size, size));
  meter_->measure(*map_, {static_cast<int64_t>(cells.top()), static_cast<int64_t>(cells.bottom()),
                          static_cast<int64_t>(cells.left()), static_cast<int64_t>(cells.right())});
}

void MapCanvas::resizeEvent(QResizeEvent* event) {
  QOpenGLWidget::resizeEvent(event);
  camera_.set_frame(frame().size());
  request_tiles();
}

bool MapCanvas::event(QEvent* event) {
  if (imgui_.handle(*event)) {
    update();
    event->accept();
    return true;
  }
  if (event->type() == QEvent::Leave || event->type() == QEvent::PaletteChange) {
    pointer_.reset();
    update();
  }
  return QOpenGLWidget::event(event);
}

void MapCanvas::wheelEvent(QWheelEvent* event) {
  camera_.zoom_at(event->position() - frame().topLeft(), std::pow(1.0015, event->angleDelta().y()));
  request_tiles();
  update();
  event->accept();
}

void MapCanvas::mousePressEvent(QMouseEvent* event) {
  if (event->button() != Qt::LeftButton) return;
  pressed_ = dragged_ = event->position();
  moved_ = false;
  const auto cell = cell_at(event->position());
  brush_.reset();
  meter_->stop();
  if (event->modifiers().testFlag(Qt::ShiftModifier) && cell)
    brush_from_ = {static_cast<double>(cell->key), static_cast<double>(cell->query)},
    brush_ = QRectF(brush_from_, QSizeF(1, 1));
  else
    panning_ = true;
  update();
}

void MapCanvas::mouseMoveEvent(QMouseEvent* event) {
  const auto cell = cell_at(event->position());
  if (brush_ && event->buttons().testFlag(Qt::LeftButton) && cell) {
    const QPointF to(static_cast<double>(cell->key), static_cast<double>(cell->query));
    brush_ = QRectF(QPointF(std::min(to.x(), brush_from_.x()), std::min(to.y(), brush_from_.y())),
                    QPointF(std::max(to.x(), brush_from_.x()) + 1, std::max(to.y(), brush_from_.y()) + 1));
    measure_brush();
  } else if (panning_) {
    if ((event->position() - pressed_).manhattanLength() > 4) moved_ = true;
    if (moved_) {
      camera_.pan(event->position() - dragged_);
      request_tiles();
    }
    dragged_ = event->position();
  }
  if (cell != pointer_ && cell) {
    const auto weight = map_->weight(cell->query, cell->key);
    pointer_weight_ = weight.ok() ? *weight : 0.0f;
    const HostTensor& lse = map_->capture().layers[static_cast<size_t>(map_->head().layer.value)]->lse;
    pointer_score_ = std::log(pointer_weight_) + lse.at({map_->head().head.value, cell->query});
  }
  pointer_ = cell;
  request_tiles();
  update();
}

void MapCanvas::mouseReleaseEvent(QMouseEvent* event) {
  if (panning_ && !moved_)
    if (const auto cell = cell_at(event->position()))
      workbench_.select_tokens(static_cast<int>(cell->query), static_cast<int>(cell->key));
  panning_ = false;
}

void MapCanvas::mouseDoubleClickEvent(QMouseEvent*) {
  camera_.fit();
  brush_.reset();
  meter_->stop();
  request_tiles();
  update();
}

void MapCanvas::keyPressEvent(QKeyEvent* event) {
  if (!map_) return QOpenGLWidget::keyPressEvent(event);
  int query = workbench_.selection().query, key = workbench_.selection().key;
  const int last = static_cast<int>(map_->size()) - 1;
  switch (event->key()) {
    case Qt::Key_Up:
      query = std::max(0, query - 1);
      break;
    case Qt::Key_Down:
      query = std::min(last, query + 1);
      break;
    case Qt::Key_Left:
      key = std::max(0, key - 1);
      break;
    case Qt::Key_Right:
      key = std::min(last, key + 1);
      break;
    case Qt::Key_Plus:
      camera_.zoom_at({frame().width() / 2, frame().height() / 2}, 1.25);
      break;
    case Qt::Key_Minus:
      camera_.zoom_at({frame().width() / 2, frame().height() / 2}, 0.8);
      break;
    default:
      return QOpenGLWidget::keyPressEvent(event);
  }
  if (event->key() != Qt::Key_Plus && event->key() != Qt::Key_Minus) {
    query = std::max(query, 0);
    key = std::max(key, 0);
    camera_.reveal(key, query);
    workbench_.select_tokens(query, key);
  }
  request_tiles();
  update();
}

}  // namespace saccade
