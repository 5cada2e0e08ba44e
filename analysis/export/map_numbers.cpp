// The numbers of a map region: CSV with token labels, NPY for numpy.
#include <fmt/format.h>

#include <bit>
#include <fstream>

#include "analysis/export/figure.h"
#include "analysis/export/map_region.h"
#include "core/base/files.h"

namespace saccade {
namespace {

// RFC 4180: quoted when it has to be, quotes doubled.
std::string csv_cell(const std::string& text) {
  if (text.find_first_of(",\"\r\n") == std::string::npos) return text;
  std::string quoted = "\"";
  for (char c : text) quoted += c == '"' ? "\"\"" : std::string(1, c);
  return quoted + "\"";
}

// Hands out the region some rows at a time: each call is one span per row.
Result<void> for_each_row(const MapFigure& figure,
                          const std::function<void(int64_t query, std::span<const float> row)>& body) {
  const int64_t columns = figure.columns_end - figure.columns_begin;
  const int64_t step = std::max<int64_t>((int64_t{1} << 20) / columns, 1);
  std::vector<float> row(static_cast<size_t>(columns));
  for (int64_t begin = figure.rows_begin; begin < figure.rows_end; begin += step) {
    const int64_t end = std::min(begin + step, figure.rows_end);
    SACCADE_TRY(const Tile tile, figure.map.tile(begin, end, figure.columns_begin, figure.columns_end, 1));
    Tile other;
    if (figure.difference_from != nullptr) {
      SACCADE_TRY(other,
                  figure.difference_from->tile(begin, end, figure.columns_begin, figure.columns_end, 1));
    }
    for (int64_t i = 0; i < end - begin; ++i) {
      const auto values = tile.block_max.slice(i);
      std::copy(values.begin(), values.end(), row.begin());
      if (figure.difference_from != nullptr)
        for (size_t j = 0; j < row.size(); ++j) row[j] -= other.block_max.slice(i)[j];
      body(begin + i, row);
    }
  }
  return {};
}

// Streams into the temporary file; the numbers of a large map are never held whole.
Result<void> write_stream(const std::filesystem::path& path,
                          const std::function<Result<void>(std::ostream& out)>& write) {
  return write_atomically(path, [&](const std::filesystem::path& temporary) -> Result<void> {
    std::ofstream out(temporary, std::ios::binary);
    SACCADE_CHECK(write(out));
    out.close();
    if (!out)
      return make_error(ErrorCode::io,
                        fmt::format("{} could not be written: the system refused", path.string()));
    return {};
  });
}

}  // namespace

Result<void> write_map_csv(const MapFigure& figure, const std::filesystem::path& path) {
  SACCADE_CHECK(check_region(figure));
  const auto& tokens = figure.map.capture().tokens;
  const auto label = [&](int64_t at) {
    return csv_cell(display_text(tokens[static_cast<size_t>(at)], false));
  };
  return write_stream(path, [&](std::ostream& out) {
    // Two header lines and two leading columns: position and token of each key and query.
    out << "position,token";
    for (int64_t key = figure.columns_begin; key < figure.columns_end; ++key) out << ',' << key;
    out << "\n,";
    for (int64_t key = figure.columns_begin; key < figure.columns_end; ++key) out << ',' << label(key);
    out << '\n';
    return for_each_row(figure, [&](int64_t query, std::span<const float> row) {
      out << query << ',' << label(query);
      for (float value : row)
        out << ',' << fmt::format("{}", value);  // shortest text that reads back the same
      out << '\n';
    });
  });
}

Result<void> write_map_npy(const MapFigure& figure, const std::filesystem::path& path) {
  static_assert(std::endian::native == std::endian::little, "the NPY header says little-endian");
  SACCADE_CHECK(check_region(figure));
  // NPY 1.0: magic, version, header length, a Python dict padded so that the numbers start at a multiple
  // of 64.
  std::string header =
      fmt::format("{{'descr': '<f4', 'fortran_order': False, 'shape': ({}, {}), }}",
                  figure.rows_end - figure.rows_begin, figure.columns_end - figure.columns_begin);
  constexpr size_t before = 10;
  header.append(63 - (before + header.size()) % 64, ' ');
  header += '\n';
  return write_stream(path, [&](std::ostream& out) {
    out.write("\x93NUMPY\x01\x00", 8);
    out.put(static_cast<char>(header.size() & 0xff));
    out.put(static_cast<char>(header.size() >> 8));
    out << header;
    return for_each_row(figure, [&](int64_t, std::span<const float> row) {
      out.write(reinterpret_cast<const char*>(row.data()), static_cast<std::streamsize>(row.size_bytes()));
    });
  });
}

}  // namespace saccade
