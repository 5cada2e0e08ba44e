// Figures for papers: a head's map, the head grid, a comparison. Vector where it can be (text, axes, scale
// bar), the map itself an embedded exact-pixel image. Every figure carries a caption generated from the run
// and its provenance in the file's metadata. Drawn with cairo and pango; thread: one figure per thread.
#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "analysis/colour.h"
#include "analysis/compare.h"
#include "analysis/field.h"
#include "core/base/job.h"
#include "core/capture/attention_map.h"

namespace saccade {

enum class FigureFormat { png, svg, pdf };
[[nodiscard]] Result<FigureFormat> figure_format_of(const std::filesystem::path& path);

struct FigureOptions {
  double width_mm = 160.0;  // at least 80; 130 for a comparison
  double dpi = 200.0;       // png
  ColourScale scale;
  bool dark = false;
  std::string caption;  // appended to the generated one
};

// One head's map over [rows_begin, rows_end) x [columns_begin, columns_end): rows = query, top = first token.
struct MapFigure {
  AttentionMap map;
  int64_t rows_begin = 0, rows_end = 0, columns_begin = 0, columns_end = 0;
  const AttentionMap* difference_from = nullptr;  // draws map - difference_from, red-blue
};
Result<void> write_map_figure(const MapFigure& figure, const FigureOptions& options,
                              const std::filesystem::path& path, const JobContext& job = {});

// Thumbnails of every head, all on one scale, layers down, heads across. With `score` the cells are coloured
// by that [layer, head] field instead.
Result<void> write_grid_figure(const std::shared_ptr<const Capture>& capture, const KernelSet& kernels,
                               const Field* score, const FigureOptions& options,
                               const std::filesystem::path& path, const JobContext& job = {});

// Next-token probabilities A against B, loss per position, and the change of every head.
Result<void> write_comparison_figure(const Comparison& comparison, const Capture& a, const Capture& b,
                                     const FigureOptions& options, const std::filesystem::path& path);

// Numbers of a map region: .csv with token labels, .npy float32 [query, key].
Result<void> write_map_csv(const MapFigure& figure, const std::filesystem::path& path);
Result<void> write_map_npy(const MapFigure& figure, const std::filesystem::path& path);

// The sentence under the figure: "Attention of head 1.3 of demo:induction on 24 tokens; edits: zero 0.2. ..."
[[nodiscard]] std::string map_caption(const MapFigure& figure, const FigureOptions& options);

}  // namespace saccade
