#include "app/views/circuit/circuit_canvas.h"

#include <QMouseEvent>
#include <QPainter>
#include <QToolTip>
#include <algorithm>
#include <cmath>

#include "app/views/head_map/map_overlay.h"

namespace saccade {
namespace {

constexpr double left = 8.0, top = 6.0, scale_room = 96.0, reach = 6.0;

QPointF point_of(CircuitPoint point) { return {left + point.x, top + point.y}; }

QRectF box_of(const CircuitLayout::Node& node) {
  const QPointF centre = point_of(node.centre);
  return {centre.x() - CircuitLayout::node_width / 2, centre.y() - CircuitLayout::node_height / 2,
          CircuitLayout::node_width, CircuitLayout::node_height};
}

QString signed_number(double value) {
  return short_number(value).replace(QLatin1Char('-'), QStringLiteral("−"));
}

}  // namespace

CircuitCanvas::CircuitCanvas(Workbench& workbench, QWidget* parent) : QWidget(parent), workbench_(workbench) {
  setObjectName("circuit");
  setMouseTracking(true);
  setAccessibleName(tr("Circuit graph"));
  connect(&workbench, &Workbench::selection_changed, this, [this] { update(); });
}

void CircuitCanvas::show_circuit(const std::optional<CircuitGraph>& graph, size_t edges, double wide,
                                 const QString& otherwise) {
  graph_ = graph;
  otherwise_ = otherwise;
  hovered_edge_.reset();
  hovered_node_.reset();
  layout_ = graph_ ? lay_out(*graph_, edges, wide - left - scale_room) : CircuitLayout{};
  scale_.palette = Palette::red_blue;
  scale_.high = graph_ ? std::max(graph_->strongest(), 1e-12) : 1.0;
  scale_.low = -scale_.high;
  setMinimumSize(graph_ ? static_cast<int>(layout_.width + left + scale_room) : 0,
                 graph_ ? static_cast<int>(std::max(layout_.height + 2 * top, 250.0)) : 0);
  update();
}

QPointF CircuitCanvas::place_of(const std::string& node) const {
  for (const CircuitLayout::Node& placed : layout_.nodes)
    if (graph_->nodes()[placed.node].name == node) return point_of(placed.centre);
  return {};
}

// Never paler than can be seen on the background: the middle of a diverging map is white.
QColor CircuitCanvas::colour_of(double effect) const {
  const double share = std::clamp(std::abs(effect) / scale_.high, 0.0, 1.0);
  const Rgb rgb = scale_.colour(std::copysign((0.5 + 0.5 * share) * scale_.high, effect));
  return {rgb.r, rgb.g, rgb.b};
}

void CircuitCanvas::paint_edges(QPainter& painter) const {
  painter.setBrush(Qt::NoBrush);
  for (const CircuitLayout::Edge& edge : layout_.edges) {
    const CircuitEdge& what = graph_->edges()[edge.edge];
    const bool named = hovered_edge_ == edge.edge ||
                       (hovered_node_ && (what.from == *hovered_node_ || what.to == *hovered_node_));
    QColor ink = colour_of(what.effect);
    if (hovered_node_ && !named) ink.setAlpha(50);
    QPen pen(ink, edge.width + (named ? 1.2 : 0.0));
    pen.setCapStyle(Qt::FlatCap);
    if (what.effect < 0.0) pen.setDashPattern({6.0 / pen.widthF() + 1.0, 3.5 / pen.widthF() + 0.8});
    painter.setPen(pen);
    QPolygonF line;
    for (const CircuitPoint point : edge.path) line << point_of(point);
    painter.drawPolyline(line);
  }
}

void CircuitCanvas::paint_nodes(QPainter& painter) const {
  painter.setPen(palette().color(QPalette::PlaceholderText));
  for (const CircuitLayout::Row& row : layout_.rows)
    painter.drawText(QRectF(left, top + row.y - 10.0, 60.0, 20.0), Qt::AlignLeft | Qt::AlignVCenter,
                     QString::fromStdString(row.label));
  const auto& selected = workbench_.selection().heads;
  const QFontMetricsF metrics(font());
  for (const CircuitLayout::Node& placed : layout_.nodes) {
    const CircuitNode& node = graph_->nodes()[placed.node];
    const bool is_head = node.kind == CircuitNodeKind::head;
    const bool chosen = is_head && std::find(selected.begin(), selected.end(), node.head) != selected.end();
    painter.setBrush(is_head ? palette().base() : palette().button());
    painter.setPen(chosen
                       ? QPen(palette().color(QPalette::Highlight), 3)
                       : QPen(palette().color(QPalette::WindowText), hovered_node_ == placed.node ? 2 : 1));
    const double round = node.kind == CircuitNodeKind::mlp ? 0.0 : 5.0;
    painter.drawRoundedRect(box_of(placed), round, round);
    painter.setPen(palette().color(QPalette::Text));
    painter.drawText(box_of(placed), Qt::AlignCenter,
                     metrics.elidedText(QString::fromStdString(node.name), Qt::ElideRight,
                                        CircuitLayout::node_width - 2.0));
  }
}

void CircuitCanvas::paint_scale(QPainter& painter) const {
  const double x = std::max(left + layout_.width + 12.0, width() - scale_room + 8.0);
  double y = top + 8.0;
  painter.setPen(palette().color(QPalette::WindowText));
  painter.drawText(QRectF(x, y, scale_room, 18.0), Qt::AlignLeft, tr("effect"));
  for (const double share : {1.0, 0.5, 0.1, -0.1, -0.5, -1.0}) {
    y += 22.0;
    const double effect = share * scale_.high;
    QPen pen(colour_of(effect), 0.6 + 4.4 * std::abs(share));
    pen.setCapStyle(Qt::FlatCap);
    if (effect < 0.0) pen.setDashPattern({6.0 / pen.widthF() + 1.0, 3.5 / pen.widthF() + 0.8});
    painter.setPen(pen);
    painter.drawLine(QPointF(x, y + 9.0), QPointF(x + 30.0, y + 9.0));
    painter.setPen(palette().color(QPalette::WindowText));
    painter.drawText(QRectF(x + 36.0, y, 60.0, 18.0), Qt::AlignLeft | Qt::AlignVCenter,
                     signed_number(effect));
  }
}

void CircuitCanvas::paintEvent(QPaintEvent* /*event*/) {
  QPainter painter(this);
  painter.setRenderHint(QPainter::Antialiasing);
  if (!graph_) {
    painter.drawText(rect().adjusted(40, 0, -40, 0), Qt::AlignCenter | Qt::TextWordWrap, otherwise_);
    return;
  }
  paint_edges(painter);
  paint_nodes(painter);
  paint_scale(painter);
}

const CircuitLayout::Node* CircuitCanvas::node_at(QPointF at) const {
  for (const CircuitLayout::Node& node : layout_.nodes)
    if (box_of(node).contains(at)) return &node;
  return nullptr;
}

const CircuitLayout::Edge* CircuitCanvas::edge_at(QPointF at) const {
  const CircuitLayout::Edge* nearest = nullptr;
  double least = reach;
  for (const CircuitLayout::Edge& edge : layout_.edges)
    for (const CircuitPoint point : edge.path) {
      const QPointF place = point_of(point);
      const double distance = std::hypot(place.x() - at.x(), place.y() - at.y());
      if (distance >= least) continue;
      least = distance;
      nearest = &edge;
    }
  return nearest;
}

void CircuitCanvas::mouseMoveEvent(QMouseEvent* event) {
  if (!graph_) return;
  const CircuitLayout::Node* node = node_at(event->position());
  const CircuitLayout::Edge* edge = node ? nullptr : edge_at(event->position());
  const auto node_now = node ? std::optional(node->node) : std::nullopt;
  const auto edge_now = edge ? std::optional(edge->edge) : std::nullopt;
  if (node_now != hovered_node_ || edge_now != hovered_edge_) update();
  hovered_node_ = node_now;
  hovered_edge_ = edge_now;
  QString text;
  if (node) {
    const CircuitNode& what = graph_->nodes()[node->node];
    text = QString::fromStdString(what.name);
    if (std::isfinite(what.effect)) text += tr("\neffect %1").arg(what.effect, 0, 'g', 6);
  } else if (edge) {
    const CircuitEdge& what = graph_->edges()[edge->edge];
    QString to = QString::fromStdString(graph_->nodes()[what.to].name);
    if (what.input) to += QStringLiteral(".%1").arg(QLatin1Char(what.input));
    text = tr("%1 → %2\neffect %3")
               .arg(QString::fromStdString(graph_->nodes()[what.from].name), to)
               .arg(what.effect, 0, 'g', 6);
  }
  text.isEmpty() ? QToolTip::hideText() : QToolTip::showText(event->globalPosition().toPoint(), text, this);
}

void CircuitCanvas::mousePressEvent(QMouseEvent* event) {
  const CircuitLayout::Node* node = graph_ ? node_at(event->position()) : nullptr;
  if (!node || graph_->nodes()[node->node].kind != CircuitNodeKind::head) return;
  const HeadId head = graph_->nodes()[node->node].head;
  if (event->modifiers().testFlag(Qt::ControlModifier) || event->modifiers().testFlag(Qt::ShiftModifier))
    return workbench_.select_head(head, true);
  workbench_.select_known_heads({head});
}

void CircuitCanvas::leaveEvent(QEvent* /*event*/) {
  hovered_edge_.reset();
  hovered_node_.reset();
  update();
}

}  // namespace saccade
