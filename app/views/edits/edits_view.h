// EditsView: the list of interventions that makes run B: switch off, move factors, remove, add by text that a
// menu of every kind of edit can begin.
#pragma once

#include <QLabel>
#include <QLineEdit>
#include <QMenu>
#include <QPushButton>
#include <QVBoxLayout>

#include "app/views/view.h"
#include "core/run/edit_verbs.h"

namespace saccade {

class EditsView : public View {
  Q_OBJECT
 public:
  explicit EditsView(Workbench& workbench, QWidget* parent = nullptr);

 protected:
  void refresh() override;

 private:
  QWidget* make_row(size_t index, const Edit& edit);
  void change(size_t index, const std::function<void(Edit&)>& change, const QString& tag = {});
  void add();
  QMenu* make_templates();
  void begin(const VerbInfo& verb);

  QVBoxLayout* rows_ = nullptr;
  QLabel* empty_ = nullptr;
  QLineEdit* input_ = nullptr;
  QLabel* problem_ = nullptr;
  QPushButton* undo_ = nullptr;
  QPushButton* redo_ = nullptr;
  QPushButton* clear_ = nullptr;
  std::vector<Edit> shown_;  // what the rows were made for
};

}  // namespace saccade
