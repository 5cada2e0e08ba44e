#include "core/capture/plan_json.h"

#include <fmt/format.h>

#include <array>
#include <cmath>
#include <limits>
#include <nlohmann/json.hpp>
#include <optional>
#include <string_view>

namespace saccade {
namespace {

using Json = nlohmann::json;

template <class Kind, size_t n>
using Names = std::array<std::pair<Kind, std::string_view>, n>;

constexpr Names<ScoreEditKind, 6> score_kinds{{{ScoreEditKind::temperature, "temperature"},
                                               {ScoreEditKind::bias, "bias"},
                                               {ScoreEditKind::boost, "boost"},
                                               {ScoreEditKind::cut, "cut"},
                                               {ScoreEditKind::stream, "stream"},
                                               {ScoreEditKind::flat, "flat"}}};
constexpr Names<WeightEditKind, 8> weight_kinds{{{WeightEditKind::scale_columns, "scale_columns"},
                                                 {WeightEditKind::renormalise, "renormalise"},
                                                 {WeightEditKind::redistribute, "redistribute"},
                                                 {WeightEditKind::identity, "identity"},
                                                 {WeightEditKind::uniform, "uniform"},
                                                 {WeightEditKind::power, "power"},
                                                 {WeightEditKind::sharpen, "sharpen"},
                                                 {WeightEditKind::replace, "replace"}}};

Json keys_json(const KeySet& keys) {
  Json list = Json::array();
  for (const KeyRange& range : keys) list.push_back({range.begin, range.end});
  return list;
}

// Reads one object; the first thing that does not fit is kept as the error.
class Fields {
 public:
  explicit Fields(const Json& document) : document_(document) {
    if (!document.is_object()) fail("edit", "an object", document);
  }
  template <class Kind, size_t n>
  Kind kind(const Names<Kind, n>& names) {
    const Json* found = find("kind");
    if (found)
      for (const auto& [kind, name] : names)
        if (found->is_string() && found->get_ref<const std::string&>() == name) return kind;
    if (found) fail("kind", "the name of a kind", *found);
    return names[0].first;
  }
  void number(const char* key, float& value) {
    if (const Json* found = find(key); found && found->is_number() && std::isfinite(found->get<float>()))
      value = found->get<float>();
    else if (found)
      fail(key, "a finite number", *found);
  }
  void count(const char* key, int64_t& value) {
    if (const Json* found = find(key); found && found->is_number_integer() && found->get<int64_t>() >= 0)
      value = found->get<int64_t>();
    else if (found)
      fail(key, "a whole number", *found);
  }
  void flag(const char* key, bool& value) {
    if (const Json* found = find(key); found && found->is_boolean())
      value = found->get<bool>();
    else if (found)
      fail(key, "true or false", *found);
  }
  void range(const char* key, QueryRange& range) {
    const Json* found = find(key);
    if (found && is_range(*found))
      range = {(*found)[0].get<int64_t>(), (*found)[1].get<int64_t>()};
    else if (found)
      fail(key, "[begin, end]", *found);
  }
  void keys(const char* key, KeySet& set) {
    const Json* found = find(key);
    if (!found) return;
    if (!found->is_array()) return fail(key, "a list of [begin, end]", *found);
    int64_t end = 0;
    for (const Json& item : *found) {
      if (!is_range(item) || item[0].get<int64_t>() < end) return fail(key, "ranges in order", *found);
      end = item[1].get<int64_t>();
      set.push_back({item[0].get<int64_t>(), end});
    }
  }
  void numbers(const char* key, std::vector<float>& values) {
    const Json* found = find(key);
    if (!found) return;
    if (!found->is_array()) return fail(key, "a list of numbers", *found);
    for (const Json& item : *found) {
      if (!item.is_number() || !std::isfinite(item.get<float>())) return fail(key, "finite numbers", item);
      values.push_back(item.get<float>());
    }
  }
  void fail(const char* key, const std::string& expected, const Json& found) {
    if (!error_)
      error_ = make_error(ErrorCode::bad_format,
                          fmt::format("{}: expected {}, found {}", key, expected,
                                      found.dump(-1, ' ', false, Json::error_handler_t::replace)));
  }
  [[nodiscard]] const std::optional<Error>& error() const { return error_; }

 private:
  static bool is_range(const Json& item) {
    return item.is_array() && item.size() == 2 && item[0].is_number_integer() &&
           item[1].is_number_integer() && item[0].get<int64_t>() >= 0 &&
           item[1].get<int64_t>() >= item[0].get<int64_t>();
  }
  const Json* find(const char* key) {
    if (error_) return nullptr;
    const auto found = document_.find(key);
    if (found != document_.end()) return &*found;
    fail(key, "a value", nullptr);
    return nullptr;
  }

