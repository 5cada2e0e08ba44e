// View: one dock or tab that shows part of the workbench. A hidden view does no work: it notes that it is out
// of date and refreshes when it is shown.
#pragma once

#include <QShowEvent>
#include <QWidget>

#include "app/shell/workbench.h"

namespace saccade {

class View : public QWidget {
  Q_OBJECT
 public:
  explicit View(Workbench& workbench, QWidget* parent = nullptr) : QWidget(parent), workbench_(workbench) {}

 protected:
  [[nodiscard]] Workbench& workbench() const { return workbench_; }
  // Called when something this view shows has changed and it is visible; or once when it becomes visible.
  virtual void refresh() = 0;
  // Connect signals to this.
  void touch() {
    if (isVisible())
      refresh();
    else
      out_of_date_ = true;
  }
  void showEvent(QShowEvent* event) override {
    QWidget::showEvent(event);
    if (out_of_date_) refresh();
    out_of_date_ = false;
  }

 private:
  Workbench& workbench_;
  bool out_of_date_ = true;
};

}  // namespace saccade
