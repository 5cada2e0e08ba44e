#include "app/views/prompt/prompt_view.h"

#include <QHBoxLayout>
#include <QKeyEvent>
#include <QScrollArea>
#include <QVBoxLayout>

#include "app/views/prompt/picture_row.h"
#include "app/views/prompt/token_flow.h"
#include "core/session/sample_prompts.h"

namespace saccade {
namespace {

constexpr int64_t small_model = 50'000'000;  // parameters below which typing runs by itself

}  // namespace

PromptView::PromptView(Workbench& workbench, QWidget* parent) : View(workbench, parent) {
  editor_ = new QPlainTextEdit(this);
  editor_->setObjectName("prompt");
  editor_->setPlaceholderText(tr("Type a prompt. Ctrl+Return runs it."));
  editor_->setAccessibleName(tr("Prompt"));
  editor_->setTabChangesFocus(true);
  editor_->setMinimumHeight(44);  // in a low panel the editor gives way, not what stands below it
  editor_->setMaximumHeight(190);
  editor_->installEventFilter(this);
  samples_ = new QComboBox(this);
  samples_->setAccessibleName(tr("Sample prompts"));
  samples_->setObjectName("samples");
  samples_->setSizeAdjustPolicy(QComboBox::AdjustToMinimumContentsLengthWithIcon);
  bos_ = new QCheckBox(tr("BOS"), this);
  bos_->setToolTip(tr("Put the token that begins a text first"));
  run_ = new QPushButton(tr("Run"), this);
  run_->setObjectName("run_button");
  note_ = new QLabel(this);
  note_->setWordWrap(true);
  note_->setEnabled(false);
  note_->hide();
  count_ = new QLabel(this);
  count_->setWordWrap(true);
  tokens_ = new TokenFlow(workbench, this);
  auto* scroll = new QScrollArea(this);
  scroll->setWidget(tokens_);
  scroll->setWidgetResizable(true);
  scroll->setHorizontalScrollBarPolicy(Qt::ScrollBarAlwaysOff);
  scroll->setFrameShape(QFrame::NoFrame);
  auto* row = new QHBoxLayout;
  row->addWidget(samples_, 1);
  row->addWidget(bos_);
  row->addWidget(run_);
  auto* layout = new QVBoxLayout(this);
  layout->setContentsMargins(8, 8, 8, 8);
  layout->setSpacing(8);
  layout->addWidget(editor_);
  layout->addLayout(row);
  pictures_ = new PictureRow(workbench, this);
  layout->addWidget(pictures_);
  layout->addWidget(note_);
  layout->addWidget(count_);
  layout->addWidget(scroll, 1);
  fill_samples();
  connect(samples_, &QComboBox::activated, this, &PromptView::take_sample);
  typed_.setSingleShot(true);
  typed_.setInterval(300);
  connect(&typed_, &QTimer::timeout, this, &PromptView::run);
  connect(run_, &QPushButton::clicked, this, &PromptView::run);
  connect(bos_, &QCheckBox::clicked, this, &PromptView::run);
  connect(editor_, &QPlainTextEdit::textChanged, this, [this] {
    const auto model = this->workbench().model();
    if (editor_->hasFocus() && model && model->weights().parameters() < small_model) typed_.start();
  });
  connect(pictures_, &PictureRow::open_asked, this, &PromptView::open_asked);
  connect(&workbench, &Workbench::model_changed, this, [this] { touch(); });
  connect(&workbench, &Workbench::pictures_changed, this, [this] { touch(); });
  connect(&workbench, &Workbench::runs_changed, this, [this] { touch(); });
  connect(&workbench, &Workbench::selection_changed, tokens_, [this] { tokens_->update(); });
}

// Those of the model's demo; any other model of text is offered the induction demo's.
void PromptView::fill_samples() {
  const auto model = workbench().model();
  std::string name = "induction";
  if (model && model->name().starts_with("demo:")) name = model->name().substr(5);
  if (name == sampled_) return;
  sampled_ = name;
  samples_->clear();
  note_->hide();
  samples_->addItem(tr("Samples…"));
  const auto prompts = sample_prompts(name);
  if (!prompts.ok()) return;
  for (const SamplePrompt& sample : *prompts)
    samples_->addItem(QString::fromStdString(sample.title.empty() ? sample.text : sample.title),
                      QStringList{QString::fromStdString(sample.text), QString::fromStdString(sample.note),
                                  QString::fromStdString(sample.image)});
}

void PromptView::take_sample(int index) {
  const QStringList sample = samples_->itemData(index).toStringList();
  note_->setVisible(sample.size() == 3 && !sample[1].isEmpty());
  if (sample.size() != 3) return;
  note_->setText(sample[1]);
  if (!sample[2].isEmpty()) {  // text and picture together, so that neither is run without the other
    Session session = workbench().session();
    session.prompt = sample[0].toStdString();
    session.images = {sample[2].toStdString()};
    session.analyses.clear();
    return workbench().restore(session);
  }
  editor_->setPlainText(sample[0]);
  run();
}

void PromptView::run() {
  typed_.stop();
  if (workbench().reads_only_pictures()) return;
  if (!editor_->toPlainText().isEmpty()) workbench().set_prompt(editor_->toPlainText(), bos_->isChecked());
}

void PromptView::put_place(const QString& placeholder) {
  editor_->setPlainText(placeholder + QLatin1Char('\n') + editor_->toPlainText());
  run();
}

bool PromptView::eventFilter(QObject* watched, QEvent* event) {
  if (watched == editor_ && event->type() == QEvent::KeyPress) {
    const auto* key = static_cast<QKeyEvent*>(event);
    if ((key->key() == Qt::Key_Return || key->key() == Qt::Key_Enter) &&
        key->modifiers().testFlag(Qt::ControlModifier)) {
      run();
      return true;
    }
  }
  return View::eventFilter(watched, event);
}

void PromptView::refresh() {
  fill_samples();
  // A prompt kept for the next model of text is not shown to one that reads none.
  const QString prompt = workbench().reads_only_pictures() ? QString() : workbench().prompt();
  if (!editor_->hasFocus() && editor_->toPlainText() != prompt) editor_->setPlainText(prompt);
  bos_->setChecked(workbench().add_bos());
  const bool pictures_only = workbench().reads_only_pictures();
  editor_->setEnabled(!pictures_only);
  for (QWidget* of_text :
       {static_cast<QWidget*>(editor_), static_cast<QWidget*>(bos_), static_cast<QWidget*>(run_)})
    of_text->setVisible(!pictures_only);
  samples_->setVisible(samples_->count() > 1);
  pictures_->refresh();
  const auto model = workbench().model();
  const auto run = workbench().run_a();
  bos_->setEnabled(model && model->tokenizer().bos());
  if (run)
    count_->setText(model ? tr("%1 of %2 positions · tint: surprise, nats")
                                .arg(run->capture->n_token())
                                .arg(model->spec().n_context)
                          : tr("%1 tokens · from a dump").arg(run->capture->n_token()));
  else if (workbench().lacks_picture())
    count_->setText(tr("Drop a picture on the window, paste one, or press “+ picture…”."));
  else
    count_->setText(model ? tr("Type a prompt and press Run.")
                          : tr("Drop a model folder on the window, or press Ctrl+O."));
  tokens_->refresh();
}

}  // namespace saccade
