#include "analysis/scanpath/fixation_report.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <map>
#include <tuple>

#include "analysis/scanpath/delimited_text.h"
#include "analysis/scanpath/osie_file.h"
#include "core/base/files.h"

namespace saccade {
namespace {

using Names = std::vector<std::string_view>;

struct Columns {
  size_t x = 0, y = 0;
  std::optional<size_t> duration, start, order, word, stimulus, subject, trial, width, height;
  double milliseconds = 1.0;  // one unit of the time columns
  bool unit_is_named = false;
  int64_t first_word = 0;
};

const Names x_names{"x",     "fix_x",  "start_x",    "x_start", "CURRENT_FIX_X", "fixation_x",
                    "pos_x", "x_pos",  "position_x", "mean_x",  "x_mean",        "avg_x",
                    "axp",   "gaze_x", "x_px",       "x_pixel"};
const Names y_names{"y",     "fix_y",  "start_y",    "y_start", "CURRENT_FIX_Y", "fixation_y",
                    "pos_y", "y_pos",  "position_y", "mean_y",  "y_mean",        "avg_y",
                    "ayp",   "gaze_y", "y_px",       "y_pixel"};
const Names milliseconds_names{"duration_ms", "dur_ms", "fix_duration_ms", "CURRENT_FIX_DURATION"};
const Names seconds_names{"duration_s", "dur_s", "duration_sec", "fix_duration_s"};
const Names duration_names{"duration", "dur", "fix_duration", "fix_dur", "fixation_duration", "dwell"};
const Names start_names{"start",      "onset",     "t",       "CURRENT_FIX_START",
                        "start_time", "start_ms",  "start_s", "t_start",
                        "fix_start",  "timestamp", "time",    "start_timestamp"};
const Names order_names{"CURRENT_FIX_INDEX", "fix_index",  "fixation_index", "index", "order",
                        "fixation_number",   "fix_number", "fixation_id"};
const Names data_viewer_word_names{"CURRENT_FIX_INTEREST_AREA_ID", "CURRENT_FIX_INTEREST_AREA_INDEX"};
const Names word_names{"word", "word_index", "word_id", "aoi", "aoi_id", "ia_id", "interest_area", "roi"};
const Names stimulus_names{"unique_trial_id", "image",     "img",         "image_name",
                           "image_id",        "stimulus",  "stimulus_id", "picture",
                           "stimulusname",    "page_name", "item",        "filename"};
const Names subject_names{
    "participant_id",          "participant", "subject", "subject_id", "sub", "observer",
    "RECORDING_SESSION_LABEL", "viewer"};
const Names trial_names{"TRIAL_INDEX", "trial", "trial_id", "trial_number"};
const Names width_names{"image_width", "picture_width", "stimulus_width", "width"};
const Names height_names{"image_height", "picture_height", "stimulus_height", "height"};

Result<Columns> find_columns(const DelimitedText& table) {
  Columns columns;
  const auto x = table.column(x_names), y = table.column(y_names);
  if (!x || !y) {
    std::string has;
    for (size_t i = 0; i < std::min<size_t>(table.columns().size(), 12); ++i)
      has += (i ? ", " : "") + table.columns()[i].substr(0, 40);
    return make_error(ErrorCode::bad_format,
                      fmt::format("no column holds {}: the header has {}; name them x and y",
                                  x   ? "y"
                                  : y ? "x"
                                      : "x and y",
                                  has));
  }
  columns.x = *x;
  columns.y = *y;
  if (const auto named = table.column(milliseconds_names)) {
    columns.duration = named;
    columns.unit_is_named = true;
  } else if (const auto seconds = table.column(seconds_names)) {
    columns.duration = seconds;
    columns.unit_is_named = true;
    columns.milliseconds = 1000.0;
  } else {
    columns.duration = table.column(duration_names);
  }
  columns.start = table.column(start_names);
  columns.order = table.column(order_names);
  columns.word = table.column(data_viewer_word_names);
  columns.first_word = columns.word ? 1 : 0;
  if (!columns.word) columns.word = table.column(word_names);
  columns.stimulus = table.column(stimulus_names);
  columns.subject = table.column(subject_names);
  columns.trial = table.column(trial_names);
  columns.width = table.column(width_names);
  columns.height = table.column(height_names);
  return columns;
}

// Decides the unit of the time columns; says so where it had to guess.
Result<void> settle_unit(const DelimitedText& table, const ReportOptions& options, Columns& columns,
                         std::vector<std::string>& findings) {
  if (options.unit != TimeUnit::automatic) {
    columns.milliseconds = options.unit == TimeUnit::seconds ? 1000.0 : 1.0;
    return {};
  }
  if (columns.unit_is_named) return {};
  if (!columns.duration) {
    findings.emplace_back("No column holds durations; every fixation counts as 0 ms.");
    return {};
  }
  std::vector<double> durations;
  for (int64_t row = 0; row < table.rows(); ++row) {
    SACCADE_TRY(const std::optional<double> duration, table.number(row, *columns.duration));
    if (duration) durations.push_back(*duration);
  }
  if (durations.empty()) return {};
  const auto middle = durations.begin() + static_cast<ptrdiff_t>(durations.size() / 2);
  std::nth_element(durations.begin(), middle, durations.end());
  if (*middle <= 0.0 || *middle >= 10.0) return {};
  columns.milliseconds = 1000.0;
  findings.push_back(
      fmt::format("Durations were taken as seconds: their median is {:.3g}, and no fixation lasts so few "
                  "milliseconds.",
                  *middle));
  return {};
}

struct Row {
  Fixation fixation;
  double order = 0.0;
};

// Nothing where x or y is missing.
Result<std::optional<Row>> read_row(const DelimitedText& table, const Columns& columns, int64_t at) {
  const auto optional = [&](std::optional<size_t> column) -> Result<std::optional<double>> {
    return column ? table.number(at, *column) : Result<std::optional<double>>(std::optional<double>());
  };
  const auto complain = [&](const std::string& what) {
    return make_error(ErrorCode::bad_format, fmt::format("line {}: {}", table.line_of(at), what));
  };
  SACCADE_TRY(const std::optional<double> x, table.number(at, columns.x));
  SACCADE_TRY(const std::optional<double> y, table.number(at, columns.y));
  SACCADE_TRY(const std::optional<double> duration, optional(columns.duration));
  SACCADE_TRY(const std::optional<double> start, optional(columns.start));
  SACCADE_TRY(const std::optional<double> order, optional(columns.order));
  SACCADE_TRY(const std::optional<double> word, optional(columns.word));
  if (duration && *duration < 0.0)
    return complain(fmt::format("a duration of {}; expected 0 or more", *duration));
  if (!x || !y) return std::optional<Row>();
  Row row;
  row.fixation.x = *x;
  row.fixation.y = *y;
  row.fixation.duration = duration.value_or(0.0) * columns.milliseconds;
  if (start) row.fixation.start = *start * columns.milliseconds;
  if (word) {
    if (*word != std::floor(*word) || std::abs(*word) > 1e9)
      return complain(fmt::format("a word index of {}; expected a whole number", *word));
    const int64_t index = static_cast<int64_t>(*word) - columns.first_word;
    if (index >= 0) row.fixation.word = index;
  }
  row.order = order ? *order : start ? *start : std::numeric_limits<double>::quiet_NaN();
  return std::optional<Row>(row);
}

struct Group {
  Scanpath path;
  std::vector<Row> rows;
};

Result<void> set_size(const DelimitedText& table, const Columns& columns, int64_t at, Scanpath& path) {
  if (!columns.width || !columns.height) return {};
  SACCADE_TRY(const std::optional<double> width, table.number(at, *columns.width));
  SACCADE_TRY(const std::optional<double> height, table.number(at, *columns.height));
  if (!width || !height) return {};
  if (!(*width >= 1.0 && *width <= 1e6 && *height >= 1.0 && *height <= 1e6))
    return make_error(ErrorCode::bad_format, fmt::format("line {}: a picture of {} x {} pixels",
                                                         table.line_of(at), *width, *height));
  path.size = {static_cast<int64_t>(*width), static_cast<int64_t>(*height)};
  return {};
}

void finish(Group& group) {
  const bool ordered = std::none_of(group.rows.begin(), group.rows.end(),
                                    [](const Row& row) { return std::isnan(row.order); });
  if (ordered)
    std::stable_sort(group.rows.begin(), group.rows.end(),
                     [](const Row& a, const Row& b) { return a.order < b.order; });
  for (const Row& row : group.rows) group.path.fixations.push_back(row.fixation);
}

void tell_outside(ScanpathSet& set) {
  int64_t outside = 0, known = 0;
  for (const Scanpath& path : set.paths) {
    if (!path.size.known()) continue;
    known += static_cast<int64_t>(path.fixations.size());
    outside += std::count_if(path.fixations.begin(), path.fixations.end(),
                             [&](const Fixation& f) { return !path.size.holds(f.x, f.y); });
  }
  if (outside > 0)
    set.findings.push_back(fmt::format(
        "{} of {} fixations lie outside their picture; map metrics leave them out.", outside, known));
  if (outside * 2 > known)
    set.findings.emplace_back("Most fixations lie outside: the size of the picture is probably wrong.");
}

}  // namespace

Result<ScanpathSet> parse_fixation_report(std::string_view text, const ReportOptions& options) {
  SACCADE_TRY(const DelimitedText table, DelimitedText::parse(text));
  SACCADE_TRY(Columns columns, find_columns(table));
  ScanpathSet set;
  SACCADE_CHECK(settle_unit(table, options, columns, set.findings));
  std::map<std::tuple<std::string, std::string, std::string>, size_t> index;
  std::vector<Group> groups;
  int64_t without_point = 0;
  for (int64_t at = 0; at < table.rows(); ++at) {
    const auto name = [&](std::optional<size_t> column, const std::string& otherwise) {
      return column ? table.cell(at, *column) : otherwise;
    };
    SACCADE_TRY(const std::optional<Row> row, read_row(table, columns, at));
    if (!row) {
      ++without_point;
      continue;
    }
    const auto key = std::make_tuple(name(columns.subject, options.subject),
                                     name(columns.stimulus, options.stimulus), name(columns.trial, ""));
    const auto [found, fresh] = index.try_emplace(key, groups.size());
    if (fresh) {
      groups.emplace_back();
      std::tie(groups.back().path.subject, groups.back().path.stimulus, groups.back().path.trial) = key;
      groups.back().path.size = options.size;
      SACCADE_CHECK(set_size(table, columns, at, groups.back().path));
    }
    groups[found->second].rows.push_back(*row);
  }
  if (groups.empty()) return make_error(ErrorCode::bad_format, "holds no fixation with an x and a y");
  for (Group& group : groups) {
    finish(group);
    set.paths.push_back(std::move(group.path));
  }
  if (without_point > 0)
    set.findings.push_back(
        fmt::format("{} of {} rows have no x or no y (blinks, lost track) and are left out.", without_point,
                    table.rows()));
  tell_outside(set);
  return set;
}

Result<ScanpathSet> read_fixation_report(const std::filesystem::path& path, const ReportOptions& options) {
  SACCADE_TRY(const std::string text, read_text_file(path));
  auto set = parse_fixation_report(text, options);
  if (!set.ok()) return std::move(set).error().with("reading " + path.string());
  return set;
}

Result<ScanpathSet> read_scanpaths(const std::filesystem::path& path, const ReportOptions& options) {
  SACCADE_TRY(const auto file, MappedFile::open(path));
  const auto bytes = file->bytes();
  const std::string_view text{reinterpret_cast<const char*>(bytes.data()), bytes.size()};
  auto set = text.starts_with("MATLAB ") ? parse_osie_file(bytes, options.size)
                                         : parse_fixation_report(text, options);
  if (!set.ok()) return std::move(set).error().with("reading " + path.string());
  return set;
}

}  // namespace saccade
