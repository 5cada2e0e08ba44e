#include "app/views/arcs/arcs_view.h"

#include <QHBoxLayout>
#include <QLabel>
#include <QMouseEvent>
#include <QPainter>
#include <QPainterPath>
#include <algorithm>

namespace saccade {
namespace {

constexpr int line = 22, top = 44, most_tokens = 240;
// Okabe and Ito's colours, which colour-blind readers can tell apart.
const QColor colours[] = {{0, 114, 178}, {213, 94, 0},   {0, 158, 115},   {204, 121, 167},
                          {230, 159, 0}, {86, 180, 233}, {117, 112, 179}, {120, 120, 120}};

}  // namespace

ArcsView::ArcsView(Workbench& workbench, QWidget* parent) : View(workbench, parent) {
  canvas_ = new ArcsCanvas(workbench);
  auto* scroll = new QScrollArea(this);
  scroll->setWidget(canvas_);
  scroll->setWidgetResizable(true);
  scroll->setFrameShape(QFrame::NoFrame);
  threshold_ = new QSlider(Qt::Horizontal, this);
  threshold_->setRange(0, 50);
  threshold_->setValue(5);
  threshold_->setFixedWidth(160);
  threshold_->setAccessibleName(tr("Smallest weight drawn"));
  auto* label = new QLabel(this);
  auto* bar = new QHBoxLayout;
  bar->addWidget(
      new QLabel(tr("query → key · hover a token for its numbers · double-click a head isolates it")));
  bar->addStretch(1);
  bar->addWidget(label);
  bar->addWidget(threshold_);
  auto* layout = new QVBoxLayout(this);
  layout->setContentsMargins(8, 8, 8, 8);
  layout->addLayout(bar);
  layout->addWidget(scroll, 1);
  const auto show_threshold = [this, label](int value) {
    label->setText(tr("at least %1").arg(value / 100.0, 0, 'f', 2));
    canvas_->set_threshold(value / 100.0);
  };
  show_threshold(threshold_->value());
  connect(threshold_, &QSlider::valueChanged, this, show_threshold);
  connect(&workbench, &Workbench::runs_changed, this, [this] { touch(); });
  connect(&workbench, &Workbench::selection_changed, this, [this] { touch(); });
}

void ArcsView::refresh() { canvas_->refresh(); }

ArcsCanvas::ArcsCanvas(Workbench& workbench, QWidget* parent) : QWidget(parent), workbench_(workbench) {
  setMouseTracking(true);
  setAccessibleName(tr("Arcs between tokens"));
}

void ArcsCanvas::set_threshold(double threshold) {
  threshold_ = threshold;
  update();
}

void ArcsCanvas::refresh() {
  capture_ = workbench_.shown_capture();
  drawn_.clear();
  if (!capture_) return update();
  const auto n = static_cast<int>(capture_->n_token());
  count_ = std::min(n, most_tokens);
  const int query = workbench_.selection().query;
  first_ = n <= most_tokens ? 0 : std::clamp((query < 0 ? n : query) - most_tokens / 2, 0, n - count_);
  for (const HeadId head : workbench_.selection().heads) {
    if (drawn_.size() == std::size(colours)) break;
    const auto map = AttentionMap::of(capture_, head, workbench_.kernels());
    if (!map.ok()) continue;
    const auto tile = map->tile(first_, first_ + count_, first_, first_ + count_, 1);
    if (tile.ok())
      drawn_.push_back({head, {tile->block_max.values().begin(), tile->block_max.values().end()}});
  }
  setMinimumHeight(top + count_ * line + 12);
  update();
}

double ArcsCanvas::y_of(int token) const { return top + (token - first_ + 0.5) * line; }

int ArcsCanvas::token_at(double y) const {
  const int row = static_cast<int>((y - top) / line);
  return y < top || row >= count_ ? -1 : first_ + row;
}

int ArcsCanvas::chip_at(QPoint position) const {
  if (position.y() > 28 || position.x() < 8) return -1;
  const int at = (position.x() - 8) / 62;
  return at < static_cast<int>(drawn_.size()) ? at : -1;
}

void ArcsCanvas::paint_chips(QPainter& painter) const {
  for (size_t i = 0; i < drawn_.size(); ++i) {
    const QRectF chip(8 + 62.0 * static_cast<double>(i), 4, 56, 22);
    painter.setPen(Qt::NoPen);
    painter.setBrush(colours[i]);
    painter.drawRoundedRect(chip, 4, 4);
    painter.setPen(Qt::white);
    painter.drawText(chip, Qt::AlignCenter, QString::fromStdString(to_string(drawn_[i].head)));
  }
  if (capture_->n_token() > count_) {
    painter.setPen(palette().color(QPalette::WindowText));
    painter.drawText(QRectF(8, 24, width() - 16, 18), Qt::AlignRight,
                     tr("tokens %1–%2 of %3, around the selected query")
                         .arg(first_)
                         .arg(first_ + count_ - 1)
                         .arg(capture_->n_token()));
  }
}

void ArcsCanvas::paint_edges(QPainter& painter, const Drawn& drawn, const QColor& colour) const {
  const double left = width() * 0.30, right = width() * 0.70;
  const int only = hovered_ >= 0 ? hovered_ : workbench_.selection().query;
  for (int q = 0; q < count_; ++q) {
    if (only >= 0 && first_ + q != only) continue;
    for (int k = 0; k <= q; ++k) {
      const float weight = drawn.weights[static_cast<size_t>(q * count_ + k)];
      if (weight < threshold_ || weight <= 0) continue;
      QColor ink = colour;
      ink.setAlphaF(std::clamp(0.12f + 0.88f * weight, 0.0f, 1.0f));
      painter.setPen(QPen(ink, 0.8 + 2.4 * static_cast<double>(weight)));
      const QPointF from(left, y_of(first_ + q)), to(right, y_of(first_ + k));
      QPainterPath path(from);
      path.cubicTo(from + QPointF(width() * 0.14, 0), to - QPointF(width() * 0.14, 0), to);
      painter.setBrush(Qt::NoBrush);
      painter.drawPath(path);
      if (only < 0) continue;
      painter.setPen(palette().color(QPalette::WindowText));
      const double aside = 8 + 62.0 * static_cast<double>(&drawn - drawn_.data());
      if (weight >= 0.005f)
        painter.drawText(QRectF(width() - 200 + aside * 0.6, to.y() - 10, 60, 20),
                         Qt::AlignLeft | Qt::AlignVCenter,
                         QStringLiteral("%1 %").arg(100 * weight, 0, 'f', 1));
    }
  }
}

void ArcsCanvas::paint_tokens(QPainter& painter) const {
  const QFontMetricsF metrics(font());
  for (int t = first_; t < first_ + count_; ++t) {
    const QString text =
        metrics.elidedText(QString::fromStdString(display_text(capture_->tokens[static_cast<size_t>(t)])),
                           Qt::ElideRight, width() * 0.22);
    const Selection& selection = workbench_.selection();
    const auto draw = [&](bool query) {
      const bool chosen = t == (query ? selection.query : selection.key) || t == hovered_;
      QFont face = font();
      face.setBold(chosen);
      painter.setFont(face);
      painter.setPen(palette().color(chosen ? QPalette::Highlight : QPalette::WindowText));
      const QRectF area(query ? width() * 0.05 : width() * 0.70 + 8, y_of(t) - line / 2.0, width() * 0.25 - 8,
                        line);
      painter.drawText(area, (query ? Qt::AlignRight : Qt::AlignLeft) | Qt::AlignVCenter, text);
    };
    draw(true);
    draw(false);
  }
}

void ArcsCanvas::paintEvent(QPaintEvent*) {
  QPainter painter(this);
  painter.setRenderHint(QPainter::Antialiasing);
  if (!capture_ || drawn_.empty()) {
    painter.drawText(rect().adjusted(40, 0, -40, 0), Qt::AlignCenter | Qt::TextWordWrap,
                     tr("Lines between tokens will be here: run a prompt and select heads in the grid "
                        "(Ctrl-click adds)."));
    return;
  }
  paint_chips(painter);
  for (size_t i = 0; i < drawn_.size(); ++i) paint_edges(painter, drawn_[i], colours[i]);
  paint_tokens(painter);
}

void ArcsCanvas::mouseMoveEvent(QMouseEvent* event) {
  const int token = capture_ ? token_at(event->position().y()) : -1;
  if (token == hovered_) return;
  hovered_ = token;
  update();
}

void ArcsCanvas::leaveEvent(QEvent*) {
  hovered_ = -1;
  update();
}

void ArcsCanvas::mousePressEvent(QMouseEvent* event) {
  if (const int chip = chip_at(event->pos()); chip >= 0)
    return workbench_.select_head(drawn_[static_cast<size_t>(chip)].head, true);
  const int token = capture_ ? token_at(event->position().y()) : -1;
  const Selection& now = workbench_.selection();
  if (token < 0) return workbench_.select_tokens(-1, -1);
  if (event->position().x() < width() / 2.0)
    workbench_.select_tokens(token == now.query ? -1 : token, now.key);
  else
    workbench_.select_tokens(now.query, token == now.key ? -1 : token);
}

void ArcsCanvas::mouseDoubleClickEvent(QMouseEvent* event) {
  const int chip = chip_at(event->pos());
  if (chip < 0) return;
  if (restore_.empty()) {
    restore_ = workbench_.selection().heads;
    workbench_.select_heads({drawn_[static_cast<size_t>(chip)].head});
  } else {
    workbench_.select_heads(std::exchange(restore_, {}));
  }
}

}  // namespace saccade
