#include "app/views/results/table_page.h"

#include <QAction>
#include <QApplication>
#include <QClipboard>
#include <QFileDialog>
#include <QHBoxLayout>
#include <QHeaderView>
#include <QPushButton>
#include <QToolButton>
#include <QVBoxLayout>
#include <algorithm>
#include <cmath>

#include "analysis/export/result_figures.h"
#include "core/base/files.h"

namespace saccade {
namespace {

bool is_number(const Cell& cell) { return !std::holds_alternative<std::string>(cell); }

double number_in(const Cell& cell) {
  if (const auto* whole = std::get_if<int64_t>(&cell)) return static_cast<double>(*whole);
  const double value = std::get<double>(cell);
  return std::isfinite(value) ? value : -HUGE_VAL;
}

}  // namespace

ResultTableModel::ResultTableModel(std::shared_ptr<const AnalysisResult> result, size_t table,
                                   QObject* parent)
    : QAbstractTableModel(parent), result_(std::move(result)), table_(table) {}

int ResultTableModel::rowCount(const QModelIndex& parent) const {
  return parent.isValid() ? 0 : static_cast<int>(table().rows.size());
}

int ResultTableModel::columnCount(const QModelIndex& parent) const {
  return parent.isValid() ? 0 : static_cast<int>(table().columns.size());
}

QVariant ResultTableModel::data(const QModelIndex& index, int role) const {
  const std::vector<Cell>& row = table().rows[static_cast<size_t>(index.row())];
  if (static_cast<size_t>(index.column()) >= row.size()) return {};
  const Cell& cell = row[static_cast<size_t>(index.column())];
  switch (role) {
    case Qt::DisplayRole:
      return QString::fromStdString(cell_text(cell));
    case Qt::ToolTipRole:
      return QString::fromStdString(cell_text(cell, 9));
    case Qt::TextAlignmentRole:
      return static_cast<int>((is_number(cell) ? Qt::AlignRight : Qt::AlignLeft) | Qt::AlignVCenter);
    case sort_role: {
      if (is_number(cell)) return number_in(cell);
      if (const auto head = head_in(std::get<std::string>(cell)))
        return static_cast<double>(head->layer.value) * 100000.0 + head->head.value;
      return QString::fromStdString(std::get<std::string>(cell));
    }
    default:
      return {};
  }
}

QVariant ResultTableModel::headerData(int section, Qt::Orientation orientation, int role) const {
  if (orientation != Qt::Horizontal || role != Qt::DisplayRole) return {};
  return QString::fromStdString(table().columns[static_cast<size_t>(section)])
      .replace(QLatin1Char('_'), QLatin1Char(' '));
}

bool ResultTableRows::filterAcceptsRow(int row, const QModelIndex& /*parent*/) const {
  const auto* model = qobject_cast<const ResultTableModel*>(sourceModel());
  return !model || filter_.matches(model->table().rows[static_cast<size_t>(row)]);
}

TablePage::TablePage(Workbench& workbench, const KeptResult& kept, size_t table, QWidget* parent)
    : QWidget(parent), workbench_(workbench) {
  model_ = new ResultTableModel(kept.result, table, this);
  rows_ = new ResultTableRows(this);
  rows_->setSourceModel(model_);
  rows_->setSortRole(ResultTableModel::sort_role);
  filter_ = new QLineEdit(this);
  filter_->setObjectName("result_filter");
  filter_->setClearButtonEnabled(true);
  filter_->setPlaceholderText(tr("filter: 5.1, or effect > 0.1 and |direct| < 0.2"));
  filter_->setAccessibleName(tr("Filter rows"));
  count_ = new QLabel(this);
  count_->setObjectName("result_rows");
  auto* select = new QToolButton(this);
  select->setText(tr("Select these"));
  select->setObjectName("select_shown");
  select->setToolTip(tr("Select every head that the rows shown name"));
  auto* copy = new QToolButton(this);
  copy->setText(tr("Copy"));
  copy->setToolTip(tr("Copy the rows shown (Ctrl+C)"));
  auto* save = new QToolButton(this);
  save->setText(tr("CSV…"));
  save->setToolTip(tr("Save the whole table as CSV"));
  table_ = new QTableView(this);
  table_->setObjectName("result_table");
  table_->setModel(rows_);
  table_->setSortingEnabled(true);
  table_->horizontalHeader()->setSortIndicator(-1, Qt::DescendingOrder);
  rows_->sort(-1);
  table_->setSelectionBehavior(QAbstractItemView::SelectRows);
  table_->verticalHeader()->hide();
  table_->verticalHeader()->setDefaultSectionSize(22);
  table_->setShowGrid(false);
  table_->setAlternatingRowColors(true);
  table_->setWordWrap(false);
  table_->setAccessibleName(QString::fromStdString(kept.result->tables[table].name));
  table_->resizeColumnsToContents();
  for (int c = 0; c < model_->columnCount(); ++c)
    table_->setColumnWidth(c, std::clamp(table_->columnWidth(c) + 6, 56, 260));
  auto* bar = new QHBoxLayout;
  bar->addWidget(filter_, 1);
  bar->addWidget(count_);
  for (QToolButton* button : {select, copy, save}) bar->addWidget(button);
  auto* layout = new QVBoxLayout(this);
  layout->setContentsMargins(0, 6, 0, 0);
  layout->setSpacing(6);
  layout->addLayout(bar);
  layout->addWidget(table_, 1);
  auto* copying = new QAction(this);
  copying->setShortcut(QKeySequence::Copy);
  copying->setShortcutContext(Qt::WidgetWithChildrenShortcut);
  addAction(copying);
  const auto to_clipboard = [this] { QApplication::clipboard()->setText(as_text()); };
  connect(copying, &QAction::triggered, this, to_clipboard);
  connect(copy, &QToolButton::clicked, this, to_clipboard);
  connect(save, &QToolButton::clicked, this, &TablePage::save);
  connect(select, &QToolButton::clicked, this, &TablePage::select_shown);
  connect(filter_, &QLineEdit::textChanged, this, &TablePage::filter);
  connect(table_->selectionModel(), &QItemSelectionModel::selectionChanged, this,
          [this] { select_from_rows(); });
  filter({});
}

void TablePage::filter(const QString& text) {
  const auto made = TableFilter::parse(text.toStdString(), model_->table().columns);
  if (made.ok()) rows_->set_filter(*made);
  count_->setText(made.ok() ? tr("%1 of %2").arg(rows_->rowCount()).arg(model_->rowCount()) : tr("?"));
  filter_->setToolTip(made.ok() ? QString() : QString::fromStdString(made.error().message));
  count_->setToolTip(filter_->toolTip());
  filter_->setStyleSheet(made.ok() ? QString() : QStringLiteral("QLineEdit { border: 1px solid #d03a32; }"));
}

void TablePage::select_from_rows() {
  std::vector<HeadId> heads;
  for (const QModelIndex& index : table_->selectionModel()->selectedRows()) {
    const auto row = static_cast<size_t>(rows_->mapToSource(index).row());
    for (const HeadId head : heads_of_row(model_->table(), row)) heads.push_back(head);
  }
  workbench_.select_known_heads(heads);
}

void TablePage::select_shown() {
  std::vector<HeadId> heads;
  for (int r = 0; r < rows_->rowCount(); ++r) {
    const auto row = static_cast<size_t>(rows_->mapToSource(rows_->index(r, 0)).row());
    for (const HeadId head : heads_of_row(model_->table(), row)) heads.push_back(head);
  }
  workbench_.select_known_heads(heads);
}

QString TablePage::as_text() const {
  QStringList lines;
  QStringList cells;
  for (const std::string& column : model_->table().columns) cells << QString::fromStdString(column);
  lines << cells.join(QLatin1Char('\t'));
  for (int r = 0; r < rows_->rowCount(); ++r) {
    const auto row = static_cast<size_t>(rows_->mapToSource(rows_->index(r, 0)).row());
    cells.clear();
    for (const Cell& cell : model_->table().rows[row]) cells << QString::fromStdString(cell_text(cell, 9));
    lines << cells.join(QLatin1Char('\t'));
  }
  return lines.join(QLatin1Char('\n')) + QLatin1Char('\n');
}

void TablePage::save() {
  const QString file = QFileDialog::getSaveFileName(
      this, tr("Save table"), QString::fromStdString(model_->table().name + ".csv"), tr("CSV (*.csv)"));
  if (file.isEmpty()) return;
  workbench_.write_file(file, [text = csv_of(model_->table()), path = file.toStdString()](const JobContext&) {
    return write_text_file(path, text);
  });
}

}  // namespace saccade
