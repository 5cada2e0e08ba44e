#include "app/views/edits/edits_view.h"

#include <QCheckBox>
#include <QHBoxLayout>
#include <QMenu>
#include <QScrollArea>
#include <QSlider>
#include <QToolButton>
#include <algorithm>
#include <cmath>

#include "core/run/edit_verbs.h"
#include "core/run/position_layout.h"

namespace saccade {
namespace {

// Per unit of the factor.
int slider_steps(const EditFactor& factor) { return factor.whole ? 1 : 100; }

// Zeroing is scaling by 0: both have the slider of scale. Streaming has one where a file of gates says which
// heads come first.
const std::optional<EditFactor>& factor_info(const Edit& edit) {
  static const std::optional<EditFactor> none;
  if (edit.verb == EditVerb::stream && edit.from.empty()) return none;
  return info_of(edit.verb == EditVerb::zero ? EditVerb::scale : edit.verb).by;
}
double factor_of(const Edit& edit) { return edit.verb == EditVerb::zero ? 0.0 : edit.by; }
void set_factor(Edit& edit, double factor) {
  const bool scales = edit.verb == EditVerb::zero || edit.verb == EditVerb::scale;
  if (scales) edit.verb = factor == 0.0 ? EditVerb::zero : EditVerb::scale;
  edit.by = scales && factor == 0.0 ? 1.0 : factor;
}

// The same edits but for factors: rows can stay while a slider moves.
bool same_but_factors(std::vector<Edit> a, std::vector<Edit> b) {
  for (std::vector<Edit>* list : {&a, &b})
    for (Edit& edit : *list)
      if (factor_info(edit)) set_factor(edit, 0.0);
  return a == b;
}

QString slider_tip(const Edit& edit) {
  const EditFactor& factor = *factor_info(edit);
  QString tip = QObject::tr("%1\nfrom %2 to %3; other values by text")
                    .arg(QString::fromUtf8(info_of(edit.verb).meaning.data(),
                                           static_cast<int>(info_of(edit.verb).meaning.size())))
                    .arg(factor.slider_least)
                    .arg(factor.slider_most);
  if (factor.neutral) tip += QObject::tr("; %1 changes nothing").arg(*factor.neutral);
  return tip;
}

QString stage_title(EditStage stage) {
  switch (stage) {
    case EditStage::mask:
    case EditStage::scores:
      return QObject::tr("Scores, before the softmax");
    case EditStage::weights:
      return QObject::tr("Weights, after the softmax");
    case EditStage::values:
      return QObject::tr("Head outputs and hook sites");
  }
  return {};
}

}  // namespace

EditsView::EditsView(Workbench& workbench, QWidget* parent) : View(workbench, parent) {
  auto* list = new QWidget(this);
  rows_ = new QVBoxLayout(list);
  rows_->setContentsMargins(0, 0, 0, 0);
  rows_->setSpacing(4);
  rows_->addStretch(1);
  auto* scroll = new QScrollArea(this);
  scroll->setWidget(list);
  scroll->setWidgetResizable(true);
  scroll->setFrameShape(QFrame::NoFrame);
  empty_ = new QLabel(
      tr("No edits: this is the baseline.\nSelect a head and press Z, or type an edit below."), this);
  empty_->setWordWrap(true);
  empty_->setEnabled(false);
  input_ = new QLineEdit(this);
  input_->setObjectName("edit_input");
  input_->setPlaceholderText(tr("zero 1.2 · uniform 1.* · redistribute 1.2 by=0.4 key=0"));
  input_->setAccessibleName(tr("New edit"));
  auto* templates = new QToolButton(this);
  templates->setObjectName("edit_templates");
  templates->setText(QStringLiteral("+"));
  templates->setToolTip(tr("Begin an edit of the selected head"));
  templates->setAccessibleName(tr("Kinds of edits"));
  templates->setPopupMode(QToolButton::InstantPopup);
  templates->setMenu(make_templates());
  auto* add_button = new QPushButton(tr("Add"), this);
  problem_ = new QLabel(this);
  problem_->setObjectName("edit_problem");
  problem_->setWordWrap(true);
  problem_->setStyleSheet("color: #d03a32;");
  problem_->hide();
  undo_ = new QPushButton(tr("Undo"), this);
  redo_ = new QPushButton(tr("Redo"), this);
  clear_ = new QPushButton(tr("Clear all"), this);
  auto* input_row = new QHBoxLayout;
  input_row->addWidget(templates);
  input_row->addWidget(input_, 1);
  input_row->addWidget(add_button);
  auto* history_row = new QHBoxLayout;
  history_row->addWidget(undo_);
  history_row->addWidget(redo_);
  history_row->addStretch(1);
  history_row->addWidget(clear_);
  auto* layout = new QVBoxLayout(this);
  layout->setContentsMargins(8, 8, 8, 8);
  layout->setSpacing(8);
  layout->addWidget(empty_);
  layout->addWidget(scroll, 1);
  layout->addLayout(input_row);
  layout->addWidget(problem_);
  layout->addLayout(history_row);
  connect(add_button, &QPushButton::clicked, this, &EditsView::add);
  connect(input_, &QLineEdit::returnPressed, this, &EditsView::add);
  connect(input_, &QLineEdit::textEdited, problem_, &QWidget::hide);
  connect(undo_, &QPushButton::clicked, &workbench, &Workbench::undo);
  connect(redo_, &QPushButton::clicked, &workbench, &Workbench::redo);
  connect(clear_, &QPushButton::clicked, this, [this] { this->workbench().set_edits({}); });
  connect(&workbench, &Workbench::edits_changed, this, [this] { touch(); });
}

void EditsView::change(size_t index, const std::function<void(Edit&)>& change, const QString& tag) {
  std::vector<Edit> edits = workbench().edits().edits();
  if (index >= edits.size()) return;
  change(edits[index]);
  workbench().set_edits(std::move(edits), tag);
}

// One entry per verb, under where it acts; it begins the text, which is then finished by hand.
QMenu* EditsView::make_templates() {
  auto* menu = new QMenu(this);
  menu->setToolTipsVisible(true);
  QString title;
  for (const EditStage stage : {EditStage::values, EditStage::mask, EditStage::scores, EditStage::weights}) {
    if (stage_title(stage) != title) menu->addSection(title = stage_title(stage));
    for (const VerbInfo& verb : edit_verbs()) {
      if (verb.stage != stage) continue;
      const auto text = [](std::string_view t) {
        return QString::fromUtf8(t.data(), static_cast<int>(t.size()));
      };
      QAction* action = menu->addAction(tr("%1 - %2").arg(text(verb.name), text(verb.meaning)));
      action->setToolTip(text(verb.example));
      connect(action, &QAction::triggered, this, [this, &verb] { begin(verb); });
    }
  }
  return menu;
}

void EditsView::begin(const VerbInfo& verb) {
  auto edit = parse_edit(verb.example);
  if (!edit.ok()) return;
  const Selection& selection = workbench().selection();
  const bool of_layers = verb.verb == EditVerb::order_free || moves_positions(verb.verb);
  if (verb.on_heads && !of_layers && !selection.heads.empty())
    edit->target = target_of(selection.heads.front());
  if (edit->key && selection.key >= 0) edit->key = PositionRange{selection.key, selection.key + 1};
  problem_->hide();
  input_->setText(QString::fromStdString(to_text(*edit)));
  input_->setFocus();
}

// An edit is checked before it joins the list: a head that does not exist never gets in.
void EditsView::add() {
  const auto edit = parse_edit(input_->text().trimmed().toStdString());
  Result<void> checked;
  const auto run = workbench().run_a();
  if (edit.ok() && run)
    checked = check_edits(std::vector<Edit>{*edit}, run->capture->spec, run->capture->places());
  if (!edit.ok() || !checked.ok()) {
    problem_->setText(QString::fromStdString(edit.ok() ? checked.error().message : edit.error().message));
    problem_->show();
    return;
  }
  problem_->hide();
  input_->clear();
  workbench().add_edit(*edit);
}

QWidget* EditsView::make_row(size_t index, const Edit& edit) {
  auto* row = new QWidget(this);
  auto* layout = new QVBoxLayout(row);
  layout->setContentsMargins(0, 0, 0, 0);
  layout->setSpacing(0);
  auto* line = new QHBoxLayout;
  auto* enabled = new QCheckBox(row);
  enabled->setChecked(edit.enabled);
  Edit as_enabled = edit;
  as_enabled.enabled = true;
  enabled->setText(QString::fromStdString(to_text(as_enabled)));
  enabled->setAccessibleName(tr("Edit %1").arg(enabled->text()));
  auto* remove = new QToolButton(row);
  remove->setText(QStringLiteral("✕"));
  remove->setAutoRaise(true);
  remove->setToolTip(tr("Remove this edit"));
  remove->setAccessibleName(tr("Remove %1").arg(enabled->text()));
  line->addWidget(enabled, 1);
  line->addWidget(remove);
  layout->addLayout(line);
  connect(enabled, &QCheckBox::toggled, this,
          [this, index](bool on) { change(index, [on](Edit& e) { e.enabled = on; }); });
  connect(remove, &QToolButton::clicked, this, [this, index] {
    std::vector<Edit> edits = workbench().edits().edits();
    edits.erase(edits.begin() + static_cast<ptrdiff_t>(index));
    workbench().set_edits(std::move(edits));
  });
  if (const std::optional<EditFactor>& factor = factor_info(edit)) {
    auto* slider = new QSlider(Qt::Horizontal, row);
    slider->setObjectName(QStringLiteral("factor-%1").arg(index));
    const int steps = slider_steps(*factor);
    const auto step = [steps](double value) { return static_cast<int>(std::lround(value * steps)); };
    slider->setRange(step(factor->slider_least), step(factor->slider_most));
    slider->setPageStep(std::max(1, (slider->maximum() - slider->minimum()) / 20));
    slider->setValue(step(std::clamp(factor_of(edit), factor->slider_least, factor->slider_most)));
    slider->setToolTip(slider_tip(edit));
    slider->setAccessibleName(tr("Factor of %1").arg(enabled->text()));
    layout->addWidget(slider);
    connect(slider, &QSlider::valueChanged, this, [this, index, enabled, steps](int value) {
      change(
          index,
          [&](Edit& e) {
            set_factor(e, static_cast<double>(value) / steps);
            enabled->setText(QString::fromStdString(to_text(e)));
          },
          QStringLiteral("slider-%1").arg(index));
    });
  }
  return row;
}

void EditsView::refresh() {
  const std::vector<Edit>& edits = workbench().edits().edits();
  undo_->setEnabled(workbench().edits().can_undo());
  redo_->setEnabled(workbench().edits().can_redo());
  clear_->setEnabled(!edits.empty());
  empty_->setVisible(edits.empty());
  const QList<QSlider*> sliders = rows_->parentWidget()->findChildren<QSlider*>();
  const bool dragging =
      same_but_factors(edits, shown_) &&
      std::any_of(sliders.begin(), sliders.end(), [](const QSlider* s) { return s->isSliderDown(); });
  if (edits == shown_ || dragging) return;
  shown_ = edits;
  while (rows_->count() > 1) {
    QLayoutItem* item = rows_->takeAt(0);
    item->widget()->deleteLater();
    delete item;
  }
  for (size_t i = 0; i < edits.size(); ++i) rows_->insertWidget(static_cast<int>(i), make_row(i, edits[i]));
}

}  // namespace saccade
