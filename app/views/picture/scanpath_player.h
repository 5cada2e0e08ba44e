// TimedPath and ScanpathPlayer: scanpaths in time: what has been looked at when. The clock of the animation
// in the window; frames of files are made by analysis/scanpath/scanpath_frames.h with the same times.
#pragma once

#include <QElapsedTimer>
#include <QObject>
#include <QTimer>
#include <vector>

#include "analysis/scanpath/scanpath_frames.h"

namespace saccade {

// Plays forward in real time times `speed`; stops at the end. Thread: the GUI thread.
class ScanpathPlayer : public QObject {
  Q_OBJECT
 public:
  explicit ScanpathPlayer(QObject* parent = nullptr);
  void set_paths(std::vector<TimedPath> paths);  // goes to the end: everything is seen
  [[nodiscard]] const std::vector<TimedPath>& paths() const { return paths_; }
  [[nodiscard]] double duration() const;
  [[nodiscard]] double time() const { return time_; }
  [[nodiscard]] bool playing() const { return timer_.isActive(); }
  void set_time(double ms);
  void set_speed(double speed) { speed_ = speed; }
  void play();  // from the beginning when it is at the end
  void pause();

 Q_SIGNALS:
  void moved();  // time, playing or paths

 private:
  void tick();
  std::vector<TimedPath> paths_;
  double time_ = 0.0, speed_ = 1.0;
  QTimer timer_;
  QElapsedTimer clock_;
};

}  // namespace saccade
