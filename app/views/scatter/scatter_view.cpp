#include "app/views/scatter/scatter_view.h"

#include <QApplication>
#include <QClipboard>
#include <QFileDialog>
#include <QHBoxLayout>
#include <QToolButton>
#include <QVBoxLayout>
#include <algorithm>
#include <cmath>

#include "analysis/export/result_figures.h"
#include "app/views/scatter/scatter_canvas.h"

namespace saccade {
namespace {

QComboBox* make_choice(QWidget* parent, const char* name, const QString& meaning) {
  auto* box = new QComboBox(parent);
  box->setObjectName(name);
  box->setAccessibleName(meaning);
  box->setToolTip(meaning);
  box->setSizeAdjustPolicy(QComboBox::AdjustToMinimumContentsLengthWithIcon);
  box->setMinimumContentsLength(14);
  return box;
}

}  // namespace

ScatterView::ScatterView(Workbench& workbench, QWidget* parent) : View(workbench, parent) {
  x_ = make_choice(this, "scatter_x", tr("What is drawn to the right"));
  y_ = make_choice(this, "scatter_y", tr("What is drawn upwards"));
  together_ = new QLabel(this);
  together_->setObjectName("scatter_correlation");
  together_->setTextInteractionFlags(Qt::TextSelectableByMouse);
  auto* copy = new QToolButton(this);
  copy->setText(tr("Copy"));
  copy->setToolTip(tr("Copy the picture"));
  auto* save = new QToolButton(this);
  save->setText(tr("Save…"));
  save->setToolTip(tr("Save as a figure (SVG, PDF, PNG)"));
  canvas_ = new ScatterCanvas(workbench, this);
  auto* bar = new QHBoxLayout;
  bar->addWidget(y_, 1);
  bar->addWidget(new QLabel(tr("against"), this));
  bar->addWidget(x_, 1);
  bar->addWidget(together_);
  bar->addWidget(copy);
  bar->addWidget(save);
  auto* layout = new QVBoxLayout(this);
  layout->setContentsMargins(8, 8, 8, 8);
  layout->addLayout(bar);
  layout->addWidget(canvas_, 1);
  connect(x_, &QComboBox::activated, this, &ScatterView::show_chosen);
  connect(y_, &QComboBox::activated, this, &ScatterView::show_chosen);
  connect(copy, &QToolButton::clicked, this,
          [this] { QApplication::clipboard()->setPixmap(canvas_->grab()); });
  connect(save, &QToolButton::clicked, this, &ScatterView::save);
  connect(&workbench, &Workbench::scores_changed, this, [this] { touch(); });
}

// What was chosen stays; a column that is gone gives way to a default.
void ScatterView::fill(QComboBox* box, int otherwise) {
  const QString before = box->currentData().toString();
  box->clear();
  for (const HeadColumn& column : workbench().head_columns())
    box->addItem(QString::fromStdString(column.label), QString::fromStdString(column.name));
  const int at = box->findData(before);
  box->setCurrentIndex(at >= 0 ? at : std::min(otherwise, box->count() - 1));
}

void ScatterView::show_columns(const QString& x, const QString& y) {
  refresh();
  x_->setCurrentIndex(x_->findData(x));
  y_->setCurrentIndex(y_->findData(y));
  show_chosen();
}

void ScatterView::show_chosen() {
  const HeadColumn* x = workbench().head_column(x_->currentData().toString());
  const HeadColumn* y = workbench().head_column(y_->currentData().toString());
  canvas_->show_columns(x, y);
  if (!x || !y) return together_->clear();
  const Correlation both = correlation_of(*x, *y);
  const auto number = [](double value) {
    return std::isfinite(value)
               ? QString::number(value, 'f', 2).replace(QLatin1Char('-'), QStringLiteral("−"))
               : QStringLiteral("–");
  };
  together_->setText(
      tr("r %1 · ρ %2 · %3 heads").arg(number(both.pearson), number(both.spearman)).arg(both.heads));
  together_->setToolTip(
      tr("r: Pearson's correlation; ρ: Spearman's, of ranks; heads with both numbers.\n"
         "The colour of a point is its layer, dark = first."));
}

void ScatterView::refresh() {
  fill(x_, 0);
  fill(y_, 1);
  show_chosen();
}

void ScatterView::save() {
  const HeadColumn* x = workbench().head_column(x_->currentData().toString());
  const HeadColumn* y = workbench().head_column(y_->currentData().toString());
  const auto capture = workbench().shown_capture();
  if (!x || !y || !capture) return;
  const QString file = QFileDialog::getSaveFileName(this, tr("Save scatter plot"), "scatter.pdf",
                                                    tr("Figure (*.pdf *.svg *.png)"));
  if (file.isEmpty()) return;
  ResultOrigin origin{"head scores", tr("Heads").toStdString(), nlohmann::json::object(), false,
                      capture->provenance};
  workbench().write_file(
      file, [x = *x, y = *y, named = workbench().selection().heads, origin, path = file.toStdString()](
                const JobContext&) { return write_scatter_figure(x, y, named, origin, {}, path); });
}

}  // namespace saccade
