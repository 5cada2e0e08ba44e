// TokenFlow: tokens as chips in reading order, tinted by how much each one surprised the model; a picture's
// patches are one chip.
#pragma once

#include <QWidget>
#include <vector>

#include "app/shell/workbench.h"

namespace saccade {

class TokenFlow : public QWidget {
  Q_OBJECT
 public:
  explicit TokenFlow(Workbench& workbench, QWidget* parent = nullptr);
  void refresh();
  [[nodiscard]] int heightForWidth(int width) const override;

 protected:
  void paintEvent(QPaintEvent* event) override;
  void mousePressEvent(QMouseEvent* event) override;
  void resizeEvent(QResizeEvent* event) override;
  bool event(QEvent* event) override;

 private:
  int arrange(int width, std::vector<QRect>* chips) const;
  // The picture whose patch a token is; null for every other token.
  [[nodiscard]] const ImageRegion* picture_of(size_t token) const;
  [[nodiscard]] QString text_of(size_t token) const;
  [[nodiscard]] int at(QPoint position) const;
  [[nodiscard]] std::optional<float> surprise(size_t token) const;

  Workbench& workbench_;
  std::vector<QRect> chips_;
};

}  // namespace saccade
