// TablePage: one table of a result: sorted by a click on a column, filtered by a typed line, copied, saved as
// CSV. A click on a row that names heads selects them everywhere.
#pragma once

#include <QAbstractTableModel>
#include <QLabel>
#include <QLineEdit>
#include <QSortFilterProxyModel>
#include <QTableView>

#include "analysis/table_filter.h"
#include "app/shell/workbench.h"

namespace saccade {

// The numbers of a table as Qt wants them; shares the result.
class ResultTableModel : public QAbstractTableModel {
  Q_OBJECT
 public:
  static constexpr int sort_role = Qt::UserRole;
  ResultTableModel(std::shared_ptr<const AnalysisResult> result, size_t table, QObject* parent);
  [[nodiscard]] const Table& table() const { return result_->tables[table_]; }
  [[nodiscard]] int rowCount(const QModelIndex& parent = {}) const override;
  [[nodiscard]] int columnCount(const QModelIndex& parent = {}) const override;
  [[nodiscard]] QVariant data(const QModelIndex& index, int role) const override;
  [[nodiscard]] QVariant headerData(int section, Qt::Orientation orientation, int role) const override;

 private:
  std::shared_ptr<const AnalysisResult> result_;
  size_t table_;
};

class ResultTableRows : public QSortFilterProxyModel {
  Q_OBJECT
 public:
  using QSortFilterProxyModel::QSortFilterProxyModel;
  void set_filter(TableFilter filter) {
    filter_ = std::move(filter);
    invalidateFilter();
  }

 protected:
  [[nodiscard]] bool filterAcceptsRow(int row, const QModelIndex& parent) const override;

 private:
  TableFilter filter_;
};

class TablePage : public QWidget {
  Q_OBJECT
 public:
  TablePage(Workbench& workbench, const KeptResult& kept, size_t table, QWidget* parent = nullptr);
  [[nodiscard]] QTableView* table() const { return table_; }
  [[nodiscard]] QString as_text() const;  // the rows shown, tab-separated

 private:
  void filter(const QString& text);
  void select_from_rows();
  void select_shown();
  void save();

  Workbench& workbench_;
  ResultTableModel* model_ = nullptr;
  ResultTableRows* rows_ = nullptr;
  QTableView* table_ = nullptr;
  QLineEdit* filter_ = nullptr;
  QLabel* count_ = nullptr;
};

}  // namespace saccade
