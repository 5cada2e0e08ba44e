#include "app/shell/error_bar.h"

#include <QApplication>
#include <QClipboard>
#include <QHBoxLayout>
#include <QVBoxLayout>

namespace saccade {

ErrorBar::ErrorBar(QWidget* parent) : QFrame(parent) {
  setObjectName("error_bar");
  setAccessibleName(tr("Error"));
  setStyleSheet(
      "#error_bar { background: #8c1d18; border-radius: 4px; } #error_bar QLabel { color: white; }"
      "#error_bar QToolButton { color: white; border: none; padding: 2px 6px; }"
      "#error_bar #offer { border: 1px solid white; border-radius: 3px; }");
  message_ = new QLabel(this);
  message_->setWordWrap(true);
  message_->setTextInteractionFlags(Qt::TextSelectableByMouse);
  details_ = new QPlainTextEdit(this);
  details_->setReadOnly(true);
  details_->setMaximumHeight(90);
  details_->hide();
  const auto button = [this](const QString& text) {
    auto* made = new QToolButton(this);
    made->setText(text);
    made->setAccessibleName(text);
    return made;
  };
  offer_ = button({});
  offer_->setObjectName("offer");
  offer_->hide();
  fold_ = button(tr("details"));
  fold_->setCheckable(true);
  auto* copy = button(tr("copy"));
  auto* close = button(tr("dismiss"));
  auto* row = new QHBoxLayout;
  row->addWidget(message_, 1);
  for (QToolButton* tool : {offer_, fold_, copy, close}) row->addWidget(tool);
  auto* layout = new QVBoxLayout(this);
  layout->setContentsMargins(10, 4, 6, 4);
  layout->addLayout(row);
  layout->addWidget(details_);
  connect(fold_, &QToolButton::toggled, details_, &QWidget::setVisible);
  connect(copy, &QToolButton::clicked, this,
          [this] { QApplication::clipboard()->setText(details_->toPlainText()); });
  connect(offer_, &QToolButton::clicked, this, [this] {
    hide();
    if (action_) action_();
  });
  connect(close, &QToolButton::clicked, this, &QWidget::hide);
  hide();
}

void ErrorBar::show_error(const QString& message, const QString& details) {
  message_->setText(message);
  details_->setPlainText(details);
  fold_->setChecked(false);
  offer_->hide();
  show();
}

void ErrorBar::offer(const QString& text, const std::function<void()>& action) {
  offer_->setText(text);
  offer_->setAccessibleName(text);
  action_ = action;
  offer_->show();
}

}  // namespace saccade
