#include "app/views/circuit/circuit_view.h"

#include <QFileDialog>
#include <QHBoxLayout>
#include <QVBoxLayout>
#include <algorithm>
#include <cmath>

#include "app/views/circuit/circuit_canvas.h"
#include "app/views/results/result_origin.h"

namespace saccade {
namespace {

constexpr int shown_at_first = 40;

}  // namespace

CircuitView::CircuitView(Workbench& workbench, QWidget* parent) : View(workbench, parent) {
  results_ = new QComboBox(this);
  results_->setObjectName("circuit_result");
  results_->setAccessibleName(tr("Which result's circuit"));
  results_->setSizeAdjustPolicy(QComboBox::AdjustToMinimumContentsLengthWithIcon);
  results_->setMinimumContentsLength(12);
  count_ = new QSlider(Qt::Horizontal, this);
  count_->setObjectName("circuit_threshold");
  count_->setAccessibleName(tr("How many of the strongest edges are shown"));
  count_->setMinimumWidth(90);
  threshold_ = new QLabel(this);
  threshold_->setObjectName("circuit_shown");
  how_ = new QComboBox(this);
  how_->setObjectName("circuit_how");
  how_->addItem(tr("zero the others"), static_cast<int>(EditVerb::zero));
  how_->addItem(tr("mean of the others"), static_cast<int>(EditVerb::mean));
  how_->setAccessibleName(tr("What is done with the other heads"));
  keep_ = new QToolButton(this);
  keep_->setObjectName("circuit_keep");
  keep_->setText(tr("Keep only this circuit"));
  keep_->setToolTip(
      tr("Edits that take every head not drawn here out of the run; MLPs stay. Ctrl+Z undoes."));
  save_ = new QToolButton(this);
  save_->setText(tr("Save…"));
  save_->setToolTip(tr("Save as a figure (SVG, PDF, PNG)"));
  canvas_ = new CircuitCanvas(workbench);
  scroll_ = new QScrollArea(this);
  scroll_->setWidget(canvas_);
  scroll_->setWidgetResizable(true);
  scroll_->setFrameShape(QFrame::NoFrame);
  auto* bar = new QHBoxLayout;
  bar->addWidget(results_, 1);
  bar->addWidget(count_, 1);
  bar->addWidget(threshold_);
  auto* second = new QHBoxLayout;
  second->addWidget(keep_);
  second->addWidget(how_);
  second->addStretch(1);
  second->addWidget(save_);
  auto* layout = new QVBoxLayout(this);
  layout->setContentsMargins(8, 8, 8, 8);
  layout->setSpacing(6);
  layout->addLayout(bar);
  layout->addLayout(second);
  layout->addWidget(scroll_, 1);
  connect(results_, &QComboBox::activated, this,
          [this](int index) { show_graph(results_->itemData(index).toInt()); });
  connect(count_, &QSlider::valueChanged, this, [this] { show_count(); });
  connect(keep_, &QToolButton::clicked, this, &CircuitView::keep_only);
  connect(save_, &QToolButton::clicked, this, &CircuitView::save);
  connect(&workbench, &Workbench::results_changed, this, [this] { touch(); });
  connect(&workbench, &Workbench::model_changed, this, [this] { touch(); });
}

void CircuitView::fill_results() {
  results_->clear();
  for (const KeptResult& kept : workbench().results())
    if (kept.result && CircuitGraph::in(*kept.result))
      results_->addItem(QStringLiteral("#%1  %2").arg(kept.number).arg(QString::fromStdString(kept.title)),
                        kept.number);
}

void CircuitView::refresh() {
  fill_results();
  const int raised = workbench().result_shown();
  const int newest = results_->count() > 0 ? results_->itemData(0).toInt() : 0;
  const int wanted = results_->findData(raised) >= 0    ? raised
                     : results_->findData(number_) >= 0 ? number_
                                                        : newest;
  results_->setCurrentIndex(results_->findData(wanted));
  show_graph(wanted);
}

void CircuitView::show_graph(int number) {
  const KeptResult* kept = workbench().result(number);
  const bool anew = number != number_ || (kept && kept->result.get() != shown_);
  number_ = number;
  shown_ = kept ? kept->result.get() : nullptr;
  if (anew || !kept) {
    graph_.reset();
    if (kept && kept->result)
      if (auto made = CircuitGraph::of(*kept->result); made.ok() && !made->edges().empty())
        graph_ = std::move(*made);
    const QSignalBlocker quiet(count_);
    const int edges = graph_ ? static_cast<int>(graph_->edges().size()) : 0;
    count_->setRange(std::min(edges, 1), edges);
    count_->setValue(std::min(edges, shown_at_first));
  }
  for (QWidget* widget :
       {static_cast<QWidget*>(results_), static_cast<QWidget*>(count_), static_cast<QWidget*>(threshold_),
        static_cast<QWidget*>(how_), static_cast<QWidget*>(keep_), static_cast<QWidget*>(save_)})
    widget->setVisible(graph_.has_value());
  keep_->setEnabled(kept && workbench().is_about_model(*kept) && workbench().model());
  show_count();
}

void CircuitView::show_count() {
  const auto edges = static_cast<size_t>(count_->value());
  if (graph_ && edges > 0)
    threshold_->setText(tr("|effect| ≥ %1: %2 of %3 edges")
                            .arg(std::abs(graph_->edges()[edges - 1].effect), 0, 'g', 3)
                            .arg(edges)
                            .arg(graph_->edges().size()));
  canvas_->show_circuit(
      graph_, edges, scroll_->viewport()->width(),
      tr("A circuit will be here: which heads and MLPs feed which. Run a method that traces "
         "edges, such as circuit or path patching, from the panel “Methods”."));
}

void CircuitView::resizeEvent(QResizeEvent* event) {
  View::resizeEvent(event);
  show_count();
}

void CircuitView::keep_only() {
  if (!graph_ || !workbench().model()) return;
  const auto verb = static_cast<EditVerb>(how_->currentData().toInt());
  const std::vector<HeadId> kept = graph_->heads(static_cast<size_t>(count_->value()));
  workbench().set_edits(edits_keeping(kept, workbench().model()->spec(), verb));
  workbench().select_known_heads(kept);
}

void CircuitView::save() {
  const KeptResult* kept = workbench().result(number_);
  if (!kept || !graph_) return;
  const QString file =
      QFileDialog::getSaveFileName(this, tr("Save circuit"), "circuit.svg", tr("Figure (*.svg *.pdf *.png)"));
  if (file.isEmpty()) return;
  workbench().write_file(file, [graph = *graph_, edges = static_cast<size_t>(count_->value()),
                                origin = origin_of(*kept), path = file.toStdString()](const JobContext&) {
    return write_circuit_figure(graph, edges, origin, {}, path);
  });
}

}  // namespace saccade
