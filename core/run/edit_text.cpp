// The text form of edits, both ways.
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <set>

#include "core/run/edit.h"
#include "core/run/edit_refusal.h"

namespace saccade {
namespace {

constexpr std::array<std::pair<EditVerb, std::string_view>, 5> verbs{{{EditVerb::zero, "zero"},
                                                                      {EditVerb::scale, "scale"},
                                                                      {EditVerb::mean, "mean"},
                                                                      {EditVerb::replace, "replace"},
                                                                      {EditVerb::knockout, "knockout"}}};
constexpr std::string_view verb_list = "zero, scale, mean, replace, knockout";

std::string_view name_of(EditVerb verb) {
  for (const auto& [known, name] : verbs)
    if (known == verb) return name;
  return "";
}

std::vector<std::string_view> keys_of(EditVerb verb) {
  switch (verb) {
    case EditVerb::zero:
      return {};
    case EditVerb::scale:
      return {"by"};
    case EditVerb::mean:
      return {"over", "from"};
    case EditVerb::replace:
      return {"from"};
    case EditVerb::knockout:
      return {"query", "key"};
  }
  return {};
}

std::string range_text(const std::optional<PositionRange>& range) {
  if (!range) return "*";
  if (range->end == range->begin + 1) return std::to_string(range->begin);
  return fmt::format("{}:{}", range->begin, range->end);
}

std::string set_text(const IndexSet& set) {
  if (set.ranges.empty()) return "*";
  std::string text;
  for (const auto& [first, last] : set.ranges) {
    if (!text.empty()) text += ',';
    text += first == last ? std::to_string(first) : fmt::format("{}-{}", first, last);
  }
  return text;
}

std::string quoted(const std::string& value) {
  if (value.find_first_of(" \t\"") == std::string::npos) return value;
  std::string text = "\"";
  for (const char c : value) text += (c == '"' || c == '\\') ? std::string{'\\', c} : std::string{c};
  return text + "\"";
}

template <class Number>
bool to_number(std::string_view text, Number& value) {
  const auto [end, code] = std::from_chars(text.data(), text.data() + text.size(), value);
  return code == std::errc() && end == text.data() + text.size() && !text.empty();
}

class Parser {
 public:
  explicit Parser(std::string_view text) : whole_(text) {}

  Result<Edit> parse() {
    Edit edit;
    std::string_view text = whole_;
    trim(text);
    if (text.starts_with('#')) {
      edit.enabled = false;
      text.remove_prefix(1);
    }
    SACCADE_TRY(const std::vector<std::string> words, split(text));
    if (words.size() < 2) return bad("expected VERB TARGET [key=value]..., such as 'zero 9.9'");
    SACCADE_TRY(edit.verb, verb(words[0]));
    SACCADE_TRY(edit.target, target(words[1]));
    SACCADE_CHECK(settings(edit, words));
    return edit;
  }

 private:
  [[nodiscard]] Error bad(const std::string& what) const {
    return make_error(ErrorCode::invalid_argument, fmt::format("edit '{}': {}", whole_, what));
  }
  static void trim(std::string_view& text) {
    while (!text.empty() && (text.front() == ' ' || text.front() == '\t')) text.remove_prefix(1);
    while (!text.empty() && (text.back() == ' ' || text.back() == '\t')) text.remove_suffix(1);
  }

  // Words between blanks; "..." holds blanks together, with \" and \\ inside.
  [[nodiscard]] Result<std::vector<std::string>> split(std::string_view text) const {
    std::vector<std::string> words;
    bool in_word = false, in_quotes = false;
    for (size_t i = 0; i < text.size(); ++i) {
      const char c = text[i];
      if (!in_quotes && (c == ' ' || c == '\t')) {
        in_word = false;
        continue;
      }
      if (!in_word) words.emplace_back();
      in_word = true;
      if (c == '"')
        in_quotes = !in_quotes;
      else if (in_quotes && c == '\\' && i + 1 < text.size())
        words.back() += text[++i];
      else
        words.back() += c;
    }
    if (in_quotes) return bad("a quote is not closed");
    return words;
  }

  [[nodiscard]] Result<EditVerb> verb(const std::string& word) const {
    for (const auto& [known, name] : verbs)
      if (name == word) return known;
    return bad(fmt::format("no verb is called '{}'; there are {}", word, verb_list));
  }

  [[nodiscard]] Result<IndexSet> index_set(std::string_view text, const char* what) const {
    IndexSet set;
    if (text == "*") return set;
    const std::string_view all = text;
    while (!text.empty()) {
      const size_t comma = std::min(text.find(','), text.size());
      const std::string_view item = text.substr(0, comma);
      const size_t dash = item.find('-');
      int32_t first = 0, last = 0;
      const bool ok = dash == std::string_view::npos
                          ? to_number(item, first) && to_number(item, last)
                          : to_number(item.substr(0, dash), first) && to_number(item.substr(dash + 1), last);
      if (!ok || first < 0 || last < first || comma + 1 == text.size())
        return bad(fmt::format("expected {}s such as 5, 5-7, 0,3 or *, found '{}'", what, all));
      set.ranges.emplace_back(first, last);
      text.remove_prefix(std::min(comma + 1, text.size()));
    }
    if (set.ranges.empty())
      return bad(fmt::format("expected {}s such as 5, 5-7, 0,3 or *, found nothing", what));
    return set;
  }

