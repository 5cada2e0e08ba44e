#include "app/views/heads_table/heads_table_view.h"

#include <QHeaderView>
#include <QItemSelectionModel>
#include <QMenu>
#include <QVBoxLayout>
#include <algorithm>
#include <cmath>

namespace saccade {
namespace {

constexpr int head_role = Qt::UserRole + 2;

}  // namespace

HeadsTableView::HeadsTableView(Workbench& workbench, QWidget* parent) : View(workbench, parent) {
  filter_ = new QLineEdit(this);
  filter_->setPlaceholderText(tr("filter heads: 1.2 or 1."));
  filter_->setClearButtonEnabled(true);
  filter_->setAccessibleName(tr("Filter heads"));
  model_ = new QStandardItemModel(this);
  sorted_ = new QSortFilterProxyModel(this);
  sorted_->setSourceModel(model_);
  sorted_->setSortRole(Qt::UserRole);
  table_ = new QTableView(this);
  table_->setObjectName("heads_table");
  table_->setModel(sorted_);
  table_->setSortingEnabled(true);
  table_->sortByColumn(0, Qt::AscendingOrder);
  table_->setSelectionBehavior(QAbstractItemView::SelectRows);
  table_->setEditTriggers(QAbstractItemView::NoEditTriggers);
  table_->verticalHeader()->hide();
  table_->verticalHeader()->setDefaultSectionSize(22);
  table_->setShowGrid(false);
  table_->setAlternatingRowColors(true);
  table_->setAccessibleName(tr("Scores of every head"));
  table_->horizontalHeader()->setContextMenuPolicy(Qt::CustomContextMenu);
  table_->horizontalHeader()->setToolTip(tr("click sorts; right-click colours the grid"));
  auto* layout = new QVBoxLayout(this);
  layout->setContentsMargins(8, 8, 8, 8);
  layout->setSpacing(8);
  layout->addWidget(filter_);
  layout->addWidget(table_, 1);
  connect(filter_, &QLineEdit::textChanged, sorted_, &QSortFilterProxyModel::setFilterFixedString);
  connect(table_->horizontalHeader(), &QWidget::customContextMenuRequested, this, [this](const QPoint& at) {
    const int column = table_->horizontalHeader()->logicalIndexAt(at);
    QMenu menu;
    if (column > 0 && column <= fields_.size())
      menu.addAction(tr("Colour the grid by this column"), this,
                     [this, column] { this->workbench().set_score(fields_[column - 1]); });
    menu.addAction(tr("Show thumbnails in the grid"), this, [this] { this->workbench().set_score({}); });
    menu.exec(table_->horizontalHeader()->mapToGlobal(at));
  });
  connect(table_->selectionModel(), &QItemSelectionModel::selectionChanged, this, [this] {
    if (following_) return;
    std::vector<HeadId> heads;
    for (const QModelIndex& index : table_->selectionModel()->selectedRows()) {
      const QPoint head = sorted_->data(index, head_role).toPoint();
      heads.push_back({LayerIndex{head.x()}, HeadIndex{head.y()}});
    }
    this->workbench().select_heads(heads);
  });
  connect(&workbench, &Workbench::scores_changed, this, [this] { touch(); });
  connect(&workbench, &Workbench::selection_changed, this, [this] { touch(); });
}

void HeadsTableView::fill() {
  const auto& scores = workbench().head_scores();
  following_ = true;
  model_->clear();
  fields_.clear();
  QStringList headers{tr("head")};
  std::vector<const Field*> fields;
  if (scores)
    for (const Field& field : scores->fields)
      if (field.has_axes({AxisKind::layer, AxisKind::head})) {
        fields.push_back(&field);
        fields_ << QString::fromStdString(field.name);
        headers << QString::fromStdString(field.label) +
                       (field.unit.empty() ? QString()
                                           : QStringLiteral(", ") + QString::fromStdString(field.unit));
      }
  model_->setHorizontalHeaderLabels(headers);
  const auto& shape = fields.empty() ? std::vector<int64_t>{0, 0} : fields[0]->values.shape();
  for (int32_t l = 0; l < shape[0]; ++l)
    for (int32_t h = 0; h < shape[1]; ++h) {
      QList<QStandardItem*> row;
      auto* name = new QStandardItem(QStringLiteral("%1.%2").arg(l).arg(h));
      name->setData(l * 100000 + h, Qt::UserRole);
      name->setData(QPoint(l, h), head_role);
      row << name;
      for (const Field* field : fields) {
        const double value = field->values.at({l, h});
        auto* item =
            new QStandardItem(std::isfinite(value) ? QString::number(value, 'g', 3) : QStringLiteral("–"));
        item->setData(std::isfinite(value) ? value : -1e300, Qt::UserRole);
        item->setToolTip(QString::number(value, 'g', 9));
        item->setTextAlignment(Qt::AlignRight | Qt::AlignVCenter);
        row << item;
      }
      model_->appendRow(row);
    }
  table_->resizeColumnsToContents();
  following_ = false;
}

void HeadsTableView::follow_selection() {
  following_ = true;
  QItemSelection rows;
  const auto& heads = workbench().selection().heads;
  QModelIndex current;
  for (int r = 0; r < sorted_->rowCount(); ++r) {
    const QModelIndex index = sorted_->index(r, 0);
    const QPoint at = sorted_->data(index, head_role).toPoint();
    const HeadId head{LayerIndex{at.x()}, HeadIndex{at.y()}};
    if (std::find(heads.begin(), heads.end(), head) == heads.end()) continue;
    rows.select(index, sorted_->index(r, sorted_->columnCount() - 1));
    if (head == workbench().selection().head) current = index;
  }
  table_->selectionModel()->select(rows, QItemSelectionModel::ClearAndSelect);
  if (current.isValid()) table_->scrollTo(current);
  following_ = false;
}

void HeadsTableView::refresh() {
  const auto& scores = workbench().head_scores();
  const void* now = scores && !scores->fields.empty() ? scores->fields[0].values.data() : nullptr;
  if (now != filled_) fill();
  filled_ = now;
  follow_selection();
}

}  // namespace saccade
