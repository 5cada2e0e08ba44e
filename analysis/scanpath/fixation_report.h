// Fixation reports: tables with one fixation a row, as EyeLink's Data Viewer, OneStop, MultiMatch's examples
// and most scripts write them. Columns are found by name, in any order and spelling; x and y are needed:
//   x, y       x, fix_x, start_x, x_start, pos_x, mean_x, fixation_x, CURRENT_FIX_X, ... and the same for y
//   duration   duration, dur, fix_duration, CURRENT_FIX_DURATION, duration_ms, duration_s ...
//   start      start, onset, t, CURRENT_FIX_START, start_time ...     order  CURRENT_FIX_INDEX, index ...
//   word       word, aoi, ia_id (from 0), CURRENT_FIX_INTEREST_AREA_ID (from 1, as Data Viewer counts)
//   stimulus   unique_trial_id, image, img, stimulus, picture ...    subject  participant_id, subject ...
//   trial      TRIAL_INDEX, trial    size  image_width, image_height
// Rows of one subject, stimulus and trial are one scanpath, in the order of the order column, or of start,
// or of the file. Rows without x or y are left out; a negative duration is an error. Thread: any.
#pragma once

#include <filesystem>
#include <string_view>

#include "analysis/scanpath/scanpath.h"

namespace saccade {

// automatic: as the column's name says (_ms, _s); otherwise seconds when the median is below 10 (nobody
// fixates for less than 10 ms), which a finding then says.
enum class TimeUnit { automatic, milliseconds, seconds };

struct ReportOptions {
  PictureSize size;  // where the file does not say it
  TimeUnit unit = TimeUnit::automatic;
  std::string stimulus, subject;  // where the file does not say them
};

[[nodiscard]] Result<ScanpathSet> parse_fixation_report(std::string_view text, const ReportOptions& options);
[[nodiscard]] Result<ScanpathSet> read_fixation_report(const std::filesystem::path& path,
                                                       const ReportOptions& options = {});

// Any file of scanpaths, by its content: a MAT file or a table. The error names the file.
[[nodiscard]] Result<ScanpathSet> read_scanpaths(const std::filesystem::path& path,
                                                 const ReportOptions& options = {});

}  // namespace saccade
