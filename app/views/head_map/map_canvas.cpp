#include "app/views/head_map/map_canvas.h"

#include <QMouseEvent>
#include <QOpenGLContext>
#include <QOpenGLFunctions>
#include <QPainter>
#include <QWheelEvent>

#include "app/views/head_map/map_overlay.h"

namespace saccade {
namespace {

// Values of one tile: the block's largest weight; for a difference the difference of the blocks' mean
// weights.
MapTile make_tile(const AttentionMap& map, const std::optional<AttentionMap>& other, const TileKey& key) {
  const int64_t lod = int64_t{1} << key.level, reach = TileCache::side * lod, n = map.size();
  const int64_t row = key.row * reach, column = key.column * reach;
  const int64_t row_end = std::min(n, row + reach), column_end = std::min(n, column + reach);
  MapTile made;
  if (row >= row_end || column >= column_end) return made;
  const auto tile = map.tile(row, row_end, column, column_end, lod);
  if (!tile.ok()) return made;
  made.rows = tile->rows;
  made.columns = tile->columns;
  const auto values = other ? tile->block_mass.values() : tile->block_max.values();
  made.values.assign(values.begin(), values.end());
  if (!other) return made;
  const auto before = other->tile(row, row_end, column, column_end, lod);
  if (!before.ok()) return {};
  const auto area = static_cast<float>(lod);  // per row of the block: rows sum to one
  for (size_t i = 0; i < made.values.size(); ++i)
    made.values[i] = (made.values[i] - before->block_mass.values()[i]) / area;
  return made;
}

}  // namespace

MapCanvas::MapCanvas(Workbench& workbench, QWidget* parent) : QOpenGLWidget(parent), workbench_(workbench) {
  setMouseTracking(true);
  setFocusPolicy(Qt::StrongFocus);
  setAccessibleName(tr("Head map"));
  setAccessibleDescription(
      tr("The attention map of the selected head; arrow keys move the selected query and key"));
  QSurfaceFormat format;
  format.setVersion(3, 3);
  format.setProfile(QSurfaceFormat::CoreProfile);
  setFormat(format);
  cache_ = std::make_unique<TileCache>([this] {
    QMetaObject::invokeMethod(
        this, [this] { update(); }, Qt::QueuedConnection);
  });
}

MapCanvas::~MapCanvas() {
  cache_.reset();
  if (context()) {
    makeCurrent();
    imgui_.shutdown();
    if (renderer_) renderer_->destroy();
    doneCurrent();
  }
}

QRectF MapCanvas::frame() const { return MapFrame::of(size()); }

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
  if (!capture || selection.heads.empty()) return cache_->set_source({});
  auto map = AttentionMap::of(capture, selection.head, workbench_.kernels());
  if (!map.ok()) return cache_->set_source({});
  map_ = *map;
  if (difference)
    if (auto other = AttentionMap::of(workbench_.run_a()->capture, selection.head, workbench_.kernels());
        other.ok())
      other_ = *other;
  if (map_->size() != size_before) camera_.set_map(map_->size());
  sink_mass_.clear();
  const HostTensor& sinks =
      capture->layers[static_cast<size_t>(selection.head.layer.value)]->statistics.sink_mass;
  if (!sinks.empty()) {
    const auto row = sinks.slice(selection.head.head.value);
    sink_mass_.assign(row.begin(), row.end());
  }
  cache_->set_source(
      [map = *map_, other = other_](const TileKey& key) { return make_tile(map, other, key); });
  pointer_.reset();
  brush_.reset();
  brush_statistics_.reset();
}

void MapCanvas::refresh() {
  choose_maps();
  scale_ = workbench_.scale();
  if (map_) scale_.sink_keys = map_->capture().sink_keys;
  request_tiles();
  update();
}

