#include "app/views/picture/scanpath_bar.h"

#include <QBuffer>
#include <QFileDialog>
#include <QHBoxLayout>
#include <QSignalBlocker>
#include <QVBoxLayout>
#include <algorithm>
#include <filesystem>

#include "analysis/scanpath/fixation_report.h"
#include "app/views/picture/picture_canvas.h"

namespace saccade {
namespace {

constexpr int load_item = -2, nobody = -1, everybody = -3;

std::string png_of(const Picture& picture) {
  QByteArray bytes;
  QBuffer buffer(&bytes);
  buffer.open(QIODevice::WriteOnly);
  image_of(picture).save(&buffer, "PNG");
  return bytes.toStdString();
}

bool same_paths(const std::vector<DrawnPath>& a, const std::vector<DrawnPath>& b) {
  return std::equal(a.begin(), a.end(), b.begin(), b.end(), [](const DrawnPath& one, const DrawnPath& other) {
    return one.label == other.label && scanpaths_csv({&one.path, 1}) == scanpaths_csv({&other.path, 1});
  });
}

}  // namespace

ScanpathBar::ScanpathBar(Workbench& workbench, AttentionRows& rows, QWidget* parent)
    : QWidget(parent), workbench_(workbench), rows_(rows) {
  build();
  connect(model_, &QComboBox::activated, this, [this] { collect(); });
  connect(person_, &QComboBox::activated, this, [this] {
    if (person_->currentData().toInt() == load_item) {
      person_->setCurrentIndex(0);
      ask_load();
    }
    collect();
  });
  connect(beside_, &QCheckBox::toggled, this, &ScanpathBar::moved);
  connect(speed_, &QComboBox::activated, this,
          [this] { player_.set_speed(speed_->currentData().toDouble()); });
  connect(play_, &QToolButton::clicked, this,
          [this] { player_.playing() ? player_.pause() : player_.play(); });
  connect(export_, &QToolButton::clicked, this, &ScanpathBar::ask_export);
  connect(scrubber_, &QSlider::valueChanged, this, [this](int ms) {
    player_.pause();
    player_.set_time(ms);
  });
  connect(&player_, &ScanpathPlayer::moved, this, [this] {
    show_state();
    Q_EMIT moved();
  });
  fill_people();
  show_state();
}

void ScanpathBar::build() {
  const auto combo = [this](const char* name, const QString& says) {
    auto* box = new QComboBox(this);
    box->setObjectName(name);
    box->setAccessibleName(says);
    box->setToolTip(says);
    return box;
  };
  model_ = combo("scanpath_model", tr("The model's scanpath"));
  model_->addItem(tr("no model path"), static_cast<int>(ModelPath::none));
  model_->addItem(tr("word by word"), static_cast<int>(ModelPath::words));
  model_->addItem(tr("layer by layer"), static_cast<int>(ModelPath::layers));
  model_->addItem(tr("highest places"), static_cast<int>(ModelPath::winners));
  model_->setItemData(1, tr("one fixation per generated word, where the selected heads look most"),
                      Qt::ToolTipRole);
  model_->setItemData(2, tr("one fixation per layer, the mean of its heads, from the selected token"),
                      Qt::ToolTipRole);
  model_->setItemData(3, tr("winner take all with inhibition of return on the map that is shown"),
                      Qt::ToolTipRole);
  person_ = combo("scanpath_person", tr("A person's scanpath, from a file of fixations"));
  person_->setSizeAdjustPolicy(QComboBox::AdjustToMinimumContentsLengthWithIcon);
  person_->setMinimumContentsLength(11);
  beside_ = new QCheckBox(tr("beside"), this);
  beside_->setObjectName("scanpath_beside");
  beside_->setToolTip(tr("The person's path on a picture of its own, beside the model's; off: over it"));
  beside_->setAccessibleName(beside_->toolTip());
  speed_ = combo("scanpath_speed", tr("Speed"));
  for (const double speed : {0.25, 0.5, 1.0, 2.0, 4.0})
    speed_->addItem(QStringLiteral("%1 ×").arg(speed), speed);
  speed_->setCurrentIndex(2);
  const auto button = [this](const char* name, const QString& text, const QString& tip) {
    auto* made = new QToolButton(this);
    made->setObjectName(name);
    made->setText(text);
    made->setToolTip(tip);
    made->setAccessibleName(tip);
    return made;
  };
  play_ = button("scanpath_play", QStringLiteral("▶"), tr("Play or pause the scanpath"));
  export_ = button("scanpath_export", tr("Save…"), tr("Save the scanpath: GIF, MP4, SVG or CSV"));
  scrubber_ = new QSlider(Qt::Horizontal, this);
  scrubber_->setObjectName("scanpath_time");
  scrubber_->setAccessibleName(tr("Time of the scanpath"));
  scrubber_->setMinimumWidth(60);
  time_ = new QLabel(this);
  time_->setObjectName("scanpath_clock");
  note_ = new QLabel(this);
  note_->setObjectName("scanpath_note");
  note_->setWordWrap(true);
  note_->hide();
  auto* row = new QHBoxLayout;
  row->setSpacing(4);
  row->addWidget(new QLabel(tr("Scanpath"), this));
  for (QWidget* widget : {static_cast<QWidget*>(model_), static_cast<QWidget*>(person_),
                          static_cast<QWidget*>(beside_), static_cast<QWidget*>(play_)})
    row->addWidget(widget);
  row->addWidget(scrubber_, 1);
  for (QWidget* widget :
       {static_cast<QWidget*>(time_), static_cast<QWidget*>(speed_), static_cast<QWidget*>(export_)})
    row->addWidget(widget);
  auto* layout = new QVBoxLayout(this);
  layout->setContentsMargins(0, 0, 0, 0);
  layout->setSpacing(2);
  layout->addLayout(row);
  layout->addWidget(note_);
}

void ScanpathBar::refresh(const PictureScene& scene) {
  const bool other = scene.map.region.name != scene_.map.region.name || !(size_of(scene) == size_of(scene_));
  scene_ = scene;
  if (other) fill_people();
  if (player_.playing() && !other) return;  // what plays is not pulled away
  collect();
}

void ScanpathBar::fill_people() {
  people_.clear();
  note_->hide();
  const QSignalBlocker quiet(person_);
  person_->clear();
  person_->addItem(tr("no person"), nobody);
  if (!loaded_.paths.empty() && scene_.there) {
    auto found = people_on(loaded_, scene_.map.region.name, size_of(scene_));
    if (found.ok()) {
      people_ = std::move(*found);
    } else {
      note_->setText(
          QStringLiteral("%1: %2").arg(loaded_name_, QString::fromStdString(found.error().message)));
      note_->show();
    }
  }
  for (size_t i = 0; i < people_.size(); ++i)
    person_->addItem(
        people_[i].subject.empty() ? tr("person %1").arg(i + 1) : QString::fromStdString(people_[i].subject),
        static_cast<int>(i));
  if (people_.size() > 1) person_->addItem(tr("the first six"), everybody);
  person_->addItem(tr("Load a file…"), load_item);
}

void ScanpathBar::collect() {
  std::vector<DrawnPath> drawn;
  const auto kind = static_cast<ModelPath>(model_->currentData().toInt());
  if (people_.empty() && loaded_.paths.empty()) note_->hide();
  if (kind != ModelPath::none) {
    auto path = model_path(kind, workbench_, rows_, scene_);
    if (path.ok()) drawn.push_back({*path, path->subject});
    note_->setVisible(!path.ok());
    if (!path.ok()) note_->setText(QString::fromStdString(path.error().message));
  }
  const size_t of_model = drawn.size();
  const int person = person_->currentData().toInt();
  for (size_t i = 0; i < people_.size(); ++i)
    if (static_cast<int>(i) == person || (person == everybody && i < 6))
      drawn.push_back({people_[i], people_[i].subject});
  if (same_paths(drawn, drawn_) && of_model == of_model_) return;
  drawn_ = std::move(drawn);
  of_model_ = of_model;
  std::vector<TimedPath> timed;
  for (const DrawnPath& one : drawn_) timed.push_back(TimedPath::of(one.path, one.label));
  player_.set_paths(std::move(timed));
}

std::optional<size_t> ScanpathBar::beside() const {
  if (!beside_->isChecked() || of_model_ == 0 || drawn_.size() <= of_model_) return std::nullopt;
  return of_model_;
}

void ScanpathBar::show_state() {
  const bool any = !player_.paths().empty();
  beside_->setEnabled(of_model_ > 0 && drawn_.size() > of_model_);
  for (QWidget* widget : {static_cast<QWidget*>(play_), static_cast<QWidget*>(scrubber_),
                          static_cast<QWidget*>(export_), static_cast<QWidget*>(speed_)})
    widget->setEnabled(any);
  play_->setText(player_.playing() ? QStringLiteral("❚❚") : QStringLiteral("▶"));
  const QSignalBlocker quiet(scrubber_);
  scrubber_->setRange(0, static_cast<int>(player_.duration()));
  scrubber_->setValue(static_cast<int>(player_.time()));
  time_->setText(any ? tr("%1 / %2 s")
                           .arg(player_.time() / 1000.0, 0, 'f', 1)
                           .arg(player_.duration() / 1000.0, 0, 'f', 1)
                     : QString());
}

void ScanpathBar::load_people(const QString& file) {
  auto set = read_scanpaths(file.toStdString());
  if (!set.ok()) {
    note_->setText(QString::fromStdString(set.error().message));
    note_->show();
    return;
  }
  loaded_ = std::move(*set);
  loaded_name_ = QString::fromStdString(std::filesystem::path(file.toStdString()).filename().string());
  fill_people();
  if (!people_.empty()) person_->setCurrentIndex(1);
  collect();
}

void ScanpathBar::ask_load() {
  const QString file = QFileDialog::getOpenFileName(this, tr("Load fixations"), {},
                                                    tr("Fixations (*.csv *.tsv *.txt *.asc *.xls *.mat)"));
  if (!file.isEmpty()) load_people(file);
}

void ScanpathBar::ask_export() {
  const QString file =
      QFileDialog::getSaveFileName(this, tr("Save scanpath"), "scanpath.gif",
                                   tr("Animation, figure or numbers (*.gif *.mp4 *.svg *.csv)"));
  if (!file.isEmpty()) write(file);
}

void ScanpathBar::write(const QString& file) {
  if (drawn_.empty()) return;
  const std::filesystem::path path = file.toStdString();
  ScanpathAnimation animation;
  animation.paths = drawn_;
  animation.speed = speed_->currentData().toDouble();
  animation.picture =
      overlaid(scene_.pixels.get(), scene_.map,
               {scene_.scale, workbench_.picture_look().alpha, workbench_.picture_look().smooth, 720});
  const std::string title = scene_.title.toStdString();
  workbench_.write_file(file, [animation, path, title](const JobContext& job) -> Result<void> {
    if (path.extension() == ".csv") {
      std::vector<Scanpath> paths;
      for (const DrawnPath& drawn : animation.paths) paths.push_back(drawn.path);
      return write_scanpaths_csv(paths, path);
    }
    if (path.extension() == ".svg") {
      ScanpathFigure figure;
      figure.paths = animation.paths;
      figure.title = title;
      const std::string png = png_of(animation.picture);
      figure.picture = std::as_bytes(std::span<const char>(png));
      return write_scanpath_svg(figure, path);
    }
    SACCADE_TRY(const Animation frames, animate(animation));
    return write_animation(frames, path, job);
  });
}

}  // namespace saccade
