// FoundCard: what a checkpoint is, before it is used: its shape, what it needs at the prompt's length, its
// tokenizer. Enter uses it; Esc, which the window handles,
// leaves things as they are.
#pragma once

#include <QFrame>
#include <QGridLayout>
#include <QLabel>
#include <QPushButton>

#include "app/shell/workbench.h"

namespace saccade {

class FoundCard : public QFrame {
  Q_OBJECT
 public:
  explicit FoundCard(QWidget* parent = nullptr);
  void show_found(const FoundModel& found);
  [[nodiscard]] QString text() const;  // all facts, a line each: for the clipboard and for tests

 Q_SIGNALS:
  void accepted();

 protected:
  void keyPressEvent(QKeyEvent* event) override;

 private:
  void clear_facts();
  void add_fact(const QString& name, const QString& value, bool warns = false);

  QLabel* title_ = nullptr;
  QGridLayout* facts_ = nullptr;
  QPushButton* use_ = nullptr;
  QStringList lines_;
};

}  // namespace saccade
