// AnswerView: what the model says next, before and after the edits: next tokens, divergence, losses, texts.
#pragma once

#include <QDoubleSpinBox>
#include <QGraphicsOpacityEffect>
#include <QLabel>
#include <QPushButton>
#include <QSpinBox>
#include <QTableWidget>
#include <QTextEdit>
#include <QVBoxLayout>

#include "app/views/view.h"

namespace saccade {

class LossChart;

class AnswerView : public View {
  Q_OBJECT
 public:
  explicit AnswerView(Workbench& workbench, QWidget* parent = nullptr);

 protected:
  void refresh() override;

 private:
  void build_sampling(QVBoxLayout* layout);
  void fill_table();
  void set_row(int row, const NextTokenChange& change, bool edited);
  void fill_texts();
  void apply_sampling();

  QTableWidget* table_ = nullptr;
  QLabel* divergence_ = nullptr;
  LossChart* chart_ = nullptr;
  QSpinBox* tokens_ = nullptr;
  QDoubleSpinBox* temperature_ = nullptr;
  QSpinBox* top_k_ = nullptr;
  QDoubleSpinBox* top_p_ = nullptr;
  QSpinBox* seed_ = nullptr;
  QPushButton* generate_ = nullptr;
  QPushButton* stop_ = nullptr;
  QTextEdit* text_a_ = nullptr;
  QTextEdit* text_b_ = nullptr;
  QGraphicsOpacityEffect* dim_ = nullptr;
};

}  // namespace saccade
