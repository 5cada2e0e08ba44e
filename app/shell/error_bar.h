// ErrorBar: one sentence at the top of the window, details fold out and can be copied, dismissed by a click
// or Esc.
#pragma once

#include <QFrame>
#include <QLabel>
#include <QPlainTextEdit>
#include <QToolButton>
#include <functional>

namespace saccade {

class ErrorBar : public QFrame {
  Q_OBJECT
 public:
  explicit ErrorBar(QWidget* parent = nullptr);
  void show_error(const QString& message, const QString& details);
  // A button beside the message that does something about it; show_error() takes it away again.
  void offer(const QString& text, const std::function<void()>& action);
  [[nodiscard]] QString message() const { return message_->text(); }

 private:
  QLabel* message_ = nullptr;
  QPlainTextEdit* details_ = nullptr;
  QToolButton* fold_ = nullptr;
  QToolButton* offer_ = nullptr;
  std::function<void()> action_;
};

}  // namespace saccade
