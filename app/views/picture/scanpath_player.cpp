#include "app/views/picture/scanpath_player.h"

#include <algorithm>

namespace saccade {

ScanpathPlayer::ScanpathPlayer(QObject* parent) : QObject(parent) {
  timer_.setInterval(16);
  connect(&timer_, &QTimer::timeout, this, &ScanpathPlayer::tick);
}

void ScanpathPlayer::set_paths(std::vector<TimedPath> paths) {
  timer_.stop();
  paths_ = std::move(paths);
  time_ = duration();
  Q_EMIT moved();
}

double ScanpathPlayer::duration() const {
  double longest = 0.0;
  for (const TimedPath& path : paths_) longest = std::max(longest, path.end());
  return longest;
}

void ScanpathPlayer::set_time(double ms) {
  const double time = std::clamp(ms, 0.0, duration());
  if (time == time_) return;
  time_ = time;
  Q_EMIT moved();
}

void ScanpathPlayer::play() {
  if (paths_.empty()) return;
  if (time_ >= duration()) time_ = 0.0;
  clock_.start();
  timer_.start();
  Q_EMIT moved();
}

void ScanpathPlayer::pause() {
  if (!timer_.isActive()) return;
  timer_.stop();
  Q_EMIT moved();
}

void ScanpathPlayer::tick() {
  time_ = std::min(duration(), time_ + static_cast<double>(clock_.restart()) * speed_);
  if (time_ >= duration()) timer_.stop();
  Q_EMIT moved();
}

}  // namespace saccade
