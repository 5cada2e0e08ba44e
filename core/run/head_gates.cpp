#include "core/run/head_gates.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <nlohmann/json.hpp>

#include "core/base/digest.h"
#include "core/base/files.h"

namespace saccade {
namespace {

constexpr double tie_breaker = 1e-6;
constexpr std::string_view file_name = "full_attention_heads.tsv";

std::string row_name(size_t layer) { return fmt::format("gates/{}", layer); }

Result<std::vector<float>> read_row(std::string_view line, const std::filesystem::path& path, size_t number) {
  std::vector<float> row;
  while (true) {
    const size_t tab = std::min(line.find('\t'), line.size());
    double gate = 0.0;
    const auto [end, code] = std::from_chars(line.data(), line.data() + tab, gate);
    if (code != std::errc() || end != line.data() + tab || !std::isfinite(gate))
      return make_error(ErrorCode::bad_format,
                        fmt::format("{}: line {}: expected numbers between tabs, found '{}'", path.string(),
                                    number, line.substr(0, std::min<size_t>(tab, 40))));
    row.push_back(static_cast<float>(std::clamp(gate, 0.0, 1.0)));
    if (tab == line.size()) return row;
    line.remove_prefix(tab + 1);
  }
}

// The lengths that training used; a config that is missing or says nothing adds nothing.
void add_lengths(const std::filesystem::path& config, VectorFile& file) {
  const Result<std::string> text = read_text_file(config);
  if (!text.ok()) return;
  const nlohmann::json document = nlohmann::json::parse(*text, nullptr, false);
  for (const char* key : {"sink_size", "recent_size"})
    if (document.is_object() && document.contains(key) && document[key].is_number())
      file.vectors[key] = {document[key].get<float>()};
}

uint64_t split_mix(uint64_t& state) {
  uint64_t z = (state += 0x9E3779B97F4A7C15ULL);
  z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9ULL;
  z = (z ^ (z >> 27)) * 0x94D049BB133111EBULL;
  return z ^ (z >> 31);
}

// Between order statistics, as numpy's default.
double linear_quantile(std::vector<double> values, double share) {
  std::sort(values.begin(), values.end());
  const double at = share * static_cast<double>(values.size() - 1);
  const auto below = static_cast<size_t>(at);
  const size_t above = std::min(below + 1, values.size() - 1);
  return values[below] + (at - static_cast<double>(below)) * (values[above] - values[below]);
}

}  // namespace

Result<std::shared_ptr<const VectorFile>> read_head_gates(const std::filesystem::path& path) {
  std::error_code failed;
  const std::filesystem::path table = std::filesystem::is_directory(path, failed) ? path / file_name : path;
  SACCADE_TRY(const std::string text, read_text_file(table));
  auto file = std::make_shared<VectorFile>();
  Digest digest;
  digest.add("head gates");
  size_t layer = 0, number = 0;
  for (std::string_view rest = text; !rest.empty();) {
    const size_t end = std::min(rest.find('\n'), rest.size());
    std::string_view line = rest.substr(0, end);
    rest.remove_prefix(std::min(end + 1, rest.size()));
    ++number;
    while (!line.empty() && (line.back() == '\r' || line.back() == '\t')) line.remove_suffix(1);
    if (line.empty()) continue;
    SACCADE_TRY(std::vector<float> row, read_row(line, table, number));
    if (layer > 0 && row.size() != file->vectors[row_name(0)].size())
      return make_error(ErrorCode::bad_format,
                        fmt::format("{}: line {} has {} gates, the first {}", table.string(), number,
                                    row.size(), file->vectors[row_name(0)].size()));
    digest.add(std::as_bytes(std::span<const float>(row)));
    file->vectors[row_name(layer++)] = std::move(row);
  }
  if (layer == 0)
    return make_error(ErrorCode::bad_format, table.string() + ": expected a row of gates per layer");
  add_lengths(table.parent_path() / "config.json", *file);
  file->digest = digest.hex();
  return std::shared_ptr<const VectorFile>(std::move(file));
}

std::vector<bool> full_heads(std::span<const float> gates, double sparsity) {
  if (sparsity <= 0.0 || sparsity >= 1.0 || gates.empty())
    return std::vector<bool>(gates.size(), sparsity <= 0.0);
  uint64_t state = 0;
  std::vector<double> raised;
  for (const float gate : gates)
    raised.push_back(gate + tie_breaker * static_cast<double>(split_mix(state) >> 11) * 0x1.0p-53);
  const double cut = linear_quantile(raised, sparsity);
  std::vector<bool> full;
  for (const double gate : raised) full.push_back(gate >= cut);
  return full;
}

Result<std::vector<Edit>> streams_of(const Edit& edit, const VectorFile& gates, const ModelSpec& spec) {
  std::vector<float> all;
  int32_t layers = 0;
  size_t width = 0;
  for (const std::vector<float>* row = gates.find(row_name(0)); row != nullptr;
       row = gates.find(row_name(static_cast<size_t>(++layers)))) {
    all.insert(all.end(), row->begin(), row->end());
    width = row->size();
  }
  if (layers != spec.n_layer || width != static_cast<size_t>(spec.n_kv_head))
    return make_error(
        ErrorCode::invalid_argument,
        fmt::format("edit '{}': '{}' has gates for {} layers of {} KV heads, this model has {} of {}",
                    to_text(edit), edit.from, layers, width, spec.n_layer, spec.n_kv_head));
  const std::vector<bool> full = full_heads(all, edit.by);
  const auto& target = std::get<HeadTarget>(edit.target);
  const int32_t group = spec.n_head / spec.n_kv_head;
  std::vector<Edit> streams;
  for (int32_t layer = 0; layer < spec.n_layer; ++layer) {
    HeadTarget heads{{{{layer, layer}}}, {}};
    for (int32_t head = 0; head < spec.n_head; ++head)
      if (target.layers.contains(layer) && target.heads.contains(head) &&
          !full[static_cast<size_t>(int64_t{layer} * spec.n_kv_head + head / group)])
        heads.heads.ranges.emplace_back(head, head);
    if (heads.heads.ranges.empty()) continue;
    Edit stream = edit;
    stream.target = heads;
    stream.from.clear();
    stream.by = 1.0;
    streams.push_back(std::move(stream));
  }
  return streams;
}

}  // namespace saccade
