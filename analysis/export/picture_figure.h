// The picture with a map over its patches as a figure: the colour bar with its numbers, the query patch, the
// scanpaths where there are any, a caption and provenance. Thread: one figure per thread.
#pragma once

#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "analysis/export/figure.h"
#include "analysis/images/patch_map.h"
#include "analysis/scanpath/write_scanpath.h"

namespace saccade {

struct PictureFigure {
  std::shared_ptr<const Picture> picture;  // null: grey (a dump holds no picture)
  PatchMap map;                            // may be empty: the picture alone
  std::string title;                       // "Head 1.3, from CLS"
  std::string quantity;                    // of the colour bar: "attention weight"
  double alpha = 0.6;
  bool smooth = false;
  int64_t query_patch = -1;  // outlined
  bool attention = false;    // values are weights of a row: the caption says how much of it is on the picture
  std::vector<DrawnPath> paths = {};
  Provenance run;
};

// options.scale is the map's. Errors: those of every figure; a picture without size.
[[nodiscard]] Result<void> write_picture_figure(const PictureFigure& figure, const FigureOptions& options,
                                                const std::filesystem::path& path);
[[nodiscard]] std::string picture_caption(const PictureFigure& figure, const FigureOptions& options);

}  // namespace saccade
