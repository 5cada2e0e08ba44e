// JobsStrip: what is being done, how far, how long still, a way to stop it; and the last finding.
#pragma once

#include <QLabel>
#include <QProgressBar>
#include <QPushButton>
#include <QTimer>
#include <QWidget>

#include "app/shell/workbench.h"

namespace saccade {

class JobsStrip : public QWidget {
  Q_OBJECT
 public:
  explicit JobsStrip(Workbench& workbench, QWidget* parent = nullptr);

 protected:
  bool eventFilter(QObject* watched, QEvent* event) override;

 private:
  void refresh();
  Workbench& workbench_;
  QLabel* title_ = nullptr;
  QProgressBar* bar_ = nullptr;
  QLabel* left_ = nullptr;
  QPushButton* stop_ = nullptr;
  QLabel* finding_ = nullptr;
  QTimer soon_;  // changes within 50 ms are shown once
  uint64_t running_ = 0;
};

}  // namespace saccade
