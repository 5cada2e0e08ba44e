// HeadsTableView: every head's scores, sortable and filterable; any column colours the grid.
#pragma once

#include <QLineEdit>
#include <QSortFilterProxyModel>
#include <QStandardItemModel>
#include <QTableView>

#include "app/views/view.h"

namespace saccade {

class HeadsTableView : public View {
  Q_OBJECT
 public:
  explicit HeadsTableView(Workbench& workbench, QWidget* parent = nullptr);

 protected:
  void refresh() override;

 private:
  void fill();
  void follow_selection();
  QTableView* table_ = nullptr;
  QStandardItemModel* model_ = nullptr;
  QSortFilterProxyModel* sorted_ = nullptr;
  QLineEdit* filter_ = nullptr;
  QStringList fields_;  // of the columns after the first
  const void* filled_ = nullptr;
  bool following_ = false;
};

}  // namespace saccade
