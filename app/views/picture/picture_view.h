// PictureView: where the model looked: the picture with the map of the selected head (heads, layer, or a
// field of a result) over it, from the selected token, word or patch; below it the answer's words, and
// scanpaths.
#pragma once

#include <QCheckBox>
#include <QComboBox>
#include <QDoubleSpinBox>
#include <QLabel>
#include <QSlider>
#include <QSpinBox>
#include <QStackedWidget>

#include "app/views/picture/picture_canvas.h"
#include "app/views/picture/region_bar.h"
#include "app/views/picture/scanpath_bar.h"
#include "app/views/picture/word_strip.h"
#include "app/views/view.h"

namespace saccade {

class PictureView : public View {
  Q_OBJECT
 public:
  explicit PictureView(Workbench& workbench, QWidget* parent = nullptr);

  [[nodiscard]] PictureCanvas* canvas() const { return canvas_; }
  [[nodiscard]] WordStrip* words() const { return words_->strip(); }
  [[nodiscard]] ScanpathBar* scanpaths() const { return scanpaths_; }
  [[nodiscard]] RegionBar* regions() const { return regions_; }
  // Whether this model and request have anything to do with pictures.
  [[nodiscard]] static bool concerns(const Workbench& workbench);
  // .png, .svg or .pdf of what is shown.
  void export_figure(const QString& file);
  void ask_export();

 Q_SIGNALS:
  void open_asked();  // somebody wants to choose a picture file

 protected:
  void refresh() override;

 private:
  QWidget* build_choices();
  QWidget* build_look();
  void fill_choices();
  void fill_held();
  void choose_source(int index);
  void change_look();
  void draw();  // the scene again, for the pointer where it is
  void click(int64_t patch);
  void step(int dx, int dy);
  [[nodiscard]] QString describe(int64_t patch) const;
  void show_hover(int64_t patch);
  [[nodiscard]] QString empty_text() const;

  AttentionRows rows_;
  QStackedWidget* stack_ = nullptr;
  QLabel* empty_ = nullptr;
  QComboBox *source_ = nullptr, *from_ = nullptr, *picture_ = nullptr, *palette_ = nullptr, *range_ = nullptr;
  QWidget* held_ = nullptr;
  QString held_of_;  // which field's spin boxes are there
  QSlider* alpha_ = nullptr;
  QCheckBox* smooth_ = nullptr;
  QDoubleSpinBox* high_ = nullptr;
  QLabel *title_ = nullptr, *hover_ = nullptr;
  PictureCanvas* canvas_ = nullptr;
  WordStripArea* words_ = nullptr;
  ScanpathBar* scanpaths_ = nullptr;
  RegionBar* regions_ = nullptr;
  bool filling_ = false;
};

}  // namespace saccade
