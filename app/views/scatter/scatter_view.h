// ScatterView: any two numbers per head against each other, heads as points. Hovering names the head, a click
// selects it, a dragged box selects many; how the two go together is printed.
#pragma once

#include <QComboBox>
#include <QLabel>

#include "app/views/view.h"

namespace saccade {

class ScatterCanvas;

class ScatterView : public View {
  Q_OBJECT
 public:
  explicit ScatterView(Workbench& workbench, QWidget* parent = nullptr);
  [[nodiscard]] ScatterCanvas* canvas() const { return canvas_; }
  void show_columns(const QString& x, const QString& y);  // keys of columns

 protected:
  void refresh() override;

 private:
  void fill(QComboBox* box, int otherwise);
  void show_chosen();
  void save();
  QComboBox *x_ = nullptr, *y_ = nullptr;
  QLabel* together_ = nullptr;
  ScatterCanvas* canvas_ = nullptr;
};

}  // namespace saccade
