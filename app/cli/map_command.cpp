// map: one head's map, or a part of it, as a picture or as numbers.
#include <fmt/format.h>

#include <charconv>
#include <filesystem>

#include "analysis/export/figure.h"
#include "analysis/export/picture_figure.h"
#include "analysis/images/read_picture.h"
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

// "12" or "3,7".
Result<int64_t> parse_query(const std::string& text, const Capture& capture, const ImageRegion& region) {
  if (text.empty()) {
    const bool cls = region.n_prefix > 0 && capture.spec.is_picture_model();
    const int64_t middle =
        region.position(int64_t{region.grid_height / 2} * region.grid_width + region.grid_width / 2);
    return cls ? region.begin : capture.spec.is_picture_model() ? middle : capture.n_token() - 1;
  }
  const auto bad = [&] {
    return make_error(
        ErrorCode::invalid_argument,
        fmt::format("--query {}: expected a position from 0 to {}, or ROW,COLUMN of a patch (the "
                    "picture has {} x {})",
                    text, capture.n_token() - 1, region.grid_height, region.grid_width));
  };
  const char *at = text.data(), *const end = at + text.size();
  int64_t first = 0, second = 0;
  const auto row = std::from_chars(at, end, first);
  if (row.ec != std::errc()) return bad();
  if (row.ptr == end) return first >= 0 && first < capture.n_token() ? Result<int64_t>(first) : bad();
  const auto column = std::from_chars(row.ptr + 1, end, second);
  if (*row.ptr != ',' || column.ec != std::errc() || column.ptr != end || first < 0 || second < 0 ||
      first >= region.grid_height || second >= region.grid_width)
    return bad();
  return region.position(first * region.grid_width + second);
}

std::string name_of_query(const Capture& capture, int64_t query) {
  const std::string text = display_text(capture.tokens[static_cast<size_t>(query)], true, 24);
  for (const ImageRegion& region : capture.images)
    if (query >= region.begin && query < region.end()) return region.patch_at(query) ? "patch " + text : text;
  return fmt::format("token {} \"{}\"", query, text);
}

Result<void> map_over_picture(const Context& context, const MapOptions& options, const Work& work,
                              HeadId head, const AttentionMap& edited, const AttentionMap& baseline,
                              FigureOptions figure_options) {
  const Capture& capture = *work.edited.run->capture;
  if (options.picture >= static_cast<int64_t>(capture.images.size()))
    return make_error(
        ErrorCode::invalid_argument,
        fmt::format("--over-picture: the request has {} pictures, number {} is asked for; give one with "
                    "--image FILE",
                    capture.images.size(), options.picture));
  const auto index = static_cast<size_t>(options.picture);
  const ImageRegion& region = capture.images[index];
  SACCADE_TRY(const int64_t query, parse_query(options.query, capture, region));
  if (capture.spec.looks_back() && query < region.first_patch())
    return make_error(
        ErrorCode::invalid_argument,
        fmt::format("--query {}: this token stands before the picture and cannot see it; give one from {} "
                    "on",
                    query, region.end()));
  std::vector<float> row(static_cast<size_t>(capture.n_token()));
  SACCADE_CHECK(edited.rows(query, query + 1, capture.n_token(), row));
  PictureFigure figure;
  const auto patches = [&](const std::vector<float>& all) { return over_patches(region, all); };
  figure.map = {region, patches(row)};
  if (options.difference) {
    std::vector<float> before(row.size());
    SACCADE_CHECK(baseline.rows(query, query + 1, capture.n_token(), before));
    const std::vector<float> of_a = patches(before);
    for (size_t i = 0; i < of_a.size(); ++i) figure.map.values[i] -= of_a[i];
    figure_options.scale.palette = Palette::red_blue;
  }
  SACCADE_TRY(Picture picture, read_picture(options.input.images[static_cast<size_t>(region.picture)]));
  figure.picture = std::make_shared<const Picture>(std::move(picture));
  figure.title = fmt::format("Head {}, from {}{}", to_string(head), name_of_query(capture, query),
                             options.difference ? ", B \u2212 A" : "");
  figure.quantity = options.difference ? "change of attention weight" : "attention weight";
  figure.alpha = options.alpha;
  figure.smooth = options.smooth;
  figure.attention = !options.difference;
  figure.query_patch = region.patch_at(query).value_or(figure.query_patch);
  figure.run = capture.provenance;
  const double largest = options.high > 0.0 ? options.high : double{figure.map.furthest()};
  figure_options.scale.high = largest > 0.0 ? largest : 1.0;
  figure_options.scale.low = options.difference ? -figure_options.scale.high : 0.0;
  SACCADE_CHECK(write_picture_figure(figure, figure_options, options.out));
  const std::string caption = picture_caption(figure, figure_options);
  Json document = {{"model", work.opened.model->name()},
                   {"head", to_string(head)},
                   {"query", query},
                   {"grid", {region.grid_height, region.grid_width}},
                   {"weights", figure.map.values},
                   {"mass", figure.map.sum()},
                   {"out", options.out},
                   {"caption", caption},
                   {"request", work.edited.run->digest}};
  context.print(document, fmt::format("{}\n{}\n", options.out, caption));
  return {};
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
  if (options.over_picture)
    return map_over_picture(context, options, work, head, edited, baseline, figure_options);
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