  const Json& document_;
  std::optional<Error> error_;
};

template <class Kind, size_t n>
std::string_view name_of(Kind kind, const Names<Kind, n>& names) {
  for (const auto& [known, name] : names)
    if (known == kind) return name;
  return "";
}

Json score_json(const ScoreEdit& edit) {
  return {{"kind", name_of(edit.kind, score_kinds)},
          {"query", {edit.query.begin, edit.query.end}},
          {"keys", keys_json(edit.keys)},
          {"value", edit.value},
          {"sink", edit.sink},
          {"recent", edit.recent}};
}

Json weight_json(const WeightEdit& edit, std::vector<float>& numbers) {
  Json document = {{"kind", name_of(edit.kind, weight_kinds)},
                   {"query", {edit.query.begin, edit.query.end}},
                   {"keys", keys_json(edit.keys)},
                   {"to", keys_json(edit.to)},
                   {"value", edit.value},
                   {"values", edit.values},
                   {"least_mass", edit.least_mass},
                   {"least_share", edit.least_share}};
  if (!edit.among.empty()) document["among"] = keys_json(edit.among);
  if (edit.kind != WeightEditKind::replace) return document;
  document["block_begin"] = numbers.size();
  document["block_first_key"] = edit.block_first_key;
  document["block_columns"] = edit.block_columns;
  document["rescale"] = edit.rescale;
  numbers.insert(numbers.end(), edit.block.begin(), edit.block.end());
  return document;
}

Json output_json(const OutputEdit& edit) {
  return {{"query", {edit.query.begin, edit.query.end}},
          {"factor", edit.factor},
          {"scale", edit.scale},
          {"offset", edit.offset}};
}

Result<ScoreEdit> score_from(const Json& document) {
  Fields fields(document);
  ScoreEdit edit;
  edit.kind = fields.kind(score_kinds);
  fields.range("query", edit.query);
  fields.keys("keys", edit.keys);
  fields.number("value", edit.value);
  fields.count("sink", edit.sink);
  fields.count("recent", edit.recent);
  if (fields.error()) return *fields.error();
  if (edit.kind == ScoreEditKind::temperature && edit.value <= 0.0F)
    return make_error(ErrorCode::bad_format,
                      fmt::format("value: expected a temperature above 0, found {}", edit.value));
  return edit;
}

Result<void> block_from(Fields& fields, std::span<const float> numbers, WeightEdit& edit) {
  int64_t begin = 0;
  fields.count("block_begin", begin);
  fields.count("block_first_key", edit.block_first_key);
  fields.count("block_columns", edit.block_columns);
  fields.flag("rescale", edit.rescale);
  if (fields.error()) return *fields.error();
  const int64_t rows = edit.query.end - edit.query.begin;
  int64_t size = 0, end = 0;
  if (__builtin_mul_overflow(rows, edit.block_columns, &size) || __builtin_add_overflow(begin, size, &end) ||
      end > static_cast<int64_t>(numbers.size()))
    return make_error(ErrorCode::bad_format,
                      fmt::format("block: expected {} rows of {} from number {}, there are {} numbers", rows,
                                  edit.block_columns, begin, numbers.size()));
  const auto block = numbers.subspan(static_cast<size_t>(begin), static_cast<size_t>(size));
  edit.block.assign(block.begin(), block.end());
  return {};
}

Result<WeightEdit> weight_from(const Json& document, std::span<const float> numbers) {
  Fields fields(document);
  WeightEdit edit;
  edit.kind = fields.kind(weight_kinds);
  fields.range("query", edit.query);
  fields.keys("keys", edit.keys);
  fields.keys("to", edit.to);
  if (document.contains("among")) fields.keys("among", edit.among);
  fields.number("value", edit.value);
  fields.numbers("values", edit.values);
  fields.number("least_mass", edit.least_mass);
  fields.number("least_share", edit.least_share);
  if (fields.error()) return *fields.error();
  int64_t keys = 0;
  for (const KeyRange& range : edit.keys)
    if (__builtin_add_overflow(keys, range.end - range.begin, &keys)) keys = -1;
  if (!edit.values.empty() && static_cast<int64_t>(edit.values.size()) != keys)
    return make_error(ErrorCode::bad_format, fmt::format("values: expected one for each of {} keys, found {}",
                                                         keys, edit.values.size()));
  const bool exponent = edit.kind == WeightEditKind::power || edit.kind == WeightEditKind::sharpen;
  if (exponent && edit.value <= 0.0F)
    return make_error(ErrorCode::bad_format,
                      fmt::format("value: expected an exponent above 0, found {}", edit.value));
  if (edit.kind == WeightEditKind::replace) SACCADE_CHECK(block_from(fields, numbers, edit));
  return edit;
}

Result<OutputEdit> output_from(const Json& document) {
  Fields fields(document);
  OutputEdit edit;
  fields.range("query", edit.query);
  fields.number("factor", edit.factor);
  fields.numbers("scale", edit.scale);
  fields.numbers("offset", edit.offset);
  if (fields.error()) return *fields.error();
  return edit;
}

template <class Edit, class Read>
Result<void> list_from(const Json& document, const char* key, std::vector<Edit>& edits, Read read) {
  const auto list = document.find(key);
  if (list == document.end() || !list->is_array())
    return make_error(ErrorCode::bad_format, fmt::format("{}: expected a list of edits", key));
  for (const Json& item : *list) {
    auto edit = read(item);
    if (!edit.ok()) return std::move(edit).error().with(key);
    edits.push_back(std::move(*edit));
  }
  return {};
}

}  // namespace

Json plan_to_json(const HeadPlan& plan, std::vector<float>& numbers) {
  Json document = {{"scores", Json::array()}, {"weights", Json::array()}, {"outputs", Json::array()}};
  for (const ScoreEdit& edit : plan.scores) document["scores"].push_back(score_json(edit));
  for (const WeightEdit& edit : plan.weights) document["weights"].push_back(weight_json(edit, numbers));
  for (const OutputEdit& edit : plan.outputs) document["outputs"].push_back(output_json(edit));
  return document;
}

Result<HeadPlan> plan_from_json(const Json& document, std::span<const float> numbers) {
  if (!document.is_object()) return make_error(ErrorCode::bad_format, "expected an object");
  HeadPlan plan;
  SACCADE_CHECK(list_from(document, "scores", plan.scores, score_from));
  SACCADE_CHECK(list_from(document, "weights", plan.weights,
                          [&](const Json& item) { return weight_from(item, numbers); }));
  SACCADE_CHECK(list_from(document, "outputs", plan.outputs, output_from));
  return plan;
}

}  // namespace saccade
