#include "core/run/edit_settings.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>

#include "core/run/edit_regions.h"

namespace saccade {
namespace {

constexpr int64_t last_position = std::numeric_limits<int32_t>::max();

template <class Number>
bool to_number(std::string_view text, Number& value) {
  const auto [end, code] = std::from_chars(text.data(), text.data() + text.size(), value);
  return code == std::errc() && end == text.data() + text.size() && !text.empty();
}

bool to_finite(std::string_view text, double& value) {
  return to_number(text, value) && std::isfinite(value);
}

bool to_count(std::string_view text, int64_t& value) {
  return to_number(text, value) && value >= 0 && value <= last_position;
}

// 7, 3:7, 3: or :7
bool to_range(std::string_view text, PositionRange& range) {
  const size_t colon = text.find(':');
  if (colon == std::string_view::npos) {
    if (!to_count(text, range.begin)) return false;
    range.end = range.begin + 1;
    return true;
  }
  const std::string_view begin = text.substr(0, colon), end = text.substr(colon + 1);
  range = {0, PositionRange::open_end};
  return (begin.empty() || to_count(begin, range.begin)) && (end.empty() || to_count(end, range.end)) &&
         range.begin <= range.end && text.size() > 1;
}

bool to_positions(std::string_view text, std::optional<PositionSet>& set, std::string_view all) {
  set.reset();
  if (text == all) return true;
  std::vector<PositionRange> ranges;
  std::vector<RegionName> regions;
  while (true) {
    const size_t comma = std::min(text.find(','), text.size());
    const std::string_view item = text.substr(0, comma);
    if (const std::optional<RegionName> region = region_named(item))
      regions.push_back(*region);
    else if (!to_range(item, ranges.emplace_back()))
      return false;
    if (comma == text.size()) break;
    text.remove_prefix(comma + 1);
  }
  set = PositionSet(std::move(ranges), std::move(regions));
  return true;
}

std::string range_text(const PositionRange& range) {
  if (range.end == PositionRange::open_end) return fmt::format("{}:", range.begin);
  if (range.end == range.begin + 1) return std::to_string(range.begin);
  return fmt::format("{}:{}", range.begin, range.end);
}

std::string positions_text(const std::optional<PositionSet>& set, std::string_view all) {
  if (!set) return std::string(all);
  if (set->empty()) return "0:0";
  std::string text;
  for (const PositionRange& range : set->ranges()) text += (text.empty() ? "" : ",") + range_text(range);
  for (const RegionName& region : set->regions()) text += (text.empty() ? "" : ",") + to_string(region);
  return text;
}

bool to_flag(std::string_view text, bool& value) {
  value = text == "yes";
  return text == "yes" || text == "no";
}

template <class Number>
bool to_numbers(std::string_view text, std::vector<Number>& values, bool (*read)(std::string_view, Number&)) {
  values.clear();
  while (true) {
    const size_t comma = std::min(text.find(','), text.size());
    if (!read(text.substr(0, comma), values.emplace_back())) return false;
    if (comma == text.size()) return true;
    text.remove_prefix(comma + 1);
  }
}
bool to_list(std::string_view text, std::vector<double>& values) {
  return to_numbers(text, values, to_finite);
}
bool to_counts(std::string_view text, std::vector<int64_t>& values) {
  return to_numbers(text, values, to_count);
}

constexpr std::string_view positions =
    "positions such as 4, 3:7, 20:, 0,3:7, *, or regions: sys, img, img2, txt, gen";

constexpr std::array<std::string_view, 7> parts{"z", "q", "k", "v", "q_input", "k_input", "v_input"};

bool to_part(std::string_view text, HeadPart& part) {
  const auto found = std::find(parts.begin(), parts.end(), text);
  if (found == parts.end()) return false;
  part = static_cast<HeadPart>(found - parts.begin());
  return true;
}

constexpr std::array<std::string_view, 4> layouts{"concentric", "reversed", "columns", "shuffled"};

bool to_layout(std::string_view text, PositionLayout& layout) {
  const auto found = std::find(layouts.begin(), layouts.end(), text);
  if (found == layouts.end()) return false;
  layout = static_cast<PositionLayout>(found - layouts.begin());
  return true;
}

constexpr std::array<EditSetting, 21> settings{{
    {"by", "a number", [](Edit& e, std::string_view t) { return to_finite(t, e.by); },
     [](const Edit& e) { return fmt::format("{}", e.by); }, [](const Edit& e) { return e.by != 1.0; }},
    {"over", "positions", [](Edit&, std::string_view t) { return t == "positions"; },
     [](const Edit&) { return std::string("positions"); }, [](const Edit& e) { return e.from.empty(); }},
    {"from", "a file or the name of a run",
     [](Edit& e, std::string_view t) {
       e.from = t;
       return !t.empty();
     },
     [](const Edit& e) { return quoted(e.from); }, [](const Edit& e) { return !e.from.empty(); }},
    {"at", "z, q, k, v, q_input, k_input or v_input",
     [](Edit& e, std::string_view t) { return to_part(t, e.at); },
     [](const Edit& e) { return std::string(to_string(e.at)); },
     [](const Edit& e) { return e.at != HeadPart::z; }},
    {"query", positions, [](Edit& e, std::string_view t) { return to_positions(t, e.query, "*"); },
     [](const Edit& e) { return positions_text(e.query, "*"); },
     [](const Edit& e) { return e.query.has_value(); }},
    {"key", positions, [](Edit& e, std::string_view t) { return to_positions(t, e.key, "*"); },
     [](const Edit& e) { return positions_text(e.key, "*"); },
     [](const Edit& e) { return e.key.has_value(); }},
    {"to", "positions such as 4, 3:7, 20:, 0,3:7, img or rest",
     [](Edit& e, std::string_view t) { return to_positions(t, e.to, "rest"); },
     [](const Edit& e) { return positions_text(e.to, "rest"); },
     [](const Edit& e) { return e.to.has_value(); }},
    {"within", positions, [](Edit& e, std::string_view t) { return to_positions(t, e.within, "key+to"); },
     [](const Edit& e) { return positions_text(e.within, "key+to"); },
     [](const Edit& e) { return e.within.has_value(); }},
    {"sink", "a number of keys", [](Edit& e, std::string_view t) { return to_count(t, e.sink); },
     [](const Edit& e) { return std::to_string(e.sink); }, [](const Edit& e) { return e.sink != 64; }},
    {"recent", "a number of keys", [](Edit& e, std::string_view t) { return to_count(t, e.recent); },
     [](const Edit& e) { return std::to_string(e.recent); }, [](const Edit& e) { return e.recent != 256; }},
    {"least-mass", "a number", [](Edit& e, std::string_view t) { return to_finite(t, e.least_mass); },
     [](const Edit& e) { return fmt::format("{}", e.least_mass); },
     [](const Edit& e) { return e.least_mass != 0.0; }},
    {"least-share", "a number", [](Edit& e, std::string_view t) { return to_finite(t, e.least_share); },
     [](const Edit& e) { return fmt::format("{}", e.least_share); },
     [](const Edit& e) { return e.least_share != 0.0; }},
    {"renormalise", "yes or no",
     [](Edit& e, std::string_view t) { return to_flag(t, e.renormalise.emplace()); },
     [](const Edit& e) { return std::string(e.renormalise.value_or(false) ? "yes" : "no"); },
     [](const Edit& e) { return e.renormalise.has_value(); }},
    {"add", "numbers such as 0.1,-0.2", [](Edit& e, std::string_view t) { return to_list(t, e.add); },
     [](const Edit& e) { return fmt::format("{}", fmt::join(e.add, ",")); },
     [](const Edit& e) { return !e.add.empty(); }},
    {"dataset", "the name of a dataset",
     [](Edit& e, std::string_view t) {
       e.dataset = t;
       return !t.empty();
     },
     [](const Edit& e) { return quoted(e.dataset); }, [](const Edit& e) { return !e.dataset.empty(); }},
    {"keep", "a number of heads", [](Edit& e, std::string_view t) { return to_count(t, e.keep); },
     [](const Edit& e) { return std::to_string(e.keep); }, [](const Edit& e) { return e.keep != 0; }},
    {"soft", "yes or no", [](Edit& e, std::string_view t) { return to_flag(t, e.soft); },
     [](const Edit& e) { return std::string(e.soft ? "yes" : "no"); }, [](const Edit& e) { return e.soft; }},
    {"segments", "where segments begin and the last one ends, such as 4,9,15",
     [](Edit& e, std::string_view t) { return to_counts(t, e.segments); },
     [](const Edit& e) { return fmt::format("{}", fmt::join(e.segments, ",")); },
     [](const Edit& e) { return !e.segments.empty(); }},
    {"tokens", positions, [](Edit& e, std::string_view t) { return to_positions(t, e.query, "*"); },
     [](const Edit& e) { return positions_text(e.query, "*"); },
     [](const Edit& e) { return e.query.has_value(); }},
    {"layout", "concentric, reversed, columns or shuffled",
     [](Edit& e, std::string_view t) { return to_layout(t, e.layout); },
     [](const Edit& e) { return std::string(to_string(e.layout)); }, [](const Edit&) { return true; }},
    {"seed", "a whole number", [](Edit& e, std::string_view t) { return to_count(t, e.seed); },
     [](const Edit& e) { return std::to_string(e.seed); }, [](const Edit& e) { return e.seed != 1; }},
}};

}  // namespace

std::string_view to_string(PositionLayout layout) { return layouts[static_cast<size_t>(layout)]; }
std::string_view to_string(HeadPart part) { return parts[static_cast<size_t>(part)]; }

const EditSetting& setting_named(std::string_view key) {
  return *std::find_if(settings.begin(), settings.end(), [key](const auto& s) { return s.key == key; });
}

std::string quoted(const std::string& value) {
  if (value.find_first_of(" \t\"") == std::string::npos) return value;
  std::string text = "\"";
  for (const char c : value) text += (c == '"' || c == '\\') ? std::string{'\\', c} : std::string{c};
  return text + "\"";
}

}  // namespace saccade
