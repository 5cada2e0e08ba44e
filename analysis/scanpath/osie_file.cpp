#include "analysis/scanpath/osie_file.h"

#include <fmt/format.h>

#include <cmath>

#include "analysis/scanpath/mat_file.h"

namespace saccade {
namespace {

using Kind = MatArray::Kind;

Error bad(const std::string& what) { return make_error(ErrorCode::bad_format, what); }

Result<const MatArray*> field_of(const MatArray& array, std::string_view name, Kind kind) {
  const MatArray* found = array.field(name);
  if (found == nullptr) return bad(fmt::format("there is no field '{}'", name));
  if (found->kind != kind)
    return bad(fmt::format("field '{}' is {}; expected {}", name, to_string(found->kind), to_string(kind)));
  return found;
}

struct Dropped {
  int64_t points = 0, outside = 0, empty = 0;
};

Result<Scanpath> read_subject(const MatArray& subject, PictureSize size, Dropped& dropped) {
  Scanpath path;
  path.size = size;
  SACCADE_TRY(const MatArray* x, field_of(subject, "fix_x", Kind::numeric));
  SACCADE_TRY(const MatArray* y, field_of(subject, "fix_y", Kind::numeric));
  SACCADE_TRY(const MatArray* duration, field_of(subject, "fix_duration", Kind::numeric));
  const size_t count = x->numbers.size();
  if (y->numbers.size() != count || duration->numbers.size() != count)
    return bad(fmt::format("{} x, {} y and {} durations; expected as many of each", count, y->numbers.size(),
                           duration->numbers.size()));
  for (size_t i = 0; i < count; ++i) {
    const Fixation fixation{x->numbers[i], y->numbers[i], duration->numbers[i], {}, {}};
    if (!std::isfinite(fixation.x) || !std::isfinite(fixation.y)) {
      ++dropped.points;
      continue;
    }
    if (!std::isfinite(fixation.duration) || fixation.duration < 0.0)
      return bad(fmt::format("fixation {} lasts {} ms", i, fixation.duration));
    if (!size.holds(fixation.x, fixation.y)) ++dropped.outside;
    path.fixations.push_back(fixation);
  }
  return path;
}

Result<void> read_picture(const MatArray& picture, PictureSize size, ScanpathSet& set, Dropped& dropped) {
  if (picture.kind != Kind::structure)
    return bad(fmt::format("is {}; expected a structure", to_string(picture.kind)));
  SACCADE_TRY(const MatArray* name, field_of(picture, "img", Kind::text));
  SACCADE_TRY(const MatArray* subjects, field_of(picture, "subjects", Kind::cell));
  for (size_t s = 0; s < subjects->cells.size(); ++s) {
    auto path = read_subject(subjects->cells[s], size, dropped);
    if (!path.ok()) return std::move(path).error().with(fmt::format("{}, subject {}", name->text, s + 1));
    if (path->fixations.empty()) {
      ++dropped.empty;
      continue;
    }
    path->stimulus = name->text;
    path->subject = std::to_string(s + 1);
    set.paths.push_back(std::move(*path));
  }
  return {};
}

}  // namespace

Result<ScanpathSet> parse_osie_file(std::span<const std::byte> bytes, PictureSize size) {
  if (!size.known()) size = osie_picture;
  SACCADE_TRY(const std::vector<MatArray> variables, read_mat_file(bytes));
  const MatArray* pictures = nullptr;
  for (const MatArray& variable : variables)
    if (variable.kind == Kind::cell && pictures == nullptr) pictures = &variable;
  if (pictures == nullptr)
    return bad(fmt::format("none of its {} variables is a cell array of pictures", variables.size()));
  ScanpathSet set;
  Dropped dropped;
  for (size_t i = 0; i < pictures->cells.size(); ++i) {
    auto done = read_picture(pictures->cells[i], size, set, dropped);
    if (!done.ok()) return std::move(done).error().with(fmt::format("{}{{{}}}", pictures->name, i + 1));
  }
  if (set.paths.empty()) return bad(fmt::format("variable '{}' holds no fixation", pictures->name));
  const int64_t all = set.fixation_count();
  if (dropped.points > 0)
    set.findings.push_back(
        fmt::format("{} fixations have no point (NaN) and are left out; {} remain.", dropped.points, all));
  if (dropped.empty > 0)
    set.findings.push_back(fmt::format("{} subjects have no fixation on a picture.", dropped.empty));
  if (dropped.outside > 0)
    set.findings.push_back(
        fmt::format("{} of {} fixations lie outside their picture of {}; map metrics leave them out.",
                    dropped.outside, all, to_string(size)));
  if (dropped.outside * 2 > all)
    set.findings.emplace_back("Most fixations lie outside: the size of the picture is probably wrong.");
  return set;
}

}  // namespace saccade
