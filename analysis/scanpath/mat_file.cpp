#include "analysis/scanpath/mat_file.h"

#include <fmt/format.h>
#include <zlib.h>

#include <algorithm>
#include <cstring>
#include <limits>
#include <optional>

namespace saccade {
namespace {

constexpr size_t header_bytes = 128;
enum Type : uint32_t {
  mi_int8 = 1,
  mi_uint8 = 2,
  mi_int16 = 3,
  mi_uint16 = 4,
  mi_int32 = 5,
  mi_uint32 = 6,
  mi_single = 7,
  mi_double = 9,
  mi_int64 = 12,
  mi_uint64 = 13,
  mi_matrix = 14,
  mi_compressed = 15,
  mi_utf8 = 16,
  mi_utf16 = 17,
  mi_utf32 = 18
};
enum Class : uint32_t { mx_cell = 1, mx_struct = 2, mx_char = 4, mx_double = 6, mx_uint64 = 15 };

Error bad(const std::string& what) { return make_error(ErrorCode::bad_format, what); }

size_t width_of(uint32_t type) {
  switch (type) {
    case mi_int8:
    case mi_uint8:
    case mi_utf8:
      return 1;
    case mi_int16:
    case mi_uint16:
    case mi_utf16:
      return 2;
    case mi_int32:
    case mi_uint32:
    case mi_single:
    case mi_utf32:
      return 4;
    case mi_double:
    case mi_int64:
    case mi_uint64:
      return 8;
    default:
      return 0;
  }
}

struct Element {
  uint32_t type = 0;
  std::span<const std::byte> body;
};

// What is read with one byte order, with the budgets that all of a file's variables share.
class Reader {
 public:
  Reader(bool swapped, const MatLimits& limits)
      : swapped_(swapped), limits_(limits), arrays_left_(limits.arrays), bytes_left_(limits.unpacked_bytes) {}

  Result<std::optional<MatArray>> variable(const Element& element);
  // The next element of `bytes`, which moves behind it and its padding.
  Result<Element> next(std::span<const std::byte>& bytes, bool padded = true) const;

 private:
  Result<MatArray> matrix(std::span<const std::byte> bytes, int depth);
  Result<void> structure(std::span<const std::byte> bytes, int depth, MatArray& array);
  Result<void> children(std::span<const std::byte> bytes, size_t count, int depth, MatArray& array);
  Result<void> numbers(const Element& element, MatArray& array) const;
  Result<void> characters(const Element& element, MatArray& array) const;
  Result<std::vector<std::byte>> unpack(std::span<const std::byte> packed);

  template <class T>
  T number(std::span<const std::byte> bytes, size_t at) const {
    std::byte raw[sizeof(T)];
    std::memcpy(raw, bytes.data() + at * sizeof(T), sizeof(T));
    if (swapped_) std::reverse(std::begin(raw), std::end(raw));
    T value;
    std::memcpy(&value, raw, sizeof(T));
    return value;
  }
  [[nodiscard]] double real(const Element& element, size_t at) const;
  [[nodiscard]] uint32_t code_unit(const Element& element, size_t at) const;

