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

class PictureRow;
class TokenFlow;

class PromptView : public View {
  Q_OBJECT
 public:
  explicit PromptView(Workbench& workbench, QWidget* parent = nullptr);
  // Writes a place for a picture at the beginning of the prompt, and runs it.
  void put_place(const QString& placeholder);

 Q_SIGNALS:
  void open_asked();  // somebody wants to choose a picture file

 protected:
  void refresh() override;
  bool eventFilter(QObject* watched, QEvent* event) override;

 private:
  void fill_samples();
  void take_sample(int index);
  void run();
  QPlainTextEdit* editor_ = nullptr;
  QCheckBox* bos_ = nullptr;
  QComboBox* samples_ = nullptr;
  QPushButton* run_ = nullptr;
  QLabel* note_ = nullptr;
  QLabel* count_ = nullptr;
  PictureRow* pictures_ = nullptr;
  TokenFlow* tokens_ = nullptr;
  std::string sampled_;  // whose samples are listed
  QTimer typed_;         // runs small models once typing pauses
};

}  // namespace saccade
