// gaze: files of eye movements without a model: what they hold, against each other, against a map.
#include <fmt/format.h>

#include <charconv>
#include <filesystem>
#include <thread>

#include "analysis/images/read_picture.h"
#include "analysis/scanpath/gaze_report.h"
#include "analysis/scanpath/reading.h"
#include "analysis/scanpath/scanpath_frames.h"
#include "analysis/scanpath/write_scanpath.h"
#include "app/cli/commands.h"
#include "core/base/files.h"

namespace saccade::cli {
namespace {

Result<ReportOptions> reading_of(const GazeOptions& options) {
  ReportOptions reading;
  if (!options.size.empty()) {
    const char *at = options.size.data(), *const end = at + options.size.size();
    const auto width = std::from_chars(at, end, reading.size.width);
    const bool times = width.ptr != end && *width.ptr == 'x';
    if (!times || std::from_chars(width.ptr + 1, end, reading.size.height).ptr != end ||
        !reading.size.known())
      return make_error(ErrorCode::invalid_argument,
                        fmt::format("--size {}: expected WIDTHxHEIGHT", options.size));
  }
  if (options.time == "ms")
    reading.unit = TimeUnit::milliseconds;
  else if (options.time == "s")
    reading.unit = TimeUnit::seconds;
  else if (options.time != "automatic")
    return make_error(ErrorCode::invalid_argument,
                      fmt::format("--time {}: expected automatic, ms or s", options.time));
  return reading;
}

int threads_of(const Context& context) {
  return context.threads > 0 ? context.threads
                             : static_cast<int>(std::max(1U, std::thread::hardware_concurrency()));
}

Result<AnalysisResult> words_report(const ScanpathSet& set, const std::string& file) {
  SACCADE_TRY(const std::vector<ReadText> texts, read_word_areas(file));
  AnalysisResult result;
  Table all{"reading", {}, {}};
  int64_t paths = 0;
  for (const ReadText& text : texts)
    for (const Scanpath* path : set.of_stimulus(text.stimulus)) {
      if (!text.subject.empty() && !path->subject.empty() && text.subject != path->subject) continue;
      SACCADE_TRY(const auto measures, reading_measures(*path, static_cast<int64_t>(text.words.size())));
      Table one = reading_table(text, measures);
      if (all.columns.empty()) {
        all.columns = {"stimulus", "subject"};
        all.columns.insert(all.columns.end(), one.columns.begin(), one.columns.end());
      }
      for (auto& row : one.rows) {
        row.insert(row.begin(), {path->stimulus, path->subject});
        all.rows.push_back(std::move(row));
      }
      ++paths;
    }
  if (paths == 0) return make_error(ErrorCode::not_found, "no text of the word boxes was read in this file");
  result.findings.push_back(fmt::format("{} readings of {} words.", paths, all.rows.size()));
  result.tables.push_back(std::move(all));
  return result;
}

Result<AnalysisResult> report(const Context& context, const GazeOptions& options, const ScanpathSet& set,
                              const ReportOptions& reading) {
  if (options.agreement) {
    AgreementOptions agreement;
    agreement.sigma = options.sigma;
    agreement.pictures = options.pictures;
    agreement.threads = threads_of(context);
    SACCADE_TRY(const Agreement found, human_agreement(set, agreement, context.job));
    AnalysisResult result;
    result.findings.push_back(
        fmt::format("{} viewings of {} pictures; +- is 95 % over pictures.", found.viewers, found.pictures));
    result.findings.insert(result.findings.end(), found.findings.begin(), found.findings.end());
    result.tables.push_back(agreement_table(found));
    return result;
  }
  if (options.centre) return centre_report(set, {"", options.sigma, 0.25}, threads_of(context), context.job);
  if (!options.words.empty()) return words_report(set, options.words);
  if (!options.map.empty()) {
    SACCADE_TRY(const SaliencyMap map, read_saliency_map(options.map));
    return saliency_report(map, set, {options.stimulus, options.sigma, 0.25});
  }
  if (!options.against.empty()) {
    SACCADE_TRY(const ScanpathSet against, read_scanpaths(options.against, reading));
    CompareReport compare;
    compare.stimulus = options.stimulus;
    return compare_report(set, against, compare, context.job);
  }
  return describe_scanpaths(set, 64.0);
}

Result<void> write_figure(const GazeOptions& options, const ScanpathSet& chosen) {
  if (const auto names = chosen.stimuli(); names.size() != 1)
    return make_error(
        ErrorCode::invalid_argument,
        fmt::format("a figure shows one picture, the file has {}: name one with --stimulus", names.size()));
  ScanpathFigure figure;
  figure.title = chosen.paths.front().stimulus;
  for (const Scanpath& path : chosen.paths) figure.paths.push_back({path, ""});
  if (options.picture.empty()) return write_scanpath_svg(figure, options.out);
  SACCADE_TRY(const auto picture, MappedFile::open(options.picture));
  figure.picture = picture->bytes();
  return write_scanpath_svg(figure, options.out);
}

Result<void> write_moving(const Context& context, const GazeOptions& options, const ScanpathSet& chosen) {
  if (const auto names = chosen.stimuli(); names.size() != 1)
    return make_error(ErrorCode::invalid_argument,
                      fmt::format("an animation shows one picture, the file has {}: name one with --stimulus",
                                  names.size()));
  ScanpathAnimation animation;
  animation.speed = options.speed;
  for (const Scanpath& path : chosen.paths) animation.paths.push_back({path, ""});
  if (!options.picture.empty()) {
    SACCADE_TRY(animation.picture, read_picture(options.picture));
  }
  SACCADE_TRY(const Animation frames, animate(animation));
  SACCADE_CHECK(write_animation(frames, options.out, context.job));
  context.note(fmt::format("wrote {}: {} frames", options.out, frames.count));
  return {};
}

}  // namespace

Result<void> gaze(const Context& context, const GazeOptions& options) {
  const int asked = int{options.agreement} + int{options.centre} + int{!options.words.empty()} +
                    int{!options.map.empty()} + int{!options.against.empty()};
  if (asked > 1)
    return make_error(ErrorCode::invalid_argument,
                      "give one of --against, --map, --words, --agreement and --centre");
  SACCADE_TRY(const ReportOptions reading, reading_of(options));
  SACCADE_TRY(const ScanpathSet set, read_scanpaths(options.file, reading));
  SACCADE_TRY(ScanpathSet chosen, select_stimulus(set, options.stimulus));
  if (!options.paths.empty()) SACCADE_CHECK(write_scanpaths_csv(chosen.paths, options.paths));
  const bool figure = std::filesystem::path(options.out).extension() == ".svg";
  const bool moving = is_animation_file(options.out);
  if (figure) SACCADE_CHECK(write_figure(options, chosen));
  if (moving) SACCADE_CHECK(write_moving(context, options, chosen));
  // A map is scored with the other pictures' gaze at hand; everything else looks at the chosen picture only.
  if (options.stimulus.empty()) chosen.findings = set.findings;
  SACCADE_TRY(AnalysisResult result, report(context, options, options.map.empty() ? chosen : set, reading));
  result.method = "gaze";
  return give_result(context, result, figure || moving ? "" : options.out);
}

}  // namespace saccade::cli
