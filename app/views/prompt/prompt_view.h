// PromptView: what goes in: the text, BOS or not, samples; below it the tokens that this makes.
#pragma once

#include <QCheckBox>
#include <QComboBox>
#include <QLabel>
#include <QPlainTextEdit>
#include <QPushButton>
#include <QTimer>

#include "app/views/view.h"

namespace saccade {

class TokenFlow;

class PromptView : public View {
  Q_OBJECT
 public:
  explicit PromptView(Workbench& workbench, QWidget* parent = nullptr);

 protected:
  void refresh() override;
  bool eventFilter(QObject* watched, QEvent* event) override;

 private:
  void fill_samples();
  void run();
  QPlainTextEdit* editor_ = nullptr;
  QCheckBox* bos_ = nullptr;
  QComboBox* samples_ = nullptr;
  QLabel* note_ = nullptr;
  QLabel* count_ = nullptr;
  TokenFlow* tokens_ = nullptr;
  QTimer typed_;  // runs small models once typing pauses
};

}  // namespace saccade
