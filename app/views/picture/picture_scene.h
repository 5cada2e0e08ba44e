// PictureScene: what there is to draw over the picture, made from the workbench's run, selection and look.
// Plain values and functions, no widget. Thread: the GUI thread.
#pragma once

#include <QString>

#include "analysis/images/patch_map.h"
#include "app/shell/workbench.h"
#include "app/views/picture/attention_rows.h"

namespace saccade {

// Whose row is looked at: a position of a capture. With B - A shown `other` is A's capture.
struct LookedFrom {
  std::shared_ptr<const Capture> capture, other;
  int64_t query = -1;
  QString name;  // "CLS", "the word “cat”", "patch 2,3"
};

struct PictureScene {
  bool there = false;                     // a picture of the request or of a dump
  std::shared_ptr<const Picture> pixels;  // null in a dump: only its size is known
  PatchMap map;                           // no values: nothing to draw, `note` says why. No grid: not run yet
  ColourScale scale;
  LookedFrom from;
  QString title;     // "Head 1.3, from the word “cat”"
  QString quantity;  // "attention weight", a field's label
  QString note;      // why there is no map, and what to do
  int64_t query_patch = -1;
  double elsewhere = 0.0;  // of attention: the share of the row that is on no patch of this picture
  bool attention = false;  // values are weights of one row (or a mean of rows)
  bool difference = false;
};

// Fields of results that can be laid over this grid.
struct OverlayField {
  int result = 0;
  QString name, label;
};
[[nodiscard]] std::vector<OverlayField> overlay_fields(const Workbench& workbench);

// The regions of the run shown; empty without pictures.
[[nodiscard]] const std::vector<ImageRegion>& regions_shown(const Workbench& workbench);
// The heads that are drawn: those selected, or all of their layer.
[[nodiscard]] std::vector<HeadId> heads_shown(const Workbench& workbench);
// pointer: the patch under the pointer, -1 = none; used when the look is from there.
[[nodiscard]] LookedFrom looked_from(const Workbench& workbench, const ImageRegion& region, int64_t pointer);
[[nodiscard]] LookedFrom looked_from_word(const Workbench& workbench, int word);
// B - A is shown and A has no such row: its answer had other words before.
[[nodiscard]] bool cannot_be_compared(const Workbench& workbench, const LookedFrom& from);
// The row's part on the picture's patches; empty where it cannot be had. B - A with `other`.
[[nodiscard]] std::vector<float> patches_of(AttentionRows& rows, const LookedFrom& from,
                                            std::span<const HeadId> heads, const ImageRegion& region);
// Colours for maps whose largest value (or distance from 0) is `largest`.
[[nodiscard]] ColourScale overlay_scale(const PictureLook& look, bool difference, double largest);

[[nodiscard]] PictureScene picture_scene(const Workbench& workbench, AttentionRows& rows,
                                         int64_t pointer = -1);

}  // namespace saccade
