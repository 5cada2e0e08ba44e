// RegionBar: the regions that a person drew over the picture: which there are, how much of the shown row
// falls into each, and what can be done with one: its mass in every head (image-regions), edits of the
// patches under it.
#pragma once

#include <QComboBox>
#include <QLabel>
#include <QLineEdit>
#include <QToolButton>
#include <QWidget>

#include "app/views/picture/picture_scene.h"

namespace saccade {

class RegionBar : public QWidget {
  Q_OBJECT
 public:
  explicit RegionBar(Workbench& workbench, QWidget* parent = nullptr);

  void refresh(const PictureScene& scene);
  // A rectangle in pixels of the picture becomes a region with a name of its own; it is then the chosen one.
  void add(const QRectF& box);
  [[nodiscard]] int chosen() const;  // index among the look's regions; -1 = none
  // Asks image-regions about this picture's regions; the grid is coloured by the chosen one when it is done.
  void measure_heads();
  // Adds an edit of the patches that the chosen region covers half or more: knockout or boost, of the
  // selected heads or of all.
  void add_edit(EditVerb verb, bool all_heads);

 Q_SIGNALS:
  void drawing_changed(bool on);  // a drag over the picture makes a region

 private:
  QToolButton* button(const char* name, const QString& text, const QString& tip);
  void fill();
  void rename();
  void remove();
  void colour_by_result();
  [[nodiscard]] QString share_text() const;
  [[nodiscard]] std::vector<int64_t> patches_under(const LookRegion& region) const;

  Workbench& workbench_;
  PictureScene scene_;
  QToolButton *draw_ = nullptr, *heads_ = nullptr, *edit_ = nullptr, *remove_ = nullptr;
  QComboBox* list_ = nullptr;
  QLineEdit* name_ = nullptr;
  QLabel* share_ = nullptr;
  int wanted_result_ = 0;  // whose column colours the grid once it is there
  QString wanted_region_;
  bool filling_ = false;
};

}  // namespace saccade