  bool swapped_ = false;
  MatLimits limits_;
  int64_t arrays_left_ = 0;
  size_t bytes_left_ = 0;
};

Result<Element> Reader::next(std::span<const std::byte>& bytes, bool padded) const {
  if (bytes.size() < 8) return bad(fmt::format("{} bytes where an element's tag should be", bytes.size()));
  const auto first = number<uint32_t>(bytes, 0);
  Element element;
  if ((first >> 16) != 0) {  // small: type and size share a word, the body is in the tag
    element.type = first & 0xffffU;
    const size_t size = first >> 16;
    if (size > 4) return bad(fmt::format("a small element of {} bytes; at most 4 fit", size));
    element.body = bytes.subspan(4, size);
    bytes = bytes.subspan(8);
    return element;
  }
  element.type = first;
  const size_t size = number<uint32_t>(bytes, 1);
  if (size > bytes.size() - 8)
    return bad(fmt::format("an element says it has {} bytes; {} are left", size, bytes.size() - 8));
  element.body = bytes.subspan(8, size);
  const size_t whole = padded ? (size + 7) / 8 * 8 : size;
  bytes = bytes.subspan(8 + std::min(whole, bytes.size() - 8));
  return element;
}

Result<std::vector<std::byte>> Reader::unpack(std::span<const std::byte> packed) {
  z_stream stream{};
  // zlib does not write to its input, but says so only when built with ZLIB_CONST.
  stream.next_in = reinterpret_cast<Bytef*>(const_cast<std::byte*>(packed.data()));  // NOLINT
  stream.avail_in = static_cast<uInt>(packed.size());
  if (inflateInit(&stream) != Z_OK) return make_error(ErrorCode::out_of_memory, "no memory to unpack");
  std::vector<std::byte> out;
  int state = Z_OK;
  while (state == Z_OK && out.size() <= bytes_left_) {
    constexpr size_t step = size_t{1} << 16;
    const size_t done = out.size();
    out.resize(done + step);
    stream.next_out = reinterpret_cast<Bytef*>(out.data() + done);
    stream.avail_out = static_cast<uInt>(step);
    state = inflate(&stream, Z_NO_FLUSH);
    out.resize(out.size() - stream.avail_out);
  }
  inflateEnd(&stream);
  if (out.size() > bytes_left_)
    return make_error(
        ErrorCode::unsupported,
        fmt::format("more than {} bytes come out of the packed variables", limits_.unpacked_bytes));
  if (state != Z_STREAM_END) return bad("a packed variable is damaged or cut short");
  bytes_left_ -= out.size();
  return out;
}

Result<std::optional<MatArray>> Reader::variable(const Element& element) {
  if (element.type == mi_matrix) {
    SACCADE_TRY(MatArray array, matrix(element.body, 0));
    return std::optional<MatArray>(std::move(array));
  }
  if (element.type != mi_compressed) return std::optional<MatArray>();  // nothing that holds a variable
  SACCADE_TRY(const std::vector<std::byte> unpacked, unpack(element.body));
  std::span<const std::byte> rest = unpacked;
  SACCADE_TRY(const Element inner, next(rest));
  if (inner.type != mi_matrix) return bad(fmt::format("a packed element of type {}", inner.type));
  SACCADE_TRY(MatArray array, matrix(inner.body, 0));
  return std::optional<MatArray>(std::move(array));
}

double Reader::real(const Element& element, size_t at) const {
  switch (element.type) {
    case mi_int8:
      return number<int8_t>(element.body, at);
    case mi_uint8:
      return number<uint8_t>(element.body, at);
    case mi_int16:
      return number<int16_t>(element.body, at);
    case mi_uint16:
      return number<uint16_t>(element.body, at);
    case mi_int32:
      return number<int32_t>(element.body, at);
    case mi_uint32:
      return number<uint32_t>(element.body, at);
    case mi_single:
      return number<float>(element.body, at);
    case mi_int64:
      return static_cast<double>(number<int64_t>(element.body, at));
    case mi_uint64:
      return static_cast<double>(number<uint64_t>(element.body, at));
    default:
      return number<double>(element.body, at);
  }
}

Result<void> Reader::numbers(const Element& element, MatArray& array) const {
  const size_t width = width_of(element.type);
  if (width == 0 || element.type >= mi_utf8) return bad(fmt::format("numbers of type {}", element.type));
  const auto count = static_cast<size_t>(array.size());
  if (element.body.size() / width != count || element.body.size() % width != 0)
    return bad(
        fmt::format("an array of {} numbers with {} bytes of {} each", count, element.body.size(), width));
  array.numbers.resize(count);
  for (size_t i = 0; i < count; ++i) array.numbers[i] = real(element, i);
  return {};
}

uint32_t Reader::code_unit(const Element& element, size_t at) const {
  switch (width_of(element.type)) {
    case 1:
      return number<uint8_t>(element.body, at);
    case 2:
      return number<uint16_t>(element.body, at);
    default:
      return number<uint32_t>(element.body, at);
  }
}

void append_utf8(std::string& text, uint32_t code) {
  if (code > 0x10ffff || (code >= 0xd800 && code < 0xe000)) code = 0xfffd;
  if (code < 0x80) {
    text += static_cast<char>(code);
    return;
  }
  const int more = code < 0x800 ? 1 : code < 0x10000 ? 2 : 3;
  constexpr uint32_t lead[] = {0, 0xc0, 0xe0, 0xf0};
  text += static_cast<char>(lead[more] | (code >> (6 * more)));
  for (int i = more - 1; i >= 0; --i) text += static_cast<char>(0x80U | ((code >> (6 * i)) & 0x3fU));
}

Result<void> Reader::characters(const Element& element, MatArray& array) const {
  const size_t width = width_of(element.type);
  if (width == 0 || width == 8) return bad(fmt::format("characters of type {}", element.type));
  const size_t count = element.body.size() / width;
  if (element.type == mi_utf8) {  // bytes as they are; one character may take several
    array.text.assign(reinterpret_cast<const char*>(element.body.data()), count);
    return {};
  }
  for (size_t i = 0; i < count; ++i) {
    uint32_t code = code_unit(element, i);
    if (code >= 0xd800 && code < 0xdc00 && i + 1 < count)
      if (const uint32_t low = code_unit(element, i + 1); low >= 0xdc00 && low < 0xe000) {
        code = 0x10000 + ((code - 0xd800) << 10) + (low - 0xdc00);
        ++i;
      }
    append_utf8(array.text, code);
  }
  return {};
}

Result<void> Reader::children(std::span<const std::byte> bytes, size_t count, int depth, MatArray& array) {
  if (count > bytes.size() / 8) return bad(fmt::format("{} nested arrays in {} bytes", count, bytes.size()));
  for (size_t i = 0; i < count; ++i) {
    SACCADE_TRY(const Element element, next(bytes));
    if (element.type != mi_matrix) return bad(fmt::format("a nested array of type {}", element.type));
    SACCADE_TRY(MatArray child, matrix(element.body, depth + 1));
    array.cells.push_back(std::move(child));
  }
  return {};
}

Result<void> Reader::structure(std::span<const std::byte> bytes, int depth, MatArray& array) {
  SACCADE_TRY(const Element length, next(bytes));
  SACCADE_TRY(const Element names, next(bytes));
  if (length.type != mi_int32 || length.body.size() != 4)
    return bad("a structure without a field name length");
  const auto room = number<int32_t>(length.body, 0);
  if (names.body.empty()) return {};
  if (room <= 0 || names.body.size() % static_cast<size_t>(room) != 0)
    return bad(fmt::format("field names of {} bytes each in {} bytes", room, names.body.size()));
  if (names.body.size() / static_cast<size_t>(room) > 4096) return bad("more than 4096 fields");
  for (size_t at = 0; at < names.body.size(); at += static_cast<size_t>(room)) {
    const auto* text = reinterpret_cast<const char*>(names.body.data() + at);
    array.fields.emplace_back(text, strnlen(text, static_cast<size_t>(room)));
  }
  const auto elements = static_cast<size_t>(array.size());
  if (elements > bytes.size()) return bad(fmt::format("{} elements in {} bytes", elements, bytes.size()));
  return children(bytes, elements * array.fields.size(), depth, array);
}

Result<MatArray> Reader::matrix(std::span<const std::byte> bytes, int depth) {
  if (depth > limits_.depth) return bad(fmt::format("arrays are nested more than {} deep", limits_.depth));
  if (--arrays_left_ < 0)
    return make_error(ErrorCode::unsupported, fmt::format("more than {} arrays", limits_.arrays));
  MatArray array;
  if (bytes.empty()) {  // MATLAB writes [] inside cells so
    array.kind = MatArray::Kind::numeric;
    array.dimensions = {0, 0};
    return array;
  }
  SACCADE_TRY(const Element flags, next(bytes));
  if (flags.type != mi_uint32 || flags.body.size() != 8) return bad("an array without flags");
  const uint32_t kind = number<uint32_t>(flags.body, 0) & 0xffU;
  if (kind < mx_cell || kind > mx_uint64) return array;  // opaque: its layout is not published
  SACCADE_TRY(const Element shape, next(bytes));
  const size_t rank = shape.body.size() / 4;
  if (shape.type != mi_int32 || rank < 2 || rank > 32)
    return bad(fmt::format("an array of {} dimensions", rank));
  int64_t count = 1;
  for (size_t i = 0; i < rank; ++i) {
    const auto extent = number<int32_t>(shape.body, i);
    if (extent < 0 || (extent > 0 && count > std::numeric_limits<int32_t>::max() / extent))
      return bad("an array with a negative extent or more than 2^31 elements");
    count *= extent;
    array.dimensions.push_back(extent);
  }
  SACCADE_TRY(const Element name, next(bytes));
  if (name.type != mi_int8 || name.body.size() > 256) return bad("an array with a name that is none");
  array.name.assign(reinterpret_cast<const char*>(name.body.data()), name.body.size());
  if (kind == mx_cell) {
    array.kind = MatArray::Kind::cell;
    SACCADE_CHECK(children(bytes, static_cast<size_t>(count), depth, array));
  } else if (kind == mx_struct) {
    array.kind = MatArray::Kind::structure;
    SACCADE_CHECK(structure(bytes, depth, array));
  } else if (kind == mx_char || kind >= mx_double) {
    array.kind = kind == mx_char ? MatArray::Kind::text : MatArray::Kind::numeric;
    SACCADE_TRY(const Element body, next(bytes));
    SACCADE_CHECK(kind == mx_char ? characters(body, array) : numbers(body, array));
  }
  return array;
}

}  // namespace

int64_t MatArray::size() const {
  int64_t count = dimensions.empty() ? 0 : 1;
  for (const int64_t extent : dimensions) count *= extent;
  return count;
}

const MatArray* MatArray::field(std::string_view field_name, size_t element) const {
  const auto found = std::find(fields.begin(), fields.end(), field_name);
  if (kind != Kind::structure || found == fields.end()) return nullptr;
  const size_t at = element * fields.size() + static_cast<size_t>(found - fields.begin());
  return at < cells.size() ? &cells[at] : nullptr;
}

const char* to_string(MatArray::Kind kind) {
  switch (kind) {
    case MatArray::Kind::numeric:
      return "a numeric array";
    case MatArray::Kind::text:
      return "a text";
    case MatArray::Kind::cell:
      return "a cell array";
    case MatArray::Kind::structure:
      return "a structure";
    case MatArray::Kind::other:
      return "an object";
  }
  return "";
}

Result<std::vector<MatArray>> read_mat_file(std::span<const std::byte> bytes, const MatLimits& limits) {
  const std::string_view text{reinterpret_cast<const char*>(bytes.data()), bytes.size()};
  if (text.starts_with("MATLAB 7.3") || text.starts_with("\x89HDF"))
    return make_error(ErrorCode::unsupported, "a MAT-file of version 7.3 (HDF5); save it with '-v7'");
  if (bytes.size() < header_bytes)
    return bad(fmt::format("{} bytes; a MAT-file of level 5 has a header of {}", bytes.size(), header_bytes));
  const std::string_view order = text.substr(126, 2);
  if (order != "IM" && order != "MI")
    return make_error(ErrorCode::unsupported,
                      "no MAT-file of level 5 (byte 126 says neither IM nor MI); save "
                      "it with '-v7'");
  Reader reader(order == "MI", limits);
  std::vector<MatArray> variables;
  std::span<const std::byte> rest = bytes.subspan(header_bytes);
  while (!rest.empty()) {
    const size_t at = bytes.size() - rest.size();
    auto element = reader.next(rest, false);
    auto array = element.ok() ? reader.variable(*element)
                              : Result<std::optional<MatArray>>(std::move(element).error());
    if (!array.ok())
      return std::move(array).error().with(fmt::format("variable {} (byte {})", variables.size(), at));
    if (array->has_value()) variables.push_back(std::move(**array));
  }
  return variables;
}

}  // namespace saccade
