#include "core/tokens/post_processor.h"

#include <fmt/format.h>

#include <algorithm>

#include "core/tokens/pattern_item.h"

namespace saccade::tokens {
namespace {

// The ids that one {"SpecialToken": {"id": name}} of a template stands for.
Result<std::vector<int32_t>> special_ids(const JsonItem& piece, const JsonItem& specials) {
  SACCADE_TRY(const std::string name, piece["id"].string());
  const JsonItem list = specials[name]["ids"];
  SACCADE_TRY(const size_t count, list.array_size());
  std::vector<int32_t> ids;
  for (size_t i = 0; i < count; ++i) {
    SACCADE_TRY(const int64_t id, list[i].integer());
    if (id < 0 || id > INT32_MAX) return list[i].expected("a token id");
    ids.push_back(static_cast<int32_t>(id));
  }
  return ids;
}

Result<TemplatePostProcessor> read_template(const JsonItem& item) {
  TemplatePostProcessor step;
  const JsonItem pieces = item["single"];
  SACCADE_TRY(const size_t count, pieces.array_size());
  int sequences = 0;
  for (size_t i = 0; i < count; ++i) {
    const JsonItem special = pieces[i]["SpecialToken"];
    if (!special.is_null()) {
      SACCADE_TRY(const std::vector<int32_t> ids, special_ids(special, item["special_tokens"]));
      auto& side = sequences == 0 ? step.before : step.after;
      side.insert(side.end(), ids.begin(), ids.end());
    } else if (!pieces[i]["Sequence"].is_null()) {
      ++sequences;
    } else {
      return pieces[i].expected("a SpecialToken or a Sequence");
    }
  }
  if (sequences != 1) {
    return make_error(ErrorCode::unsupported,
                      fmt::format("{}: a template that holds the text {} times is not supported",
                                  pieces.path(), sequences));
  }
  return step;
}

}  // namespace

namespace {

// ["[SEP]", 102]
Result<int32_t> read_end(const JsonItem& item) {
  if (!item.json().is_array() || item.json().size() != 2) return item.expected("a token and its id");
  SACCADE_TRY(const int64_t id, item[1].integer());
  if (id < 0 || id > INT32_MAX) return item[1].expected("a token id");
  return static_cast<int32_t>(id);
}

// `cls` before the text and `sep` after it; RoBERTa's trims offsets first.
Result<void> read_ends(const JsonItem& item, const std::string& type, std::vector<PostProcessorStep>& steps) {
  if (type == "RobertaProcessing") {
    SACCADE_TRY(const bool trim, item["trim_offsets"].boolean(true));
    SACCADE_TRY(const bool prefix, item["add_prefix_space"].boolean(true));
    if (trim) steps.emplace_back(TrimPostProcessor{prefix});
  }
  TemplatePostProcessor around;
  SACCADE_TRY(const int32_t first, read_end(item["cls"]));
  SACCADE_TRY(const int32_t last, read_end(item["sep"]));
  around.before.push_back(first);
  around.after.push_back(last);
  steps.emplace_back(std::move(around));
  return {};
}

}  // namespace

Result<PostProcessor> PostProcessor::read(const JsonItem& item) {
  PostProcessor post;
  SACCADE_CHECK(
      read_sequence(item, "processors", [&](const JsonItem& one, const std::string& type) -> Result<void> {
        if (type == "TemplateProcessing") {
          SACCADE_TRY(TemplatePostProcessor step, read_template(one));
          post.steps.emplace_back(std::move(step));
          return {};
        }
        if (type == "ByteLevel") {
          SACCADE_TRY(const bool trim, one["trim_offsets"].boolean(true));
          SACCADE_TRY(const bool prefix, one["add_prefix_space"].boolean(true));
          if (trim) post.steps.emplace_back(TrimPostProcessor{prefix});
          return {};
        }
        if (type == "BertProcessing" || type == "RobertaProcessing") return read_ends(one, type, post.steps);
        return unsupported_type("post-processor", type, one);
      }));
  return post;
}

std::vector<int32_t> PostProcessor::before() const {
  std::vector<int32_t> ids;
  for (const PostProcessorStep& step : steps) {
    const auto* around = std::get_if<TemplatePostProcessor>(&step);
    if (around != nullptr) ids.insert(ids.begin(), around->before.begin(), around->before.end());
  }
  return ids;
}

std::vector<int32_t> PostProcessor::after() const {
  std::vector<int32_t> ids;
  for (const PostProcessorStep& step : steps) {
    const auto* around = std::get_if<TemplatePostProcessor>(&step);
    if (around != nullptr) ids.insert(ids.end(), around->after.begin(), around->after.end());
  }
  return ids;
}

void add_around(const TemplatePostProcessor& step, uint32_t text_size, std::vector<EncodedToken>& encoded) {
  std::vector<EncodedToken> whole;
  whole.reserve(encoded.size() + step.before.size() + step.after.size());
  for (const int32_t id : step.before) whole.push_back({id, 0, 0, false});
  whole.insert(whole.end(), encoded.begin(), encoded.end());
  for (const int32_t id : step.after) whole.push_back({id, text_size, text_size, false});
  encoded = std::move(whole);
}

void trim_offsets(const TrimPostProcessor& step, std::string_view text, std::string_view name, bool is_first,
                  EncodedToken& token) {
  const auto is_space = [](char32_t c) { return c == U'\u0120' || is_whitespace(c); };
  int leading = 0;
  for (size_t at = 0; at < name.size() && is_space(character_at(name, at)); at += utf8_length(name[at]))
    ++leading;
  int trailing = 0;
  for (size_t end = name.size(); end > 0; end = character_before(name, end)) {
    if (!is_space(character_at(name, character_before(name, end)))) break;
    ++trailing;
  }
  // A prefix space that the pre-tokenizer put there has no character to take away.
  if (leading > 0 && step.add_prefix_space && (is_first || token.begin == 0)) --leading;
  for (; leading > 0 && token.begin < token.end; --leading) {
    token.begin =
        std::min<uint32_t>(token.begin + static_cast<uint32_t>(utf8_length(text[token.begin])), token.end);
  }
  for (; trailing > 0 && token.end > token.begin; --trailing) {
    token.end = std::max(static_cast<uint32_t>(character_before(text, token.end)), token.begin);
  }
}

}  // namespace saccade::tokens
