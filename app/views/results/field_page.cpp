#include "app/views/results/field_page.h"

#include <QApplication>
#include <QClipboard>
#include <QFileDialog>
#include <QHBoxLayout>
#include <QLabel>
#include <QToolButton>
#include <QVBoxLayout>

#include "analysis/images/patch_field.h"
#include "analysis/images/patch_map.h"
#include "app/views/results/result_origin.h"
#include "core/base/files.h"

namespace saccade {

FieldPage::FieldPage(Workbench& workbench, const KeptResult& kept, size_t field, QWidget* parent)
    : QWidget(parent), workbench_(workbench), kept_(kept), field_(field) {
  canvas_ = new FieldCanvas(workbench, this);
  auto* bar_widget = new QWidget(this);
  auto* bar = new QHBoxLayout(bar_widget);
  bar->setContentsMargins(0, 0, 0, 0);
  const Field& shown = this->field();
  auto* name = new QLabel(QString::fromStdString(shown.label.empty() ? shown.name : shown.label), this);
  name->setToolTip(name->text());
  name->setSizePolicy(QSizePolicy::Ignored, QSizePolicy::Preferred);
  bar->addWidget(name, 1);
  add_held_axes(bar_widget);
  const auto button = [&](const QString& text, const QString& tip, const char* object) {
    auto* made = new QToolButton(this);
    made->setText(text);
    made->setToolTip(tip);
    made->setObjectName(object);
    bar->addWidget(made);
    return made;
  };
  const QString key = QStringLiteral("%1:%2").arg(kept.number).arg(QString::fromStdString(shown.name));
  if (workbench.head_column(key)) {
    auto* colour = button(tr("Colour the grid"), tr("Colour the head grid by this field"), "colour_grid");
    connect(colour, &QToolButton::clicked, this, [this, key] { workbench_.set_score(key); });
  }
  if (is_patch_field(shown)) {
    auto* over =
        button(tr("Over the picture"), tr("Draw this over the picture, patch by patch"), "over_picture");
    connect(over, &QToolButton::clicked, this, &FieldPage::show_over_picture);
  }
  auto* copy = button(tr("Copy"), tr("Copy the picture"), "copy_picture");
  auto* save = button(tr("Save…"), tr("Save as a figure (SVG, PDF, PNG) or as numbers (CSV)"), "save_field");
  auto* layout = new QVBoxLayout(this);
  layout->setContentsMargins(0, 6, 0, 0);
  layout->setSpacing(4);
  layout->addWidget(bar_widget);
  layout->addWidget(canvas_, 1);
  connect(copy, &QToolButton::clicked, this,
          [this] { QApplication::clipboard()->setImage(canvas_->picture()); });
  connect(save, &QToolButton::clicked, this, &FieldPage::save);
  connect(&workbench, &Workbench::selection_changed, this, &FieldPage::follow_selection);
  follow_selection();
  show_slice();
}

// An index for each axis that does not fit on the picture.
void FieldPage::add_held_axes(QWidget* bar) {
  const Field& shown = field();
  for (size_t i = 0; i < held_axes(shown); ++i) {
    auto* label = new QLabel(QString::fromStdString(name_of(shown.axes[i])), bar);
    auto* index = new QSpinBox(bar);
    index->setRange(0, static_cast<int>(std::max<int64_t>(shown.values.shape()[i] - 1, 0)));
    index->setAccessibleName(label->text());
    bar->layout()->addWidget(label);
    bar->layout()->addWidget(index);
    held_.push_back(index);
    connect(index, &QSpinBox::valueChanged, this, &FieldPage::show_slice);
  }
}

void FieldPage::show_slice() {
  std::vector<int64_t> held;
  for (const QSpinBox* index : held_) held.push_back(index->value());
  canvas_->show_slice(field(), slice_of(field(), held));
}

void FieldPage::show_over_picture() {
  PictureLook look = workbench_.picture_look();
  look.source = PictureSource::field;
  look.result = kept_.number;
  look.field = QString::fromStdString(field().name);
  look.held.clear();
  for (const QSpinBox* index : held_) look.held.push_back(index->value());
  workbench_.set_picture_look(look);
  Q_EMIT workbench_.picture_raised();
}

// The slice is that of the selected head, where the field has heads.
void FieldPage::follow_selection() {
  const HeadId head = workbench_.selection().head;
  for (size_t i = 0; i < held_.size(); ++i) {
    if (field().axes[i].kind == AxisKind::layer) held_[i]->setValue(head.layer.value);
    if (field().axes[i].kind == AxisKind::head) held_[i]->setValue(head.head.value);
  }
}

void FieldPage::save() {
  const QString file =
      QFileDialog::getSaveFileName(this, tr("Save field"), QString::fromStdString(field().name + ".pdf"),
                                   tr("Figure or numbers (*.pdf *.svg *.png *.csv)"));
  if (file.isEmpty()) return;
  std::vector<int64_t> held;
  for (const QSpinBox* index : held_) held.push_back(index->value());
  FigureOptions options;
  options.scale.palette = workbench_.scale().palette;
  workbench_.write_file(file, [shown = field(), held, origin = origin_of(kept_), options,
                               path = std::filesystem::path(file.toStdString())](const JobContext&) {
    if (path.extension() == ".csv") return write_text_file(path, csv_of(shown));
    return write_field_figure(shown, held, origin, options, path);
  });
}

}  // namespace saccade
