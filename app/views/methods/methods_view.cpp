#include "app/views/methods/methods_view.h"

#include <QHBoxLayout>
#include <QSplitter>
#include <QVBoxLayout>
#include <algorithm>

namespace saccade {
namespace {

QString text_of(const std::string& text) { return QString::fromStdString(text); }

QLabel* paragraph(QWidget* parent, const char* name) {
  auto* label = new QLabel(parent);
  label->setObjectName(name);
  label->setWordWrap(true);
  label->setTextInteractionFlags(Qt::TextSelectableByMouse);
  return label;
}

}  // namespace

MethodsView::MethodsView(Workbench& workbench, QWidget* parent) : View(workbench, parent) {
  search_ = new QLineEdit(this);
  search_->setObjectName("method_search");
  search_->setPlaceholderText(tr("search: head, circuit, Wang 2023 …"));
  search_->setClearButtonEnabled(true);
  search_->setAccessibleName(tr("Search methods"));
  list_ = new QListWidget(this);
  list_->setObjectName("method_list");
  list_->setAccessibleName(tr("Methods"));
  list_->setAlternatingRowColors(true);
  list_->setMinimumHeight(60);
  title_ = paragraph(this, "method_title");
  QFont bold = title_->font();
  bold.setBold(true);
  title_->setFont(bold);
  problem_ = paragraph(this, "method_problem");
  problem_->setStyleSheet(
      "border: 1px solid #d03a32; border-radius: 3px; padding: 4px; background: rgba(208, 58, 50, 28);");
  problem_->hide();
  scroll_ = new QScrollArea(this);
  scroll_->setWidgetResizable(true);
  scroll_->setFrameShape(QFrame::NoFrame);
  scroll_->setHorizontalScrollBarPolicy(Qt::ScrollBarAlwaysOff);
  run_ = new QPushButton(tr("Run"), this);
  run_->setObjectName("method_run");
  run_->setDefault(true);
  stop_ = new QPushButton(tr("Stop"), this);
  stop_->setObjectName("method_stop");
  stop_->setToolTip(tr("Stops; what there is so far stays, marked partial"));
  reset_ = new QPushButton(tr("Defaults"), this);
  reset_->setObjectName("method_reset");
  reset_->setToolTip(tr("Every parameter back to its default"));
  auto* buttons = new QHBoxLayout;
  buttons->addWidget(run_);
  buttons->addWidget(stop_);
  buttons->addStretch(1);
  buttons->addWidget(reset_);
  auto* upper = new QWidget(this);
  auto* upper_layout = new QVBoxLayout(upper);
  upper_layout->setContentsMargins(0, 0, 0, 4);
  upper_layout->addWidget(search_);
  upper_layout->addWidget(list_, 1);
  auto* lower = new QWidget(this);
  auto* lower_layout = new QVBoxLayout(lower);
  lower_layout->setContentsMargins(0, 4, 0, 0);
  lower_layout->setSpacing(6);
  lower_layout->addWidget(title_);
  lower_layout->addWidget(scroll_, 1);
  lower_layout->addWidget(problem_);
  lower_layout->addLayout(buttons);
  auto* splitter = new QSplitter(Qt::Vertical, this);
  splitter->setChildrenCollapsible(false);
  splitter->addWidget(upper);
  splitter->addWidget(lower);
  splitter->setStretchFactor(1, 1);
  splitter->setSizes({120, 460});
  auto* layout = new QVBoxLayout(this);
  layout->setContentsMargins(8, 8, 8, 8);
  layout->addWidget(splitter);
  connect(search_, &QLineEdit::textChanged, this, &MethodsView::search);
  connect(list_, &QListWidget::currentItemChanged, this, [this](QListWidgetItem* item) {
    if (item) choose(item->data(Qt::UserRole).toString());
  });
  connect(list_, &QListWidget::itemActivated, this, &MethodsView::run);
  connect(run_, &QPushButton::clicked, this, &MethodsView::run);
  connect(stop_, &QPushButton::clicked, this, [this] { this->workbench().stop_method(running()); });
  connect(reset_, &QPushButton::clicked, this, [this] {
    if (form_) form_->reset();
  });
  connect(&workbench, &Workbench::results_changed, this, [this] { touch(); });
  connect(&workbench, &Workbench::runs_changed, this, [this] { touch(); });
  connect(&workbench, &Workbench::method_refused, this, [this](const QString& id, const QString& message) {
    if (id != chosen_) choose(id);
    problem_->setText(message);
    problem_->show();
  });
  fill_list();
}

void MethodsView::fill_list() {
  for (const AnalysisMethod* method : workbench().methods()) {
    const MethodInfo& info = method->info();
    auto* item = new QListWidgetItem(text_of(info.title), list_);
    item->setData(Qt::UserRole, text_of(info.id));
    item->setData(Qt::UserRole + 1,
                  text_of(info.id + " " + info.title + " " + info.summary + " " + info.citation));
    item->setToolTip(text_of(info.id + "\n" + info.summary));
  }
  if (list_->count() > 0) list_->setCurrentRow(0);
}

void MethodsView::search(const QString& text) {
  const QStringList words = text.split(QLatin1Char(' '), Qt::SkipEmptyParts);
  QListWidgetItem* first = nullptr;
  for (int i = 0; i < list_->count(); ++i) {
    QListWidgetItem* item = list_->item(i);
    const QString all = item->data(Qt::UserRole + 1).toString();
    const bool fits = std::all_of(words.begin(), words.end(), [&](const QString& word) {
      return all.contains(word, Qt::CaseInsensitive);
    });
    item->setHidden(!fits);
    if (fits && !first) first = item;
  }
  if (first && (!list_->currentItem() || list_->currentItem()->isHidden())) list_->setCurrentItem(first);
}

void MethodsView::choose(const QString& id, const nlohmann::json& parameters) {
  if (id != chosen_) {
    if (form_) remembered_[chosen_] = form_->values();
    for (const AnalysisMethod* method : workbench().methods())
      if (text_of(method->info().id) == id) {
        chosen_ = id;
        show_method(*method);
      }
    for (int i = 0; i < list_->count(); ++i)
      if (list_->item(i)->data(Qt::UserRole).toString() == id) list_->setCurrentRow(i);
  }
  if (form_ && parameters.is_object()) form_->set_values(parameters);
}

void MethodsView::show_method(const AnalysisMethod& method) {
  const MethodInfo& info = method.info();
  title_->setText(text_of(info.title));
  problem_->hide();
  form_ = new ParameterForm(info);
  if (const auto known = remembered_.find(chosen_); known != remembered_.end())
    form_->set_values(known->second);
  auto* page = new QWidget;
  auto* layout = new QVBoxLayout(page);
  layout->setContentsMargins(0, 0, 8, 4);
  // What it does and whose it is scroll with the form: the panel is narrow, and they are read once.
  auto* summary = paragraph(page, "method_summary");
  summary->setText(text_of(info.summary));
  auto* citation = paragraph(page, "method_citation");
  citation->setText(text_of(info.citation));
  citation->setEnabled(false);
  layout->addWidget(summary);
  layout->addWidget(citation);
  layout->addSpacing(4);
  if (info.parameters.empty()) layout->addWidget(new QLabel(tr("It has no parameters.")));
  layout->addWidget(form_);
  layout->addStretch(1);
  scroll_->setWidget(page);
  connect(form_, &ParameterForm::changed, problem_, &QWidget::hide);
  refresh();
}

int MethodsView::running() const {
  for (const KeptResult& kept : workbench().results())
    if (kept.running && text_of(kept.method) == chosen_) return kept.number;
  return 0;
}

void MethodsView::run() {
  if (!form_ || running()) return;
  problem_->hide();
  workbench().run_method(chosen_, form_->values());
}

void MethodsView::refresh() {
  const bool busy = running() != 0;
  run_->setEnabled(!busy);
  run_->setText(busy ? tr("Running …") : tr("Run"));
  stop_->setEnabled(busy);
}

}  // namespace saccade
