#include "app/views/results/results_view.h"

#include <QFileDialog>
#include <QHBoxLayout>
#include <QTabBar>
#include <QVBoxLayout>
#include <algorithm>

#include "app/views/results/field_page.h"
#include "app/views/results/table_page.h"
#include "core/base/files.h"

namespace saccade {
namespace {

QString text_of(const std::string& text) { return QString::fromStdString(text); }

// all: the defaults too.
QString parameters_text(const Workbench& workbench, const KeptResult& kept, bool all) {
  nlohmann::json usual;
  for (const AnalysisMethod* method : workbench.methods())
    if (method->info().id == kept.method)
      for (const ParameterInfo& info : method->info().parameters) usual[info.name] = info.default_value;
  QStringList parts;
  for (const auto& [name, value] : kept.parameters.items())
    if (all || !usual.contains(name) || usual[name] != value)
      parts << text_of(name + "=" + (value.is_string() ? value.get<std::string>() : value.dump()));
  return parts.join(QStringLiteral(", "));
}

// As a tab says it: few words, the whole as a tool tip.
QString short_title(const std::string& name) {
  QString text = text_of(name).replace(QLatin1Char('_'), QLatin1Char(' '));
  return text.size() > 22 ? text.left(21) + QStringLiteral("…") : text;
}

}  // namespace

ResultsView::ResultsView(Workbench& workbench, QWidget* parent) : View(workbench, parent) {
  list_ = new QComboBox(this);
  list_->setObjectName("result_list");
  list_->setAccessibleName(tr("Results"));
  list_->setSizeAdjustPolicy(QComboBox::AdjustToMinimumContentsLengthWithIcon);
  const auto button = [this](const QString& text, const QString& tip, const char* name) {
    auto* made = new QToolButton(this);
    made->setText(text);
    made->setToolTip(tip);
    made->setAccessibleName(tip);
    made->setObjectName(name);
    return made;
  };
  again_ = button(tr("Run again"), tr("Run the method again with the same parameters, on the run shown now"),
                  "result_again");
  stop_ = button(tr("Stop"), tr("Stop; what there is so far stays"), "result_stop");
  save_ = button(tr("Save…"), tr("Save the whole result as JSON"), "result_save");
  remove_ = button(tr("Remove"), tr("Take this result off the list"), "result_remove");
  state_ = new QLabel(this);
  state_->setObjectName("result_state");
  state_->setWordWrap(true);
  state_->setTextInteractionFlags(Qt::TextSelectableByMouse);
  findings_ = new QLabel(this);
  findings_->setObjectName("result_findings");
  findings_->setWordWrap(true);
  findings_->setTextInteractionFlags(Qt::TextSelectableByMouse | Qt::TextSelectableByKeyboard);
  findings_->setAlignment(Qt::AlignTop | Qt::AlignLeft);
  sentences_ = new QScrollArea(this);
  sentences_->setWidget(findings_);
  sentences_->setWidgetResizable(true);
  sentences_->setFrameShape(QFrame::NoFrame);
  sentences_->setHorizontalScrollBarPolicy(Qt::ScrollBarAlwaysOff);
  empty_ = new QLabel(tr("What methods find will be here: sentences first, then tables and pictures.\n\n"
                         "Choose a method in the panel “Methods” and press Run."),
                      this);
  empty_->setObjectName("results_empty");
  empty_->setWordWrap(true);
  empty_->setAlignment(Qt::AlignCenter);
  empty_->setEnabled(false);
  pages_ = new QTabWidget(this);
  pages_->setObjectName("result_pages");
  pages_->setDocumentMode(true);
  pages_->tabBar()->setUsesScrollButtons(true);
  auto* bar = new QHBoxLayout;
  bar->addWidget(list_, 1);
  for (QToolButton* tool : {again_, stop_, save_, remove_}) bar->addWidget(tool);
  auto* layout = new QVBoxLayout(this);
  layout->setContentsMargins(8, 8, 8, 8);
  layout->setSpacing(6);
  layout->addLayout(bar);
  layout->addWidget(state_);
  layout->addWidget(sentences_);
  layout->addWidget(pages_, 1);
  layout->addWidget(empty_, 1);
  connect(list_, &QComboBox::activated, this,
          [this](int index) { this->workbench().show_result(list_->itemData(index).toInt()); });
  connect(again_, &QToolButton::clicked, this,
          [this] { this->workbench().run_again(this->workbench().result_shown()); });
  connect(stop_, &QToolButton::clicked, this,
          [this] { this->workbench().stop_method(this->workbench().result_shown()); });
  connect(remove_, &QToolButton::clicked, this,
          [this] { this->workbench().remove_result(this->workbench().result_shown()); });
  connect(save_, &QToolButton::clicked, this, &ResultsView::save);
  connect(&workbench, &Workbench::results_changed, this, [this] { touch(); });
  connect(&workbench, &Workbench::model_changed, this, [this] {
    filled_ = nullptr;  // what colours the grid is another model's now, or is again this one's
    touch();
  });
}

void ResultsView::fill_list() {
  list_->clear();
  for (const KeptResult& kept : workbench().results()) {
    QString text = QStringLiteral("#%1  %2").arg(kept.number).arg(text_of(kept.title));
    if (kept.running)
      text += tr(" (running)");
    else if (!kept.result)
      text += tr(" (not run yet)");
    else if (kept.partial())
      text += tr(" (partial)");
    list_->addItem(text, kept.number);
    list_->setItemData(list_->count() - 1,
                       text_of(kept.method) + QLatin1Char('\n') + parameters_text(workbench(), kept, true),
                       Qt::ToolTipRole);
  }
  list_->setCurrentIndex(list_->findData(workbench().result_shown()));
}

void ResultsView::show_state(const KeptResult& kept) {
  QStringList parts;
  if (kept.running)
    parts << (kept.result ? tr("<b>Partial</b>: still running") : tr("Running …"));
  else if (!kept.result)
    parts << tr("Of the session file, not run in this one: press “Run again”");
  else if (kept.partial())
    parts << tr("<b>Partial</b>: it was stopped; “Run again” goes on from there");
  if (kept.result && !workbench().is_about_model(kept))
    parts << tr("about another model: %1").arg(text_of(kept.run.model_name).toHtmlEscaped());
  if (kept.result)
    parts << (kept.seconds < 1.0 ? tr("%1 ms").arg(kept.seconds * 1000.0, 0, 'f', 0)
                                 : tr("%1 s").arg(kept.seconds, 0, 'f', 1));
  const QString given = parameters_text(workbench(), kept, false);
  if (!given.isEmpty()) parts << given.toHtmlEscaped();
  state_->setText(QStringLiteral("<span>%1</span>").arg(parts.join(QStringLiteral(" · "))));
  state_->setToolTip(parameters_text(workbench(), kept, true));
  QString sentences;
  if (kept.result)
    for (const std::string& finding : kept.result->findings)
      sentences += QStringLiteral("<p style='margin:0 0 5px 0'>%1</p>").arg(text_of(finding).toHtmlEscaped());
  findings_->setText(sentences);
  sentences_->setVisible(!sentences.isEmpty());
  fit_findings();
}

void ResultsView::fit_findings() {
  const int wide = width() - 32;
  sentences_->setFixedHeight(
      std::clamp(findings_->heightForWidth(std::max(wide, 80)), 20, std::max(60, height() / 3)));
}

void ResultsView::resizeEvent(QResizeEvent* event) {
  View::resizeEvent(event);
  fit_findings();
}

// The picture that says most comes first: heads, then tables, then the rest.
void ResultsView::fill_pages(const KeptResult& kept) {
  const QString before = pages_->currentIndex() >= 0 ? pages_->tabToolTip(pages_->currentIndex()) : QString();
  const bool same = filled_number_ == kept.number;
  while (pages_->count() > 0) {
    QWidget* page = pages_->widget(0);
    pages_->removeTab(0);
    page->deleteLater();
  }
  const AnalysisResult& result = *kept.result;
  const auto add = [this](QWidget* page, const std::string& name) {
    const int at = pages_->addTab(page, short_title(name));
    pages_->setTabToolTip(at, text_of(name));
  };
  for (size_t f = 0; f < result.fields.size(); ++f)
    add(new FieldPage(workbench(), kept, f), result.fields[f].name);
  for (size_t t = 0; t < result.tables.size(); ++t)
    if (!result.tables[t].rows.empty())
      add(new TablePage(workbench(), kept, t), "table: " + result.tables[t].name);
  for (int i = 0; same && i < pages_->count(); ++i)
    if (pages_->tabToolTip(i) == before) pages_->setCurrentIndex(i);
}

void ResultsView::refresh() {
  fill_list();
  const KeptResult* kept = workbench().result(workbench().result_shown());
  for (QWidget* widget : {static_cast<QWidget*>(list_), static_cast<QWidget*>(state_)})
    widget->setVisible(kept);
  empty_->setVisible(!kept);
  again_->setVisible(kept && !kept->running);
  stop_->setVisible(kept && kept->running);
  save_->setVisible(kept && kept->result);
  remove_->setVisible(kept);
  pages_->setVisible(kept && kept->result);
  if (!kept) {
    sentences_->hide();
    filled_ = nullptr;
    return;
  }
  show_state(*kept);
  if (kept->result && (kept->result.get() != filled_ || filled_number_ != kept->number)) fill_pages(*kept);
  filled_ = kept->result.get();
  filled_number_ = kept->number;
}

void ResultsView::save() {
  const KeptResult* kept = workbench().result(workbench().result_shown());
  if (!kept || !kept->result) return;
  const QString file = QFileDialog::getSaveFileName(this, tr("Save result"), text_of(kept->method + ".json"),
                                                    tr("Result (*.json)"));
  if (file.isEmpty()) return;
  workbench().write_file(file, [result = kept->result, path = file.toStdString()](const JobContext&) {
    return write_text_file(path, to_json(*result).dump(1) + "\n");
  });
}

}  // namespace saccade
