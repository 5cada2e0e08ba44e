// The text form of edits, both ways. Verbs and settings are tables: core/run/edit_verbs.h and
// edit_settings.h.
#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <set>

#include "core/run/edit_refusal.h"
#include "core/run/edit_settings.h"
#include "core/run/edit_verbs.h"

namespace saccade {
namespace {

std::string set_text(const IndexSet& set) {
  if (set.ranges.empty()) return "*";
  std::string text;
  for (const auto& [first, last] : set.ranges) {
    if (!text.empty()) text += ',';
    text += first == last ? std::to_string(first) : fmt::format("{}-{}", first, last);
  }
  return text;
}

bool to_index(std::string_view text, int32_t& value) {
  const auto [end, code] = std::from_chars(text.data(), text.data() + text.size(), value);
  return code == std::errc() && end == text.data() + text.size() && !text.empty();
}

std::string accepted(const VerbInfo& verb) {
  std::string list;
  for (const VerbSetting& setting : verb.settings)
    list += (list.empty() ? "" : ", ") + std::string(setting.key) + "=";
  return list;
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
    if (const std::string fault = fault_of(edit); !fault.empty()) return bad(fault);
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
    for (const VerbInfo& known : edit_verbs())
      if (known.name == word) return known.verb;
    return bad(fmt::format("no verb is called '{}'; there are {}", word, verb_names()));
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
                          ? to_index(item, first) && to_index(item, last)
                          : to_index(item.substr(0, dash), first) && to_index(item.substr(dash + 1), last);
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

  Result<void> settings(Edit& edit, const std::vector<std::string>& words) const {
    const VerbInfo& verb = info_of(edit.verb);
    std::set<std::string, std::less<>> given;
    for (size_t i = 2; i < words.size(); ++i) {
      const size_t equals = words[i].find('=');
      const std::string key = words[i].substr(0, equals);
      const bool known = std::any_of(verb.settings.begin(), verb.settings.end(),
                                     [&](const VerbSetting& setting) { return setting.key == key; });
      if (equals == std::string::npos || !known)
        return bad(fmt::format("{} does not take '{}'; it takes {}", verb.name, words[i], accepted(verb)));
      if (!given.insert(key).second) return bad(key + "= is given twice");
      const EditSetting& setting = setting_named(key);
      const std::string value = words[i].substr(equals + 1);
      if (!setting.read(edit, value))
        return bad(fmt::format("{}= expects {}, found {}", key, setting.expects,
                               value.empty() ? "nothing" : "'" + value + "'"));
    }
    for (const VerbSetting& setting : verb.settings)
      if (setting.need == SettingNeed::required && !given.contains(setting.key))
        return bad(fmt::format("{} needs {}= ({}), as in '{}'", verb.name, setting.key,
                               setting_named(setting.key).expects, verb.example));
    if (edit.verb == EditVerb::mean && given.contains("over") && given.contains("from"))
      return bad("mean takes over=positions or from=, not both");
    if (edit.verb == EditVerb::knockout && given.empty())
      return bad("knockout needs query= or key= positions");
    return {};
  }

  std::string_view whole_;
};

}  // namespace

std::string to_text(const HeadTarget& target) {
  return set_text(target.layers) + "." + set_text(target.heads);
}

std::string to_text(const Edit& edit) {
  const VerbInfo& verb = info_of(edit.verb);
  std::string text = edit.enabled ? "" : "# ";
  text += verb.name;
  text += ' ';
  const auto* heads = std::get_if<HeadTarget>(&edit.target);
  text += heads ? to_text(*heads) : full_name(std::get<SiteRef>(edit.target));
  for (const VerbSetting& needed : verb.settings) {
    const EditSetting& setting = setting_named(needed.key);
    if (needed.need != SettingNeed::optional || setting.differs(edit))
      text += fmt::format(" {}={}", setting.key, setting.text_of(edit));
  }
  return text;
}

Result<Edit> parse_edit(std::string_view text) { return Parser(text).parse(); }

}  // namespace saccade
