// map: one head's map, or a part of it, as a picture or as numbers.
#include <fmt/format.h>

#include <charconv>
#include <filesystem>

#include "analysis/export/figure.h"
#include "app/cli/commands.h"
#include "app/cli/work.h"

namespace saccade::cli {
namespace {

// "A:B", half open, either side may be left out.
Result<std::pair<int64_t, int64_t>> parse_range(const std::string& name, const std::string& text,
                                                int64_t size) {
  int64_t begin = 0, end = size;
  const auto bad = [&] {
    return make_error(ErrorCode::invalid_argument,
                      fmt::format("--{}: expected A:B with 0 <= A < B <= {}, found '{}'", name, size, text));
  };
  if (text.empty()) return std::pair(begin, end);
  const size_t colon = text.find(':');
  if (colon == std::string::npos) return bad();
  const auto number = [](const std::string& digits, int64_t& value) {
    if (digits.empty()) return true;
    const auto [at, code] = std::from_chars(digits.data(), digits.data() + digits.size(), value);
    return code == std::errc() && at == digits.data() + digits.size();
  };
  if (!number(text.substr(0, colon), begin) || !number(text.substr(colon + 1), end)) return bad();
  if (begin < 0 || begin >= end || end > size) return bad();
  return std::pair(begin, end);
}

}  // namespace

Result<void> map(const Context& context, const MapOptions& options) {
  SACCADE_TRY(const HeadId head, parse_head(options.head));
  FigureOptions figure_options;
  SACCADE_TRY(figure_options.scale.palette, parse_palette(options.palette));
  SACCADE_TRY(figure_options.scale.mode, parse_sink_mode(options.mode));
  SACCADE_TRY(const Work work,
              do_work(context, {options.model, options.input, options.edits, {}, {.max_tokens = 0}}));
  const KernelSet& kernels = work.opened.runner->kernels();
  SACCADE_TRY(const AttentionMap edited, AttentionMap::of(work.edited.run->capture, head, kernels));
  SACCADE_TRY(const AttentionMap baseline, AttentionMap::of(work.baseline.run->capture, head, kernels));
  MapFigure figure{edited, 0, 0, 0, 0, options.difference ? &baseline : nullptr};
  SACCADE_TRY(const auto rows, parse_range("rows", options.rows, edited.size()));
  SACCADE_TRY(const auto columns, parse_range("cols", options.columns, edited.size()));
  std::tie(figure.rows_begin, figure.rows_end) = rows;
  std::tie(figure.columns_begin, figure.columns_end) = columns;

  const std::filesystem::path out = options.out;
  if (out.extension() == ".csv") {
    SACCADE_CHECK(write_map_csv(figure, out));
  } else if (out.extension() == ".npy") {
    SACCADE_CHECK(write_map_npy(figure, out));
  } else {
    SACCADE_CHECK(write_map_figure(figure, figure_options, out, context.job));
  }
  const std::string caption = map_caption(figure, figure_options);
  context.print({{"model", work.opened.model->name()},
                 {"head", to_string(head)},
                 {"rows", {figure.rows_begin, figure.rows_end}},
                 {"cols", {figure.columns_begin, figure.columns_end}},
                 {"out", options.out},
                 {"caption", caption},
                 {"request", work.edited.run->digest}},
                fmt::format("{}\n{}\n", options.out, caption));
  return {};
}

}  // namespace saccade::cli
