// FieldPage: one field of a result: which slice of it, its picture, the grid's colours by it, and saving.
#pragma once

#include <QSpinBox>
#include <QWidget>
#include <vector>

#include "app/shell/workbench.h"
#include "app/views/results/field_canvas.h"

namespace saccade {

class FieldPage : public QWidget {
  Q_OBJECT
 public:
  FieldPage(Workbench& workbench, const KeptResult& kept, size_t field, QWidget* parent = nullptr);
  [[nodiscard]] FieldCanvas* canvas() const { return canvas_; }

 private:
  void add_held_axes(QWidget* bar);
  void show_slice();
  void follow_selection();
  void save();
  void show_over_picture();
  [[nodiscard]] const Field& field() const { return kept_.result->fields[field_]; }

  Workbench& workbench_;
  KeptResult kept_;
  size_t field_;
  FieldCanvas* canvas_ = nullptr;
  std::vector<QSpinBox*> held_;
};

}  // namespace saccade
