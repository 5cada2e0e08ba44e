#include "core/model/safetensors_header.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <map>
#include <nlohmann/json.hpp>
#include <optional>
#include <set>

namespace saccade {

uint64_t HeaderEntry::expected_bytes() const {
  auto bytes = static_cast<uint64_t>(width_of(dtype));
  for (const int64_t extent : shape) bytes *= static_cast<uint64_t>(extent);
  return bytes;
}

namespace {

using Json = nlohmann::json;

const std::map<std::string, DType, std::less<>>& dtype_names() {
  static const std::map<std::string, DType, std::less<>> names{
      {"F32", DType::f32}, {"F16", DType::f16},     {"BF16", DType::bf16}, {"F64", DType::f64},
      {"I64", DType::i64}, {"I32", DType::i32},     {"I16", DType::i16},   {"I8", DType::i8},
      {"U8", DType::u8},   {"BOOL", DType::boolean}};
  return names;
}

// {"NAME": {"dtype": "F32", "shape": [2, 3], "data_offsets": [0, 24]}, ..., "__metadata__": {"k": "text"}}
class HeaderSax : public nlohmann::json_sax<Json> {
 public:
  [[nodiscard]] std::vector<HeaderEntry> take_entries() { return std::move(entries_); }
  [[nodiscard]] const std::string& problem() const { return problem_; }

  bool null() override { return unexpected("null"); }
  bool boolean(bool value) override { return unexpected(value ? "true" : "false"); }
  bool number_integer(number_integer_t value) override { return unexpected(std::to_string(value)); }
  bool number_float(number_float_t /*value*/, const string_t& text) override { return unexpected(text); }
  bool binary(binary_t& /*value*/) override { return unexpected("bytes"); }

  bool number_unsigned(number_unsigned_t value) override {
    constexpr size_t most_axes = 8;
    if (in_ == In::shape) {
      if (value > uint64_t{1} << 48) return unexpected(std::to_string(value));
      if (entry_.shape.size() == most_axes) return stop(of_tensor("expected a shape of at most 8 numbers"));
      entry_.shape.push_back(static_cast<int64_t>(value));
      return true;
    }
    if (in_ == In::offsets) {
      if (offsets_.size() == 2) return stop(of_tensor("expected two data_offsets, found more"));
      offsets_.push_back(value);
      return true;
    }
    return unexpected(std::to_string(value));
  }

  bool string(string_t& value) override {
    if (in_ == In::metadata) return true;
    if (in_ != In::entry || key_ != "dtype") return unexpected("\"" + value + "\"");
    const auto known = dtype_names().find(value);
    if (known == dtype_names().end()) return stop(of_tensor(fmt::format("unknown dtype \"{}\"", value)));
    entry_.dtype = known->second;
    return true;
  }

  bool key(string_t& name) override {
    if (in_ == In::top) {
      entry_ = {};
      entry_.name = name;
      return names_.insert(name).second || stop(fmt::format("tensor '{}' is listed twice", name));
    }
    if (in_ == In::metadata) return true;
    key_ = name;
    if (name != "dtype" && name != "shape" && name != "data_offsets")
      return stop(of_tensor(fmt::format("expected dtype, shape and data_offsets, found '{}'", name)));
    return keys_.insert(name).second || stop(of_tensor(fmt::format("'{}' is given twice", name)));
  }

  bool start_object(size_t /*elements*/) override {
    if (in_ == In::nothing) return enter(In::top);
    if (in_ != In::top) return unexpected("an object");
    keys_.clear();
    offsets_.clear();
    return enter(entry_.name == "__metadata__" ? In::metadata : In::entry);
  }

  bool end_object() override {
    if (in_ == In::entry && !finish_entry()) return false;
    return enter(In::top);
  }

  bool start_array(size_t /*elements*/) override {
    if (in_ == In::entry && key_ == "shape") return enter(In::shape);
    if (in_ == In::entry && key_ == "data_offsets") return enter(In::offsets);
    return unexpected("a list");
  }

  bool end_array() override { return enter(In::entry); }

  bool parse_error(size_t position, const std::string& /*token*/,
                   const nlohmann::detail::exception& /*error*/) override {
    return stop(fmt::format("the header is not valid JSON at its byte {}", position));
  }

