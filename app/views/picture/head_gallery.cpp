#include "app/views/picture/head_gallery.h"

#include <QElapsedTimer>
#include <QPainter>
#include <algorithm>

#include "app/views/picture/picture_canvas.h"

namespace saccade {

HeadGallery::HeadGallery(const Workbench& workbench) : workbench_(workbench), rows_(workbench.kernels()) {}

bool HeadGallery::refresh(int cell_side) {
  const auto& regions = regions_shown(workbench_);
  const bool asked = workbench_.score_shown() == QLatin1String(key);
  shown_ = asked && !regions.empty();
  if (!shown_) {
    maps_.clear();
    from_ = {};
    return false;
  }
  const size_t at = std::min<size_t>(std::max(workbench_.picture_look().picture, 0), regions.size() - 1);
  PictureScene scene;
  scene.there = true;
  scene.map.region = regions[at];
  if (const auto given = static_cast<size_t>(regions[at].picture); given < workbench_.run_pictures().size())
    scene.pixels = workbench_.run_pictures()[given].pixels;
  const LookedFrom from = looked_from(workbench_, regions[at], -1);
  const bool same = from.capture == from_.capture && from.other == from_.other && from.query == from_.query &&
                    scene.map.region == scene_.map.region;
  if (scene.pixels != scene_.pixels || side_ != cell_side || !same) {
    side_ = cell_side;
    small_ = SmallPicture::of(scene, {cell_side, cell_side});
  }
  scene_ = scene;
  if (!same) {
    from_ = from;
    const ModelSpec& spec = from.capture->spec;
    maps_.assign(static_cast<size_t>(spec.n_heads_total()), {regions[at], {}});
    largest_ = 0.0;
  }
  wants_more_ = std::any_of(maps_.begin(), maps_.end(), [](const PatchMap& map) { return map.empty(); });
  scale_ = overlay_scale(workbench_.picture_look(), from_.other != nullptr, largest_);
  return true;
}

size_t HeadGallery::index_of(HeadId head) const {
  return static_cast<size_t>(head.layer.value) * static_cast<size_t>(from_.capture->spec.n_head) +
         static_cast<size_t>(head.head.value);
}

const std::vector<float>* HeadGallery::values(HeadId head) const {
  if (!shown_ || !from_.capture || index_of(head) >= maps_.size() || maps_[index_of(head)].empty())
    return nullptr;
  return &maps_[index_of(head)].values;
}

bool HeadGallery::make(HeadId head) {
  PatchMap& map = maps_[index_of(head)];
  if (!map.empty()) return true;
  map.values = patches_of(rows_, from_, {&head, 1}, scene_.map.region);
  if (map.empty())
    map.values.assign(static_cast<size_t>(map.region.grid_height) * map.region.grid_width, 0.0f);
  largest_ = std::max<double>(largest_, map.furthest());
  return true;
}

double HeadGallery::left_ms() const { return budget_ms_ - static_cast<double>(clock_.nsecsElapsed()) * 1e-6; }

void HeadGallery::begin_frame(double budget_ms) {
  budget_ms_ = budget_ms;
  wants_more_ = false;
  clock_.start();
}

void HeadGallery::paint(QPainter& painter, HeadId head, const QRect& cell) {
  if (!from_.capture || index_of(head) >= maps_.size()) return;
  const bool made = !maps_[index_of(head)].empty() || (left_ms() > 0.0 && make(head));
  wants_more_ = wants_more_ || !made;
  const QPointF at(cell.left() + (cell.width() - small_.image.width()) / 2.0,
                   cell.top() + (cell.height() - small_.image.height()) / 2.0);
  small_.paint(painter, at, made ? colours_of(maps_[index_of(head)], scale_, false) : QImage(),
               workbench_.picture_look().alpha, workbench_.picture_look().smooth);
}

void HeadGallery::end_frame() {
  if (!from_.capture) return;
  const ModelSpec& spec = from_.capture->spec;
  for (size_t i = 0; i < maps_.size(); ++i) {
    if (!maps_[i].empty()) continue;
    if (left_ms() <= 0.0) {
      wants_more_ = true;
      break;
    }
    const auto per_layer = static_cast<size_t>(spec.n_head);
    make({LayerIndex{static_cast<int32_t>(i / per_layer)}, HeadIndex{static_cast<int32_t>(i % per_layer)}});
  }
  const ColourScale now = overlay_scale(workbench_.picture_look(), from_.other != nullptr, largest_);
  wants_more_ = wants_more_ || now.high != scale_.high;
  scale_ = now;
}

}  // namespace saccade
