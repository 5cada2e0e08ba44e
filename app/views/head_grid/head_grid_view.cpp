#include "app/views/head_grid/head_grid_view.h"

#include <QHBoxLayout>
#include <QHelpEvent>
#include <QLabel>
#include <QMouseEvent>
#include <QPainter>
#include <QToolTip>
#include <QVBoxLayout>
#include <algorithm>
#include <cmath>

#include "analysis/field_slice.h"
#include "app/views/head_map/map_overlay.h"

namespace saccade {
namespace {

constexpr int gap = 6, left = 34, top = 20, right = 76;

bool two_dimensional(const Field& field) { return field.has_axes({AxisKind::layer, AxisKind::head}); }

}  // namespace

HeadGridView::HeadGridView(Workbench& workbench, QWidget* parent) : View(workbench, parent) {
  thumbnails_ = std::make_unique<Thumbnails>([this] {
    QMetaObject::invokeMethod(
        this, [this] { canvas_->update(); }, Qt::QueuedConnection);
  });
  score_ = new QComboBox(this);
  score_->setObjectName("grid_score");
  score_->setAccessibleName(tr("What the head grid shows"));
  score_->setMinimumWidth(190);
  order_ = new QComboBox(this);
  order_->addItems({tr("layers down, heads across"), tr("by score")});
  order_->setAccessibleName(tr("Order of the head grid"));
  filter_ = new QLineEdit(this);
  filter_->setPlaceholderText(tr("filter: 5.1, 5.*, 3-7.0"));
  filter_->setClearButtonEnabled(true);
  filter_->setMinimumWidth(130);
  filter_->setMaximumWidth(180);
  filter_->setAccessibleName(tr("Filter heads"));
  auto* bar = new QHBoxLayout;
  bar->addWidget(new QLabel(tr("Show")));
  bar->addWidget(score_);
  bar->addWidget(order_);
  bar->addWidget(filter_);
  bar->addStretch(1);
  auto* hint = new QLabel(tr("Z zeroes, X isolates"));
  hint->setToolTip(tr("click selects, Ctrl-click adds, drag a box selects many"));
  hint->setEnabled(false);
  bar->addWidget(hint);
  scroll_ = new QScrollArea(this);
  scroll_->setFrameShape(QFrame::NoFrame);
  canvas_ = new HeadGridCanvas(workbench, *thumbnails_, scroll_);
  scroll_->setWidget(canvas_);
  auto* layout = new QVBoxLayout(this);
  layout->setContentsMargins(8, 4, 8, 4);
  layout->setSpacing(4);
  layout->addLayout(bar);
  layout->addWidget(scroll_, 1);

  connect(score_, &QComboBox::activated, this,
          [this](int index) { this->workbench().set_score(score_->itemData(index).toString()); });
  connect(order_, &QComboBox::activated, this, [this](int index) { canvas_->set_order(index == 1); });
  connect(filter_, &QLineEdit::textChanged, canvas_, &HeadGridCanvas::set_filter);
  for (const auto signal : {&Workbench::runs_changed, &Workbench::selection_changed,
                            &Workbench::scores_changed, &Workbench::scale_changed, &Workbench::edits_changed})
    connect(&workbench, signal, this, [this] { touch(); });
}

HeadGridView::~HeadGridView() { thumbnails_.reset(); }

bool HeadGridView::complete() const { return thumbnails_->complete() && canvas_->complete(); }

QRect HeadGridView::rectangle_of(HeadId head) const {
  const QRect inside = canvas_->rectangle_of(head);
  return inside.isEmpty() ? inside : QRect(canvas_->mapTo(this, inside.topLeft()), inside.size());
}

void HeadGridView::fill_scores() {
  QStringList names{QString()}, labels{tr("thumbnails")}, known;
  if (!regions_shown(workbench()).empty()) {
    names << QString::fromLatin1(HeadGallery::key);
    labels << tr("over the picture");
  }
  for (const HeadColumn& column : workbench().head_columns()) {
    names << QString::fromStdString(column.name);
    labels << QString::fromStdString(column.label);
  }
  for (int i = 0; i < score_->count(); ++i) known << score_->itemData(i).toString();
  if (known != names) {
    score_->clear();
    for (int i = 0; i < names.size(); ++i) score_->addItem(labels[i], names[i]);
  }
  score_->setCurrentIndex(std::max(0, score_->findData(workbench().score_shown())));
}

void HeadGridView::resizeEvent(QResizeEvent* event) {
  View::resizeEvent(event);
  canvas_->fit(scroll_->viewport()->size());
}

void HeadGridView::refresh() {
  thumbnails_->set(workbench().shown_capture(), workbench().kernels());
  fill_scores();
  canvas_->fit(scroll_->viewport()->size());
  canvas_->refresh();
}

HeadGridCanvas::HeadGridCanvas(Workbench& workbench, const Thumbnails& thumbnails, QWidget* parent)
    : QWidget(parent), workbench_(workbench), thumbnails_(thumbnails), gallery_(workbench) {
  setFocusPolicy(Qt::StrongFocus);
  setMouseTracking(true);
  setAccessibleName(tr("Head grid"));
  setAccessibleDescription(tr("A small map of every head; arrow keys move the selection"));
}

const HeadColumn* HeadGridCanvas::score() const {
  const HeadColumn* column = workbench_.head_column(workbench_.score_shown());
  const auto capture = workbench_.shown_capture();
  if (!column || !capture) return nullptr;
  const std::vector<int64_t> shape{capture->spec.n_layer, capture->spec.n_head};
  return column->values.shape() == shape ? column : nullptr;
}

ColourScale HeadGridCanvas::scale_shown() const {
  if (gallery_.shown()) return gallery_.scale();
  const HeadColumn* column = score();
  return column ? scale_of(column->kind, column->values.values(), workbench_.scale().palette)
                : workbench_.scale();
}

void HeadGridCanvas::refresh() { arrange(); }

void HeadGridCanvas::fit(const QSize& viewport) {
  viewport_ = viewport;
  arrange();
}

void HeadGridCanvas::arrange() {
  heads_.clear();
  const auto capture = workbench_.shown_capture();
  if (capture) {
    HeadTarget target;
    bool everything = filter_.isEmpty();
    if (!everything) {
      const auto parsed = parse_edit("zero " + filter_.toStdString());
      everything = !parsed.ok() || !std::holds_alternative<HeadTarget>(parsed->target);
      if (!everything) target = std::get<HeadTarget>(parsed->target);
    }
    heads_ = heads_of(everything ? HeadTarget{} : target, capture->spec);
    columns_ = capture->spec.n_head;
    if (const HeadColumn* field = score(); field && by_score_) {
      std::stable_sort(heads_.begin(), heads_.end(), [&](HeadId a, HeadId b) {
        return field->values.at({a.layer.value, a.head.value}) >
               field->values.at({b.layer.value, b.head.value});
      });
    }
    if (by_score_ || !everything)
      columns_ = std::max(1, std::min<int>(static_cast<int>(heads_.size()),
                                           (viewport_.width() - left - right) / (cell_ + gap)));
    const int rows = (static_cast<int>(heads_.size()) + columns_ - 1) / std::max(columns_, 1);
    const int wide = (viewport_.width() - left - right) / std::max(columns_, 1) - gap;
    const int high = (viewport_.height() - top - 4) / std::max(rows, 1) - gap;
    cell_ = std::clamp(std::min(wide, std::max(high, 44)), 28, 150);
    resize(std::max(viewport_.width(), left + columns_ * (cell_ + gap) + right),
           std::max(viewport_.height(), top + rows * (cell_ + gap) + 4));
  } else {
    resize(viewport_);
  }
  gallery_.refresh(cell_);
  update();
}

QRect HeadGridCanvas::rectangle_of(HeadId head) const {
  const auto found = std::find(heads_.begin(), heads_.end(), head);
  if (found == heads_.end()) return {};
  const int at = static_cast<int>(found - heads_.begin());
  return {left + at % columns_ * (cell_ + gap), top + at / columns_ * (cell_ + gap), cell_, cell_};
}

std::optional<HeadId> HeadGridCanvas::head_at(QPoint position) const {
  for (const HeadId head : heads_)
    if (rectangle_of(head).contains(position)) return head;
  return std::nullopt;
}

bool HeadGridCanvas::is_zeroed(HeadId head) const {
  for (const Edit& edit : workbench_.edits().edits())
    if (const auto* heads = std::get_if<HeadTarget>(&edit.target);
        heads && edit.enabled && edit.verb == EditVerb::zero)
      if (heads->layers.contains(head.layer.value) && heads->heads.contains(head.head.value)) return true;
  return false;
}

bool HeadGridCanvas::is_edited(HeadId head) const {
  for (const Edit& edit : workbench_.edits().edits())
    if (const auto* heads = std::get_if<HeadTarget>(&edit.target); heads && has_effect(edit))
      if (heads->layers.contains(head.layer.value) && heads->heads.contains(head.head.value)) return true;
  return false;
}

QImage HeadGridCanvas::image_of(const Tile& tile) const {
  QImage image(static_cast<int>(tile.columns), static_cast<int>(tile.rows), QImage::Format_RGB32);
  const ColourScale& scale = workbench_.scale();
  const Rgb unseen = palette().color(QPalette::Window).lightness() < 128 ? masked_colour_dark : masked_colour;
  const auto values = tile.block_max.values();
  const int64_t lod = tile.request.lod;
  const bool causal = !workbench_.run_a() || workbench_.run_a()->capture->spec.looks_back();
  for (int64_t r = 0; r < tile.rows; ++r)
    for (int64_t c = 0; c < tile.columns; ++c) {
      const bool masked =
          (causal && c > r) || (scale.mode >= SinkMode::hide_sinks && c * lod < scale.sink_keys);
      const Rgb rgb = masked ? unseen : scale.colour(values[static_cast<size_t>(r * tile.columns + c)]);
      image.setPixel(static_cast<int>(c), static_cast<int>(r), qRgb(rgb.r, rgb.g, rgb.b));
    }
  return image;
}

void HeadGridCanvas::paint_head(QPainter& painter, HeadId head, const QRect& cell) {
  const auto capture = workbench_.shown_capture();
  const size_t index = static_cast<size_t>(head.layer.value * capture->spec.n_head + head.head.value);
  if (gallery_.shown()) {
    gallery_.paint(painter, head, cell);
  } else if (const HeadColumn* field = score()) {
    const float value = field->values.at({head.layer.value, head.head.value});
    const ColourScale scale = scale_shown();
    const Rgb rgb = std::isfinite(value) ? scale.colour(value) : masked_colour;
    painter.fillRect(cell, QColor(rgb.r, rgb.g, rgb.b));
    painter.setPen(0.299 * rgb.r + 0.587 * rgb.g + 0.114 * rgb.b > 140 ? Qt::black : Qt::white);
    painter.drawText(cell, Qt::AlignCenter, std::isfinite(value) ? short_number(value) : QStringLiteral("–"));
  } else if (const auto tile = thumbnails_.tile(index); tile && tile->rows > 0) {
    painter.setRenderHint(QPainter::SmoothPixmapTransform, tile->rows > cell.height());
    painter.drawImage(cell, image_of(*tile));
  } else {
    painter.fillRect(cell, palette().alternateBase());
  }
  const auto& selected = workbench_.selection().heads;
  const bool chosen = std::find(selected.begin(), selected.end(), head) != selected.end();
  painter.setBrush(Qt::NoBrush);
  if (chosen) {
    painter.setPen(QPen(palette().color(QPalette::Highlight), head == workbench_.selection().head ? 3 : 2));
    painter.drawRect(cell.adjusted(-2, -2, 1, 1));
  }
  if (is_zeroed(head)) {
    painter.setRenderHint(QPainter::Antialiasing);
    painter.setPen(QPen(QColor(214, 40, 40), 2.5));
    painter.drawLine(cell.topLeft() + QPoint(3, 3), cell.bottomRight() - QPoint(3, 3));
    painter.drawLine(cell.topRight() + QPoint(-3, 3), cell.bottomLeft() - QPoint(-3, 3));
    painter.setRenderHint(QPainter::Antialiasing, false);
  } else if (is_edited(head)) {
    painter.fillRect(QRect(cell.right() - 9, cell.top() + 2, 8, 8), QColor(255, 140, 0));
  }
}

void HeadGridCanvas::paint_scale(QPainter& painter) {
  const ColourScale scale = scale_shown();
  const double least = scale.mode == SinkMode::logarithmic ? scale.log_floor : scale.low;
  const auto& table = table_of(scale.palette);
  const int x = left + std::min(columns_, std::max(1, static_cast<int>(heads_.size()))) * (cell_ + gap) + 10;
  const QRect bar(x, top + 4, 10, std::clamp(height() - top - 24, 40, 140));
  for (int y = 0; y < bar.height(); ++y) {
    const Rgb rgb = table[static_cast<size_t>(255 - y * 255 / std::max(1, bar.height() - 1))];
    painter.fillRect(bar.x(), bar.y() + y, bar.width(), 1, QColor(rgb.r, rgb.g, rgb.b));
  }
  painter.setPen(palette().color(QPalette::WindowText));
  painter.drawText(bar.right() + 5, bar.top() + 9, short_number(scale.high));
  painter.drawText(bar.right() + 5, bar.bottom() + 1, short_number(least));
}

void HeadGridCanvas::paintEvent(QPaintEvent* event) {
  QPainter painter(this);
  const auto capture = workbench_.shown_capture();
  if (!capture) {
    painter.drawText(rect().adjusted(40, 0, -40, 0), Qt::AlignCenter | Qt::TextWordWrap,
                     tr("Here will be a small map of every head. Open a model (Ctrl+O, or drop a folder "
                        "here) and run a prompt."));
    return;
  }
  painter.setPen(palette().color(QPalette::WindowText));
  const bool regular = !by_score_ && static_cast<int>(heads_.size()) == capture->spec.n_heads_total();
  if (regular) {
    const int step = cell_ < 20 ? 4 : 1;
    for (int h = 0; h < capture->spec.n_head; h += step)
      painter.drawText(QRect(left + h * (cell_ + gap), 0, cell_, top - 2), Qt::AlignCenter,
                       QString::number(h));
    for (int l = 0; l < capture->spec.n_layer; ++l)
      painter.drawText(QRect(0, top + l * (cell_ + gap), left - 6, cell_), Qt::AlignRight | Qt::AlignVCenter,
                       QStringLiteral("L%1").arg(l));
  }
  gallery_.begin_frame(6.0);
  for (const HeadId head : heads_) {
    const QRect cell = rectangle_of(head);
    if (!event->rect().intersects(cell.adjusted(-3, -gap - 10, 3, 3))) continue;
    paint_head(painter, head, cell);
    if (regular) continue;
    painter.setPen(palette().color(QPalette::WindowText));
    painter.drawText(QRect(cell.left(), cell.top() - gap - 8, cell.width(), 12), Qt::AlignCenter,
                     QString::fromStdString(to_string(head)));
  }
  gallery_.end_frame();
  if (gallery_.shown() && gallery_.wants_more())
    QMetaObject::invokeMethod(
        this, [this] { update(); }, Qt::QueuedConnection);
  paint_scale(painter);
  if (!rubber_.isEmpty()) {
    painter.setPen(QPen(palette().color(QPalette::Highlight), 1, Qt::DashLine));
    painter.drawRect(rubber_);
  }
}

void HeadGridCanvas::mousePressEvent(QMouseEvent* event) {
  pressed_ = event->pos();
  rubber_ = {};
  setFocus();
}

void HeadGridCanvas::mouseMoveEvent(QMouseEvent* event) {
  if (!event->buttons().testFlag(Qt::LeftButton)) return;
  if ((event->pos() - pressed_).manhattanLength() > 8) rubber_ = QRect(pressed_, event->pos()).normalized();
  update();
}

void HeadGridCanvas::mouseReleaseEvent(QMouseEvent* event) {
  if (!rubber_.isEmpty()) {
    std::vector<HeadId> inside;
    for (const HeadId head : heads_)
      if (rectangle_of(head).intersects(rubber_)) inside.push_back(head);
    rubber_ = {};
    workbench_.select_heads(inside);
    update();
    return;
  }
  if (const auto head = head_at(event->pos()))
    workbench_.select_head(*head, event->modifiers().testFlag(Qt::ControlModifier) ||
                                      event->modifiers().testFlag(Qt::ShiftModifier));
}

void HeadGridCanvas::keyPressEvent(QKeyEvent* event) {
  const auto found = std::find(heads_.begin(), heads_.end(), workbench_.selection().head);
  if (found == heads_.end()) return QWidget::keyPressEvent(event);
  auto at = static_cast<int>(found - heads_.begin());
  switch (event->key()) {
    case Qt::Key_Left:
      --at;
      break;
    case Qt::Key_Right:
      ++at;
      break;
    case Qt::Key_Up:
      at -= columns_;
      break;
    case Qt::Key_Down:
      at += columns_;
      break;
    default:
      return QWidget::keyPressEvent(event);
  }
  if (at >= 0 && at < static_cast<int>(heads_.size()))
    workbench_.select_head(heads_[static_cast<size_t>(at)], event->modifiers().testFlag(Qt::ShiftModifier));
}

QString HeadGridCanvas::describe(HeadId head) const {
  QString text = QStringLiteral("<b>%1</b>").arg(QString::fromStdString(to_string(head)));
  if (const HeadColumn* column = score(); column && workbench_.score_shown().contains(QLatin1Char(':')))
    text += QStringLiteral("<br><b>%1: %2 %3</b>")
                .arg(QString::fromStdString(column->label),
                     QString::number(column->values.at({head.layer.value, head.head.value}), 'g', 5),
                     QString::fromStdString(column->unit));
  if (const auto& scores = workbench_.head_scores())
    for (const Field& field : scores->fields)
      if (two_dimensional(field))
        text += QStringLiteral("<br>%1: %2 %3")
                    .arg(QString::fromStdString(field.label),
                         QString::number(field.values.at({head.layer.value, head.head.value}), 'g', 5),
                         QString::fromStdString(field.unit));
  return text;
}

bool HeadGridCanvas::event(QEvent* event) {
  if (event->type() == QEvent::ToolTip) {
    const auto* help = static_cast<QHelpEvent*>(event);
    if (const auto head = head_at(help->pos()))
      QToolTip::showText(help->globalPos(), describe(*head), this);
    else
      QToolTip::hideText();
    return true;
  }
  return QWidget::event(event);
}

}  // namespace saccade