  [[nodiscard]] Result<std::variant<HeadTarget, SiteRef>> target(const std::string& word) const {
    using Target = std::variant<HeadTarget, SiteRef>;
    if (word.find("hook_") != std::string::npos) {
      auto site = parse_site(word);
      if (!site.ok()) return bad(site.error().message);
      return Target(*site);
    }
    if (const auto head = parse_head(word); head.ok()) return Target(target_of(*head));
    const size_t dot = word.find('.');
    if (dot == std::string::npos)
      return bad(fmt::format("expected heads such as 9.9, L9H9, 5-7.* or a hook site, found '{}'", word));
    HeadTarget heads;
    SACCADE_TRY(heads.layers, index_set(std::string_view(word).substr(0, dot), "layer"));
    SACCADE_TRY(heads.heads, index_set(std::string_view(word).substr(dot + 1), "head"));
    return Target(heads);
  }

  [[nodiscard]] Result<std::optional<PositionRange>> positions(const std::string& key,
                                                               const std::string& value) const {
    if (value == "*") return std::optional<PositionRange>();
    PositionRange range;
    const size_t colon = value.find(':');
    const bool ok = colon == std::string::npos
                        ? to_number(std::string_view(value), range.begin)
                        : to_number(std::string_view(value).substr(0, colon), range.begin) &&
                              to_number(std::string_view(value).substr(colon + 1), range.end);
    if (colon == std::string::npos) range.end = range.begin + 1;
    if (!ok || range.begin < 0 || range.end < range.begin)
      return bad(fmt::format("{}= expects a position, A:B or *, found '{}'", key, value));
    return std::optional(range);
  }

  Result<void> setting(Edit& edit, const std::string& key, const std::string& value) const {
    if (key == "by" && (!to_number(std::string_view(value), edit.by) || !std::isfinite(edit.by)))
      return bad(fmt::format("by= expects a number, found '{}'", value));
    if (key == "over" && value != "positions")
      return bad(fmt::format("over= expects positions, found '{}'", value));
    if (key == "from") {
      if (value.empty()) return bad("from= expects a dump file or the name of a run, found nothing");
      edit.from = value;
    }
    if (key == "query") {
      SACCADE_TRY(edit.query, positions(key, value));
    }
    if (key == "key") {
      SACCADE_TRY(edit.key, positions(key, value));
    }
    return {};
  }

  Result<void> settings(Edit& edit, const std::vector<std::string>& words) const {
    const std::vector<std::string_view> accepted = keys_of(edit.verb);
    std::set<std::string> given;
    for (size_t i = 2; i < words.size(); ++i) {
      const size_t equals = words[i].find('=');
      const std::string key = words[i].substr(0, equals);
      if (equals == std::string::npos || std::find(accepted.begin(), accepted.end(), key) == accepted.end())
        return bad(
            fmt::format("{} does not take '{}'; it takes {}", name_of(edit.verb), words[i],
                        accepted.empty() ? "nothing more" : fmt::format("{}=", fmt::join(accepted, "=, "))));
      if (!given.insert(key).second) return bad(key + "= is given twice");
      SACCADE_CHECK(setting(edit, key, words[i].substr(equals + 1)));
    }
    return complete(edit, given);
  }

  [[nodiscard]] Result<void> complete(const Edit& edit, const std::set<std::string>& given) const {
    if (edit.verb == EditVerb::scale && !given.contains("by")) return bad("scale needs by=FACTOR");
    if (edit.verb == EditVerb::mean && given.size() == 2)
      return bad("mean takes over=positions or from=, not both");
    if (edit.verb == EditVerb::replace && !given.contains("from"))
      return bad("replace needs from=FILE.h5 or the name of a run");
    if (edit.verb == EditVerb::knockout && given.empty())
      return bad("knockout needs query= or key= positions");
    if (const auto* site = std::get_if<SiteRef>(&edit.target)) {
      if (edit.verb == EditVerb::knockout) return bad("knockout needs heads, such as 9.9");
      if (!info_of(site->site).editable) return bad(refusal_of(*site));
    }
    return {};
  }

  std::string_view whole_;
};

}  // namespace

std::string to_text(const HeadTarget& target) {
  return set_text(target.layers) + "." + set_text(target.heads);
}

std::string to_text(const Edit& edit) {
  std::string text = edit.enabled ? "" : "# ";
  text += name_of(edit.verb);
  text += ' ';
  const auto* heads = std::get_if<HeadTarget>(&edit.target);
  text += heads ? to_text(*heads) : full_name(std::get<SiteRef>(edit.target));
  switch (edit.verb) {
    case EditVerb::zero:
      break;
    case EditVerb::scale:
      text += fmt::format(" by={}", edit.by);
      break;
    case EditVerb::mean:
      text += edit.from.empty() ? " over=positions" : " from=" + quoted(edit.from);
      break;
    case EditVerb::replace:
      text += " from=" + quoted(edit.from);
      break;
    case EditVerb::knockout:
      text += fmt::format(" query={} key={}", range_text(edit.query), range_text(edit.key));
      break;
  }
  return text;
}

Result<Edit> parse_edit(std::string_view text) { return Parser(text).parse(); }

}  // namespace saccade