// Coarse first, so that a whole picture is there at once; then what is on screen, from the pointer outwards.
void MapCanvas::request_tiles() {
  if (!map_) return;
  const int coarsest = camera_.coarsest(TileCache::side), level = std::min(camera_.level(), coarsest);
  std::vector<TileKey> keys{{coarsest, 0, 0}};
  const double reach = static_cast<double>(TileCache::side << level);
  const QRectF seen = camera_.visible();
  std::vector<TileKey> here;
  for (auto row = static_cast<int64_t>(seen.top() / reach); static_cast<double>(row) * reach < seen.bottom();
       ++row)
    for (auto column = static_cast<int64_t>(seen.left() / reach);
         static_cast<double>(column) * reach < seen.right(); ++column)
      if (column <= row) here.push_back({level, row, column});
  const QPointF centre =
      pointer_ ? QPointF(static_cast<double>(pointer_->key), static_cast<double>(pointer_->query))
               : seen.center();
  const auto distance = [&](const TileKey& key) {
    const QPointF middle((static_cast<double>(key.column) + 0.5) * reach,
                         (static_cast<double>(key.row) + 0.5) * reach);
    return QPointF::dotProduct(middle - centre, middle - centre);
  };
  std::sort(here.begin(), here.end(),
            [&](const TileKey& a, const TileKey& b) { return distance(a) < distance(b); });
  keys.insert(keys.end(), here.begin(), here.end());
  cache_->want(std::move(keys));
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
  look.causal = map_->capture().spec.causal;
  look.masked = palette().color(QPalette::Window).lightness() < 128 ? masked_colour_dark : masked_colour;
  look.sink_mass = sink_mass_.empty() ? nullptr : &sink_mass_;
  renderer_->begin(look, camera_, frame(), size(), devicePixelRatioF());
  const int coarsest = camera_.coarsest(TileCache::side), target = std::min(camera_.level(), coarsest);
  const uint64_t generation = cache_->generation();
  const QRectF seen = camera_.visible();
  for (int level = coarsest; level >= target; --level) {
    const double reach = static_cast<double>(TileCache::side << level);
    for (auto row = static_cast<int64_t>(seen.top() / reach);
         static_cast<double>(row) * reach < seen.bottom(); ++row)
      for (auto column = static_cast<int64_t>(seen.left() / reach);
           static_cast<double>(column) * reach < seen.right(); ++column)
        if (const TileKey key{level, row, column}; const auto tile = cache_->find(key))
          renderer_->draw(key, tile, generation);
  }
  renderer_->end();
}

// Three layers, one after the other: tiles by OpenGL, text by Qt, controls by Dear ImGui.
void MapCanvas::paintGL() {
  QElapsedTimer timer;
  timer.start();
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
  frame_ms_ = static_cast<double>(timer.nsecsElapsed()) / 1e6;
}

void MapCanvas::paint_overlay() {
  MapOverlay overlay;
  overlay.frame = frame();
  overlay.camera = &camera_;
  overlay.tokens = &map_->capture().tokens;
  overlay.scale = scale_;
  overlay.difference = other_.has_value();
  overlay.selection = workbench_.selection();
  overlay.brush = brush_;
  overlay.palette = palette();
  overlay.value = [this](int64_t query, int64_t key) { return known_value(query, key); };
  QPainter painter(this);
  overlay.paint(painter);
}

std::optional<float> MapCanvas::known_value(int64_t query, int64_t key) const {
  if (map_->capture().spec.causal && key > query) return std::nullopt;
  const TileKey tile_key{0, query / TileCache::side, key / TileCache::side};
  const auto tile = cache_->find(tile_key);
  if (!tile || tile->values.empty()) return std::nullopt;
  return tile->values[static_cast<size_t>(query % TileCache::side * tile->columns + key % TileCache::side)];
}

std::optional<MapCanvas::Cell> MapCanvas::cell_at(QPointF position) const {
  if (!map_ || !frame().contains(position)) return std::nullopt;
  const QPointF cell = camera_.to_map(position - frame().topLeft());
  const Cell at{static_cast<int64_t>(std::floor(cell.y())), static_cast<int64_t>(std::floor(cell.x()))};
  if (at.query < 0 || at.key < 0 || at.query >= map_->size() || at.key >= map_->size()) return std::nullopt;
  return at;
}

// At most 256 x 256 blocks of the brushed cells: their sums are exact whatever the level.
void MapCanvas::measure_brush() {
  brush_statistics_.reset();
  if (!brush_ || !map_) return;
  const QRectF cells =
      brush_->intersected(QRectF(0, 0, static_cast<double>(map_->size()), static_cast<double>(map_->size())));
  const auto row = static_cast<int64_t>(cells.top()), column = static_cast<int64_t>(cells.left());
  const auto row_end = static_cast<int64_t>(cells.bottom()), column_end = static_cast<int64_t>(cells.right());
  if (row >= row_end || column >= column_end) return;
  int64_t lod = 1;
  while (std::max(row_end - row, column_end - column) / lod > 256) lod *= 2;
  const auto tile = map_->tile(row, row_end, column, column_end, lod);
  if (!tile.ok()) return;
  BrushStatistics statistics;
  for (const float mass : tile->block_mass.values()) statistics.sum += mass;
  for (const float high : tile->block_max.values()) statistics.highest = std::max(statistics.highest, high);
  statistics.mean = statistics.sum / static_cast<double>((row_end - row) * (column_end - column));
  brush_statistics_ = statistics;
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
  brush_statistics_.reset();
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
