// HeadGallery: every head's map over the picture, small, for the head grid; from the selected token or word,
// all on one scale. Rows are made a few at a time while the grid is painted, what is visible first, and kept.
// Thread: the GUI thread.
#pragma once

#include <QElapsedTimer>
#include <QImage>
#include <vector>

#include "app/views/picture/word_strip.h"

namespace saccade {

class HeadGallery {
 public:
  static constexpr const char* key = "over the picture";  // as a score of the grid
  explicit HeadGallery(const Workbench& workbench);

  // Looks at the workbench again. False: there is no picture, or nothing of it to draw.
  bool refresh(int cell_side);
  [[nodiscard]] bool shown() const { return shown_; }
  // Draws a head, or only the picture where there was no time left in this frame.
  void paint(QPainter& painter, HeadId head, const QRect& cell);
  // Begins a frame: so many milliseconds may go into new rows; true after it when some are still to come.
  void begin_frame(double budget_ms);
  [[nodiscard]] bool wants_more() const { return wants_more_; }
  // Makes rows of heads that were not painted yet within what is left of the budget: the scale is of all
  // heads.
  void end_frame();
  [[nodiscard]] const ColourScale& scale() const { return scale_; }
  [[nodiscard]] const std::vector<float>* values(HeadId head) const;  // null: not made yet

 private:
  [[nodiscard]] size_t index_of(HeadId head) const;
  bool make(HeadId head);
  [[nodiscard]] double left_ms() const;

  const Workbench& workbench_;
  AttentionRows rows_;
  PictureScene scene_;
  SmallPicture small_;
  int side_ = 0;
  bool shown_ = false, wants_more_ = false;
  LookedFrom from_;
  std::vector<PatchMap> maps_;  // [layer, head]; empty values: not made yet
  double largest_ = 0.0;
  ColourScale scale_;
  double budget_ms_ = 0.0;
  QElapsedTimer clock_;
};

}  // namespace saccade
