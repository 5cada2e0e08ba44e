#include "app/views/answer/answer_view.h"

#include <QHBoxLayout>
#include <QHeaderView>
#include <QPainter>
#include <QStyledItemDelegate>
#include <QVBoxLayout>
#include <cmath>

#include "app/views/answer/loss_chart.h"

namespace saccade {
namespace {

// Masked language models have none.
QString losses_text(const Capture& a, const Capture& b) {
  if (a.loss.empty() || b.loss.empty()) return {};
  return QObject::tr(" · mean loss %1 → %2 nats").arg(a.mean_loss(), 0, 'f', 3).arg(b.mean_loss(), 0, 'f', 3);
}

// A signed bar behind the number, from the middle of the cell; the sign is in the text, too.
class ChangeDelegate : public QStyledItemDelegate {
 public:
  using QStyledItemDelegate::QStyledItemDelegate;
  void paint(QPainter* painter, const QStyleOptionViewItem& option, const QModelIndex& index) const override {
    const double change = index.data(Qt::UserRole).toDouble();
    const QRectF cell = option.rect;
    const double half = cell.width() / 2, length = half * std::min(1.0, std::abs(change));
    const QColor colour = change > 0 ? QColor(33, 102, 172, 120) : QColor(178, 24, 43, 120);
    painter->fillRect(QRectF(change > 0 ? cell.center().x() : cell.center().x() - length, cell.top() + 3,
                             length, cell.height() - 6),
                      colour);
    QStyledItemDelegate::paint(painter, option, index);
  }
};

QString percent(double probability) {
  return QStringLiteral("%1 %").arg(100 * probability, 0, 'f', probability < 0.0995 ? 2 : 1);
}

QString html_of(const std::vector<DiffPiece>& pieces, DiffKind own, const char* colour) {
  QString html;
  for (const DiffPiece& piece : pieces) {
    QString text = QString::fromStdString(piece.text).toHtmlEscaped();
    text.replace("\n", "<br>");
    if (piece.kind == DiffKind::same) html += text;
    if (piece.kind == own) html += QStringLiteral("<b><u style='color:%1'>%2</u></b>").arg(colour, text);
  }
  return html;
}

}  // namespace

AnswerView::AnswerView(Workbench& workbench, QWidget* parent) : View(workbench, parent) {
  table_ = new QTableWidget(0, 4, this);
  table_->setObjectName("next_table");
  table_->setAccessibleName(tr("Next tokens"));
  table_->verticalHeader()->hide();
  table_->verticalHeader()->setDefaultSectionSize(22);
  table_->horizontalHeader()->setSectionResizeMode(0, QHeaderView::Stretch);
  for (int column = 1; column < 4; ++column)
    table_->horizontalHeader()->setSectionResizeMode(column, QHeaderView::ResizeToContents);
  table_->setEditTriggers(QAbstractItemView::NoEditTriggers);
  table_->setSelectionMode(QAbstractItemView::NoSelection);
  table_->setShowGrid(false);
  table_->setItemDelegateForColumn(3, new ChangeDelegate(table_));
  divergence_ = new QLabel(this);
  divergence_->setObjectName("divergence_label");
  divergence_->setTextInteractionFlags(Qt::TextSelectableByMouse);
  divergence_->setWordWrap(true);
  chart_ = new LossChart(workbench, this);
  dim_ = new QGraphicsOpacityEffect(table_);
  table_->setGraphicsEffect(dim_);
  auto* layout = new QVBoxLayout(this);
  layout->setContentsMargins(8, 8, 8, 8);
  layout->setSpacing(8);
  layout->addWidget(table_, 3);
  layout->addWidget(divergence_);
  layout->addWidget(chart_);
  build_sampling(layout);
  for (QTextEdit** text : {&text_a_, &text_b_}) {
    *text = new QTextEdit(this);
    (*text)->setReadOnly(true);
    (*text)->setMinimumHeight(48);
    layout->addWidget(*text, 1);
  }
  text_a_->setObjectName("text_a");
  text_b_->setObjectName("text_b");
  text_a_->setAccessibleName(tr("Generated text, baseline"));
  text_b_->setAccessibleName(tr("Generated text, edited"));
  text_a_->setPlaceholderText(tr("A: press Generate to let the model go on."));
  text_b_->setPlaceholderText(tr("B: the same with the edits."));
  connect(&workbench, &Workbench::runs_changed, this, [this] { touch(); });
  connect(&workbench, &Workbench::generation_changed, this, [this] { touch(); });
  connect(&workbench, &Workbench::selection_changed, chart_, [this] { chart_->update(); });
}

void AnswerView::build_sampling(QVBoxLayout* layout) {
  const auto spin = [this](int low, int high, int value, const QString& prefix, const QString& tip) {
    auto* box = new QSpinBox(this);
    box->setRange(low, high);
    box->setValue(value);
    box->setPrefix(prefix);
    box->setToolTip(tip);
    box->setAccessibleName(tip);
    connect(box, &QSpinBox::valueChanged, this, &AnswerView::apply_sampling);
    return box;
  };
  const auto real = [this](double low, double high, double value, const QString& prefix, const QString& tip) {
    auto* box = new QDoubleSpinBox(this);
    box->setRange(low, high);
    box->setSingleStep(0.1);
    box->setValue(value);
    box->setPrefix(prefix);
    box->setToolTip(tip);
    box->setAccessibleName(tip);
    connect(box, &QDoubleSpinBox::valueChanged, this, &AnswerView::apply_sampling);
    return box;
  };
  generate_ = new QPushButton(tr("Generate"), this);
  generate_->setObjectName("generate_button");
  stop_ = new QPushButton(tr("Stop"), this);
  tokens_ = spin(1, 4096, 24, QString(), tr("tokens to generate"));
  tokens_->setSuffix(tr(" tokens"));
  temperature_ = real(0.0, 5.0, 0.0, tr("T "), tr("temperature; 0 takes the most probable"));
  top_k_ = spin(0, 100000, 0, tr("k "), tr("sample from the k most probable; 0 = all"));
  top_p_ = real(0.01, 1.0, 1.0, tr("p "), tr("sample from the smallest set of this mass"));
  seed_ = spin(0, 1 << 30, 0, tr("seed "), tr("seed of the sampler"));
  auto* first = new QHBoxLayout;
  first->addWidget(generate_);
  first->addWidget(stop_);
  first->addWidget(tokens_, 1);
  auto* second = new QHBoxLayout;
  for (QWidget* box : {static_cast<QWidget*>(temperature_), static_cast<QWidget*>(top_k_),
                       static_cast<QWidget*>(top_p_), static_cast<QWidget*>(seed_)})
    second->addWidget(box, 1);
  layout->addLayout(first);
  layout->addLayout(second);
  connect(generate_, &QPushButton::clicked, this, [this] {
    apply_sampling();
    workbench().generate();
  });
  connect(stop_, &QPushButton::clicked, this, [this] { workbench().engine().cancel_key("generate"); });
}

void AnswerView::apply_sampling() {
  SamplingOptions options = workbench().sampling();
  options.max_tokens = tokens_->value();
  options.temperature = temperature_->value();
  options.top_k = top_k_->value();
  options.top_p = top_p_->value();
  options.seed = static_cast<uint64_t>(seed_->value());
  workbench().set_sampling(options);
}

void AnswerView::set_row(int row, const NextTokenChange& change, bool edited) {
  const auto put = [&](int column, const QString& text, const QString& tip) {
    auto* item = new QTableWidgetItem(text);
    item->setToolTip(tip);
    item->setTextAlignment(column == 0 ? Qt::AlignLeft | Qt::AlignVCenter
                                       : Qt::AlignRight | Qt::AlignVCenter);
    table_->setItem(row, column, item);
    return item;
  };
  const QString text = QString::fromStdString(display_text({change.id, change.text, 0, 0, false}));
  put(0, text, tr("id %1, rank %2").arg(change.id).arg(change.rank_a));
  put(1, percent(change.probability_a),
      tr("probability %1, logit %2").arg(change.probability_a, 0, 'g', 8).arg(change.logit_a));
  if (!edited) return;
  put(2, percent(change.probability_b),
      tr("probability %1, logit %2, rank %3")
          .arg(change.probability_b, 0, 'g', 8)
          .arg(change.logit_b)
          .arg(change.rank_b));
  const double points = change.probability_b - change.probability_a;
  auto* item =
      put(3, QStringLiteral("%1%2").arg(points < 0 ? "−" : "+").arg(100 * std::abs(points), 0, 'f', 1),
          tr("percentage points, rank %1 → %2").arg(change.rank_a).arg(change.rank_b));
  item->setData(Qt::UserRole, points);
}

void AnswerView::fill_table() {
  const auto run = workbench().run_a();
  const bool edited = workbench().edited() && workbench().comparison();
  table_->setHorizontalHeaderLabels({workbench().reads_only_pictures() ? tr("answer") : tr("next token"),
                                     tr("A"), tr("B"), tr("B − A, points")});
  table_->setColumnHidden(2, !edited);
  table_->setColumnHidden(3, !edited);
  std::vector<NextTokenChange> rows;
  if (edited) {
    rows = workbench().comparison()->top;
  } else if (run) {
    const auto stand_in = make_id_tokenizer(run->capture->spec.n_vocab);
    const Tokenizer& tokenizer = workbench().model() ? workbench().model()->tokenizer() : *stand_in;
    int rank = 0;
    for (const NextToken& next : top_next(run->capture->last_logits, tokenizer, 12))
      rows.push_back(
          {next.id, next.text, next.probability, next.probability, next.logit, next.logit, ++rank, rank});
  }
  table_->setRowCount(static_cast<int>(rows.size()));
  for (size_t i = 0; i < rows.size(); ++i) set_row(static_cast<int>(i), rows[i], edited);
}

void AnswerView::fill_texts() {
  const GeneratedText &a = workbench().text_a(), &b = workbench().text_b();
  const bool both = workbench().edited();
  text_b_->setVisible(both);
  stop_->setEnabled(a.running || b.running);
  const bool writes = !workbench().reads_only_pictures();
  generate_->setEnabled(writes && workbench().run_a() && workbench().model() && !a.running && !b.running);
  text_a_->setPlaceholderText(writes ? tr("A: press Generate to let the model go on.")
                                     : tr("This model answers with numbers, it writes no text."));
  text_b_->setPlaceholderText(writes ? tr("B: the same with the edits.") : QString());
  if (both && !a.text.isEmpty() && !b.text.isEmpty()) {
    const auto pieces = diff_words(a.text.toStdString(), b.text.toStdString());
    text_a_->setHtml(tr("<b>A</b> ") + html_of(pieces, DiffKind::only_a, "#266ed6"));
    text_b_->setHtml(tr("<b>B</b> ") + html_of(pieces, DiffKind::only_b, "#d66020"));
    return;
  }
  text_a_->setPlainText(a.text);
  text_b_->setPlainText(b.text);
}

void AnswerView::refresh() {
  dim_->setOpacity(workbench().answer_is_stale() ? 0.45 : 1.0);
  fill_table();
  const auto a = workbench().run_a(), b = workbench().run_b();
  const auto& comparison = workbench().comparison();
  if (!a)
    divergence_->setText(tr("What the model would say next will be here."));
  else if (comparison)
    divergence_->setText(tr("KL %1 nats · JS %2 nats%3%4")
                             .arg(comparison->kl, 0, 'g', 3)
                             .arg(comparison->js, 0, 'g', 3)
                             .arg(losses_text(*a->capture, *b->capture))
                             .arg(workbench().answer_is_stale() ? tr(" · computing…") : QString()));
  else
    divergence_->setText(a->capture->loss.empty()
                             ? QString()
                             : tr("mean loss %1 nats%2")
                                   .arg(a->capture->mean_loss(), 0, 'f', 3)
                                   .arg(workbench().answer_is_stale() ? tr(" · computing…") : QString()));
  chart_->update();
  fill_texts();
}

}  // namespace saccade
