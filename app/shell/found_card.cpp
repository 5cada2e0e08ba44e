#include "app/shell/found_card.h"

#include <QHBoxLayout>
#include <QKeyEvent>
#include <QLocale>
#include <QVBoxLayout>

#include "core/base/memory.h"

namespace saccade {
namespace {

QString text_of(std::string_view text) {
  return QString::fromUtf8(text.data(), static_cast<qsizetype>(text.size()));
}

QString parameters_text(int64_t count) {
  const auto number = static_cast<double>(count);
  if (count >= 1'000'000'000) return QStringLiteral("%1 B").arg(number / 1e9, 0, 'f', 2);
  if (count >= 1'000'000) return QStringLiteral("%1 M").arg(number / 1e6, 0, 'f', 1);
  return QLocale().toString(static_cast<qlonglong>(count));
}

QString shape_text(const ModelSpec& spec) {
  const QString heads = spec.n_kv_head == spec.n_head
                            ? FoundCard::tr("%1 heads").arg(spec.n_head)
                            : FoundCard::tr("%1 heads on %2 KV heads").arg(spec.n_head).arg(spec.n_kv_head);
  return FoundCard::tr("%1 layers × %2 of %3, d_model %4, context %5")
      .arg(spec.n_layer)
      .arg(heads)
      .arg(spec.d_head)
      .arg(spec.d_model)
      .arg(QLocale().toString(static_cast<qlonglong>(spec.n_context)));
}

QString tokenizer_text(const Model& model) {
  QString text = text_of(model.tokenizer().description());
  if (model.chat_template().ok()) text += FoundCard::tr("; chat template");
  return text;
}

QString memory_text(const FoundModel& found) {
  const MemoryForecast& need = found.forecast;
  const QString length = found.n_token > 0 ? FoundCard::tr("this prompt, %1 tokens").arg(found.n_token)
                                           : FoundCard::tr("%1 tokens").arg(found.model->spec().n_context);
  return FoundCard::tr(
             "%1: %2 of captures and %3 to work in, beside %4 of mapped weights; %5 are free, enough for "
             "%6 tokens")
      .arg(length, text_of(format_bytes(need.captures)), text_of(format_bytes(need.working)),
           text_of(format_bytes(need.weights)), text_of(format_bytes(need.available)),
           QLocale().toString(static_cast<qlonglong>(need.longest)));
}

}  // namespace

FoundCard::FoundCard(QWidget* parent) : QFrame(parent) {
  setObjectName("found_card");
  setAccessibleName(tr("The model that was found"));
  setFrameShape(QFrame::StyledPanel);
  setFocusPolicy(Qt::StrongFocus);
  title_ = new QLabel(this);
  title_->setTextFormat(Qt::PlainText);
  QFont bold = title_->font();
  bold.setBold(true);
  title_->setFont(bold);
  use_ = new QPushButton(tr("Use it  (Enter)"), this);
  use_->setObjectName("use_found");
  use_->setDefault(true);
  auto* keep = new QPushButton(tr("Not now  (Esc)"), this);
  connect(use_, &QPushButton::clicked, this, [this] {
    hide();
    Q_EMIT accepted();
  });
  connect(keep, &QPushButton::clicked, this, &QWidget::hide);
  facts_ = new QGridLayout;
  facts_->setHorizontalSpacing(14);
  facts_->setVerticalSpacing(2);
  facts_->setColumnStretch(1, 1);
  auto* head = new QHBoxLayout;
  head->addWidget(title_, 1);
  head->addWidget(keep);
  head->addWidget(use_);
  auto* layout = new QVBoxLayout(this);
  layout->setContentsMargins(12, 8, 10, 10);
  layout->addLayout(head);
  layout->addLayout(facts_);
  hide();
}

void FoundCard::clear_facts() {
  while (QLayoutItem* item = facts_->takeAt(0)) {
    delete item->widget();
    delete item;
  }
  lines_.clear();
}

void FoundCard::add_fact(const QString& name, const QString& value, bool warns) {
  const int row = facts_->rowCount();
  auto* left = new QLabel(name, this);
  left->setEnabled(false);
  auto* right = new QLabel(warns ? QStringLiteral("⚠ ") + value : value, this);
  right->setTextFormat(Qt::PlainText);
  right->setWordWrap(true);
  right->setTextInteractionFlags(Qt::TextSelectableByMouse);
  facts_->addWidget(left, row, 0, Qt::AlignTop | Qt::AlignRight);
  facts_->addWidget(right, row, 1);
  lines_ << name + QStringLiteral(": ") + value;
}

void FoundCard::show_found(const FoundModel& found) {
  const Model& model = *found.model;
  const ModelSpec& spec = model.spec();
  clear_facts();
  title_->setText(tr("Found %1").arg(text_of(model.where())));
  add_fact(tr("family"), text_of(spec.family));
  add_fact(tr("shape"), shape_text(spec));
  add_fact(tr("weights"), tr("%1 parameters in %2, %3 on disk")
                              .arg(parameters_text(model.weights().parameters()), text_of(spec.weight_dtype),
                                   text_of(format_bytes(model.file_bytes()))));
  add_fact(tr("tokenizer"), tokenizer_text(model));
  add_fact(tr("special tokens"),
           found.special_tokens.empty() ? tr("none are known") : text_of(found.special_tokens));
  add_fact(tr("memory"), memory_text(found), !found.forecast.fits());
  for (const std::string& note : model.notes()) add_fact(tr("note"), text_of(note));
  show();
  use_->setFocus();
}

QString FoundCard::text() const { return lines_.join(QLatin1Char('\n')); }

void FoundCard::keyPressEvent(QKeyEvent* event) {
  if (event->key() == Qt::Key_Return || event->key() == Qt::Key_Enter) return use_->click();
  QFrame::keyPressEvent(event);
}

}  // namespace saccade