 private:
  enum class In { nothing, top, metadata, entry, shape, offsets };

  bool enter(In where) {
    in_ = where;
    return true;
  }
  bool stop(std::string problem) {
    if (problem_.empty()) problem_ = std::move(problem);
    return false;
  }
  [[nodiscard]] std::string of_tensor(const std::string& what) const {
    return fmt::format("tensor '{}': {}", entry_.name, what);
  }
  bool unexpected(const std::string& found) {
    switch (in_) {
      case In::nothing:
        return stop("the header is not a JSON object, found " + found);
      case In::top:
        return stop(of_tensor("expected an object with dtype, shape and data_offsets, found " + found));
      case In::metadata:
        return stop("__metadata__: expected texts only, found " + found);
      case In::entry:
        return stop(of_tensor(fmt::format("{}: found {}, which does not belong there", key_, found)));
      case In::shape:
        return stop(of_tensor("expected whole numbers in the shape, found " + found));
      case In::offsets:
        return stop(of_tensor("expected two whole numbers as data_offsets, found " + found));
    }
    return false;
  }

  bool finish_entry() {
    if (keys_.size() != 3) return stop(of_tensor("expected dtype, shape and data_offsets, one is missing"));
    if (offsets_.size() != 2) return stop(of_tensor("expected two data_offsets, found fewer"));
    entry_.begin = offsets_[0];
    entry_.end = offsets_[1];
    auto bytes = static_cast<uint64_t>(width_of(entry_.dtype));
    bool empty = false, overflow = false;
    for (const int64_t extent : entry_.shape) {
      empty = empty || extent == 0;
      overflow = overflow || __builtin_mul_overflow(bytes, static_cast<uint64_t>(extent), &bytes) ||
                 bytes > uint64_t{1} << 62;
    }
    if (overflow && !empty)
      return stop(
          of_tensor(fmt::format("the shape [{}] is larger than any file", fmt::join(entry_.shape, ", "))));
    entries_.push_back(std::move(entry_));
    return true;
  }

  In in_ = In::nothing;
  HeaderEntry entry_;
  std::string key_, problem_;
  std::vector<uint64_t> offsets_;
  std::set<std::string> names_, keys_;
  std::vector<HeaderEntry> entries_;
};

}  // namespace

Result<std::vector<HeaderEntry>> parse_safetensors_header(std::string_view json) {
  HeaderSax reader;
  if (Json::sax_parse(json.begin(), json.end(), &reader)) return reader.take_entries();
  return make_error(ErrorCode::bad_format, reader.problem());
}

Result<void> check_layout(std::vector<HeaderEntry>& entries, uint64_t data_bytes) {
  const auto bad = [](const std::string& what) { return make_error(ErrorCode::bad_format, what); };
  for (const HeaderEntry& entry : entries) {
    if (entry.begin > entry.end || entry.end > data_bytes)
      return bad(fmt::format("tensor '{}': its bytes {}-{} lie outside the file's {} bytes of data",
                             entry.name, entry.begin, entry.end, data_bytes));
    if (entry.end - entry.begin != entry.expected_bytes())
      return bad(fmt::format("tensor '{}': shape [{}] of {} needs {} bytes, its offsets hold {}", entry.name,
                             fmt::join(entry.shape, ", "), to_string(entry.dtype), entry.expected_bytes(),
                             entry.end - entry.begin));
  }
  std::sort(entries.begin(), entries.end(), [](const HeaderEntry& a, const HeaderEntry& b) {
    return std::pair(a.begin, a.end) < std::pair(b.begin, b.end);
  });
  uint64_t at = 0;
  for (const HeaderEntry& entry : entries) {
    if (entry.begin != at)
      return bad(fmt::format("tensor '{}' begins at byte {} of the data, expected {}: {}", entry.name,
                             entry.begin, at,
                             entry.begin < at ? "it overlaps another" : "there is a hole before it"));
    at = entry.end;
  }
  if (at != data_bytes)
    return bad(fmt::format("the tensors end at byte {} of the data, the file has {}", at, data_bytes));
  return {};
}

}  // namespace saccade
