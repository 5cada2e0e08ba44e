#include "analysis/prompts/csv.h"

#include <fmt/format.h>

#include <vector>

namespace saccade {
namespace {

using nlohmann::json;

// RFC 4180: quoted cells may hold commas, line ends and doubled quotes.
std::vector<std::vector<std::string>> csv_rows(const std::string& text) {
  std::vector<std::vector<std::string>> rows;
  std::vector<std::string> row;
  std::string cell;
  bool quoted = false, any = false;
  const auto end_row = [&] {
    if (any || !row.empty()) {
      row.push_back(std::move(cell));
      rows.push_back(std::move(row));
    }
    row.clear();
    cell.clear();
    any = false;
  };
  for (size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    if (quoted) {
      if (c != '"')
        cell += c;
      else if (i + 1 < text.size() && text[i + 1] == '"')
        cell += text[++i];
      else
        quoted = false;
    } else if (c == '"') {
      quoted = any = true;
    } else if (c == ',') {
      row.push_back(std::move(cell));
      cell.clear();
      any = true;
    } else if (c == '\n') {
      end_row();
    } else if (c != '\r') {
      cell += c;
      any = true;
    }
  }
  end_row();
  return rows;
}

}  // namespace

Result<json> csv_document(const std::string& file, const std::string& text) {
  const auto rows = csv_rows(text);
  if (rows.size() < 2)
    return make_error(ErrorCode::bad_format,
                      file + ": expected a row of names and at least one pair (or text) below it");
  json list = json::array();
  for (size_t r = 1; r < rows.size(); ++r) {
    if (rows[r].size() != rows[0].size())
      return make_error(ErrorCode::bad_format, fmt::format("{}: row {} has {} cells, the first row {}", file,
                                                           r + 1, rows[r].size(), rows[0].size()));
    json entry = json::object();
    for (size_t c = 0; c < rows[0].size(); ++c) entry[rows[0][c]] = rows[r][c];
    list.push_back(std::move(entry));
  }
  return list;
}

}  // namespace saccade
