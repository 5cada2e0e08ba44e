// ScanpathBar: which scanpaths are shown over the picture, the clock that plays them, and their files.
#pragma once

#include <QCheckBox>
#include <QComboBox>
#include <QLabel>
#include <QSlider>
#include <QToolButton>
#include <QWidget>
#include <optional>

#include "app/views/picture/scanpath_player.h"
#include "app/views/picture/scanpath_source.h"

namespace saccade {

class ScanpathBar : public QWidget {
  Q_OBJECT
 public:
  ScanpathBar(Workbench& workbench, AttentionRows& rows, QWidget* parent = nullptr);

  // The scene has changed: the model's path is made again.
  void refresh(const PictureScene& scene);
  [[nodiscard]] ScanpathPlayer& player() { return player_; }
  void load_people(const QString& file);
  // How many of the player's paths are the model's, where people's are to stand beside them.
  [[nodiscard]] std::optional<size_t> beside() const;
  // .gif, .mp4, .svg or .csv of what is shown.
  void write(const QString& file);

 Q_SIGNALS:
  void moved();

 private:
  void build();
  void collect();
  void show_state();
  void ask_load();
  void ask_export();
  void fill_people();

  Workbench& workbench_;
  AttentionRows& rows_;
  ScanpathPlayer player_;
  PictureScene scene_;
  ScanpathSet loaded_;
  QString loaded_name_;
  std::vector<Scanpath> people_;  // of this picture
  std::vector<DrawnPath> drawn_;
  QComboBox *model_ = nullptr, *person_ = nullptr, *speed_ = nullptr;
  QToolButton *play_ = nullptr, *export_ = nullptr;
  QSlider* scrubber_ = nullptr;
  QCheckBox* beside_ = nullptr;
  size_t of_model_ = 0;  // so many of drawn_, the first
  QLabel *time_ = nullptr, *note_ = nullptr;
};

}  // namespace saccade
