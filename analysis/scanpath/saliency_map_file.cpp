// Reading saliency maps: numpy's NPY format 1.0 to 3.0, and tables of numbers.
#include <fmt/format.h>

#include <charconv>
#include <cmath>
#include <cstring>
#include <optional>
#include <string_view>

#include "analysis/scanpath/saliency_map.h"
#include "core/base/files.h"

namespace saccade {
namespace {

constexpr int64_t most_pixels = int64_t{1} << 28;

Error bad(const std::string& what) { return make_error(ErrorCode::bad_format, what); }

// The text after 'key': in the header's Python dictionary.
std::optional<std::string_view> value_of(std::string_view header, std::string_view key) {
  const size_t at = header.find(fmt::format("'{}':", key));
  if (at == std::string_view::npos) return std::nullopt;
  std::string_view rest = header.substr(at + key.size() + 3);
  while (rest.starts_with(' ')) rest.remove_prefix(1);
  return rest;
}

Result<PictureSize> shape_of(std::string_view header) {
  const auto text = value_of(header, "shape");
  int64_t extents[2] = {0, 0};
  if (text && text->starts_with('(')) {
    const char *at = text->data() + 1, *const end = text->data() + text->size();
    for (int64_t& extent : extents) {
      while (at != end && (*at == ' ' || *at == ',')) ++at;
      at = std::from_chars(at, end, extent).ptr;
    }
    while (at != end && (*at == ' ' || *at == ',')) ++at;
    if (at != end && *at == ')' && extents[0] > 0 && extents[1] > 0 && extents[0] <= most_pixels / extents[1])
      return PictureSize{extents[1], extents[0]};
  }
  return bad("an array whose shape is not (height, width); save a map of two dimensions");
}

template <class T>
void widen(const std::byte* from, std::vector<double>& values) {
  for (size_t i = 0; i < values.size(); ++i) {
    T value;
    std::memcpy(&value, from + i * sizeof(T), sizeof(T));
    values[i] = static_cast<double>(value);
  }
}

struct NpyType {
  std::string_view name;
  size_t bytes;
  void (*widen)(const std::byte*, std::vector<double>&);
};
constexpr NpyType npy_types[] = {{"<f4", 4, widen<float>},    {"<f8", 8, widen<double>},
                                 {"|u1", 1, widen<uint8_t>},  {"|i1", 1, widen<int8_t>},
                                 {"<u2", 2, widen<uint16_t>}, {"<i2", 2, widen<int16_t>},
                                 {"<i4", 4, widen<int32_t>},  {"<i8", 8, widen<int64_t>}};

// Rows of numbers, separated by commas, semicolons, tabs or spaces.
Result<SaliencyMap> parse_table(std::string_view text) {
  SaliencyMap map;
  int64_t line = 0;
  while (!text.empty()) {
    const size_t end = std::min(text.find('\n'), text.size());
    std::string_view row = text.substr(0, end);
    text.remove_prefix(std::min(end + 1, text.size()));
    ++line;
    int64_t columns = 0;
    const auto skip = [&] {
      const size_t at = row.find_first_not_of(" ,;\t\r");
      row.remove_prefix(std::min(at, row.size()));
    };
    for (skip(); !row.empty(); skip()) {
      double value = 0.0;
      const auto [stop, failed] = std::from_chars(row.data(), row.data() + row.size(), value);
      if (failed != std::errc())
        return bad(fmt::format("line {}: '{}' is no number", line, row.substr(0, 20)));
      row.remove_prefix(static_cast<size_t>(stop - row.data()));
      map.values.push_back(value);
      ++columns;
    }
    if (columns == 0) continue;
    if (map.size.width == 0) map.size.width = columns;
    if (columns != map.size.width)
      return bad(
          fmt::format("line {}: {} numbers where the first row has {}", line, columns, map.size.width));
    ++map.size.height;
  }
  return map;
}

}  // namespace

Result<SaliencyMap> parse_npy_map(std::span<const std::byte> bytes) {
  const std::string_view text{reinterpret_cast<const char*>(bytes.data()), bytes.size()};
  if (!text.starts_with("\x93NUMPY") || text.size() < 12) return bad("no NPY file");
  const auto byte = [&](size_t at) { return static_cast<size_t>(static_cast<unsigned char>(text[at])); };
  const bool wide = byte(6) >= 2;  // versions 2 and 3 have four bytes of header length
  const size_t begin = wide ? 12 : 10;
  const size_t length = byte(8) + (byte(9) << 8) + (wide ? (byte(10) << 16) + (byte(11) << 24) : 0);
  if (length > text.size() - begin) return bad("an NPY header that is longer than the file");
  const std::string_view header = text.substr(begin, length);
  const auto order = value_of(header, "fortran_order"), type = value_of(header, "descr");
  if (!order || !order->starts_with("False"))
    return make_error(ErrorCode::unsupported,
                      "an array in Fortran order; save it with numpy.ascontiguousarray");
  SACCADE_TRY(const PictureSize size, shape_of(header));
  for (const NpyType& known : npy_types) {
    if (!type || type->substr(1, 3) != known.name) continue;
    const auto count = static_cast<size_t>(size.width * size.height);
    if ((text.size() - begin - length) / known.bytes < count)
      return bad(
          fmt::format("{} values of {} bytes in {} bytes", count, known.bytes, text.size() - begin - length));
    SaliencyMap map(size);
    known.widen(bytes.data() + begin + length, map.values);
    return map;
  }
  return make_error(ErrorCode::unsupported,
                    fmt::format("an array of type {}; save it as float32 or float64",
                                type ? type->substr(0, std::min(type->find(','), size_t{12})) : "?"));
}

Result<SaliencyMap> read_saliency_map(const std::filesystem::path& path) {
  SACCADE_TRY(const auto file, MappedFile::open(path));
  const std::string_view text{reinterpret_cast<const char*>(file->bytes().data()), file->bytes().size()};
  auto map = text.starts_with("\x93NUMPY") ? parse_npy_map(file->bytes()) : parse_table(text);
  if (map.ok())
    if (auto checked = check_map(*map, map->size); !checked.ok()) map = std::move(checked).error();
  if (!map.ok()) return std::move(map).error().with("reading the map " + path.string());
  return map;
}

}  // namespace saccade
