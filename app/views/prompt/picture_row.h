// PictureRow: the request's pictures as thumbnails with their names, each with a button that takes it away,
// and one that adds more. Not there for models of text.
#pragma once

#include <QHBoxLayout>
#include <QToolButton>
#include <QWidget>

#include "app/shell/workbench.h"

namespace saccade {

class PictureRow : public QWidget {
  Q_OBJECT
 public:
  explicit PictureRow(Workbench& workbench, QWidget* parent = nullptr);
  void refresh();

 Q_SIGNALS:
  void open_asked();

 private:
  QWidget* card_of(int index);
  Workbench& workbench_;
  QHBoxLayout* cards_ = nullptr;
  QToolButton* add_ = nullptr;
  std::vector<std::shared_ptr<const Picture>> shown_;
};

}  // namespace saccade
