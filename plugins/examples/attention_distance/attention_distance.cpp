// attention-distance: how far each head looks. A complete plugin: parameters, tiles of maps, progress,
// cancelling, fields with named axes, a table and findings. What it computes is in distance_measure.h.
#include <algorithm>
#include <cmath>
#include <cstdarg>
#include <cstdio>
#include <exception>
#include <string>
#include <vector>

#include "distance_measure.h"
#include "saccade_plugin.h"

namespace {

using namespace attention_distance;

std::string sentence(const char* format, ...) {
  char text[512];
  va_list arguments;
  va_start(arguments, format);
  std::vsnprintf(text, sizeof text, format, arguments);
  va_end(arguments);
  return text;
}

struct Settings {
  Layout layout;
  int64_t bins = 0;
  bool doubling = true;
};

struct Measured {
  std::vector<float> means, queries,
      histogram;               // [layer, head], [layer, head, query], [layer, head, distance]
  std::vector<double> errors;  // [layer, head]
  int64_t heads = 0;           // how many are done, in order
};

int32_t read_settings(const saccade_host* host, Settings& settings) {
  const char* spacing = nullptr;
  Layout& layout = settings.layout;
  layout.n_token = host->run->n_token;
  if (host->integer(host, "width", &layout.width) || host->integer(host, "first", &layout.first) ||
      host->number(host, "pitch", &layout.pitch) || host->integer(host, "bins", &settings.bins) ||
      host->text(host, "spacing", &spacing)) {
    host->fail(host, host->error(host));
    return SACCADE_FAILED;
  }
  settings.doubling = std::string(spacing) == "doubling";
  if (layout.n_token - layout.first >= 2) return SACCADE_OK;
  const std::string why =
      sentence("first=%lld leaves fewer than two of the run's %lld tokens",
               static_cast<long long>(layout.first), static_cast<long long>(layout.n_token));
  host->fail(host, why.c_str());
  return SACCADE_FAILED;
}

// One head's map in bands of rows. Bands are small enough to notice a cancel in time.
int32_t measure_head(const saccade_host* host, int32_t layer, int32_t head, std::vector<float>& band,
                     HeadDistance& sums) {
  const int64_t n = host->run->n_token;
  const int64_t rows = std::clamp<int64_t>((int64_t{1} << 20) / n, 1, n);
  for (int64_t begin = 0; begin < n; begin += rows) {
    const int64_t end = std::min(begin + rows, n), columns = host->run->causal ? end : n;
    band.resize(static_cast<size_t>((end - begin) * columns));
    saccade_tile tile{};
    tile.size = sizeof tile;
    tile.layer = layer;
    tile.head = head;
    tile.query_begin = begin;
    tile.query_end = end;
    tile.key_end = columns;
    const int32_t status = host->tile(host, &tile, band.data(), nullptr, static_cast<int64_t>(band.size()));
    if (status == SACCADE_FAILED) host->fail(host, host->error(host));
    if (status != SACCADE_OK) return status;
    for (int64_t query = begin; query < end; ++query)
      sums.add_row(query, band.data() + (query - begin) * columns, columns);
  }
  return SACCADE_OK;
}

// Sum of the steps from a query to the keys from `first` to `end`.
double steps_to_all(const Layout& layout, int64_t query, int64_t end, const Distances& distances) {
  if (layout.width == 0) {  // 1 + 2 + ... on either side
    const auto before = static_cast<double>(query - layout.first),
               after = static_cast<double>(end - 1 - query);
    return 0.5 * (before * (before + 1.0) + after * (after + 1.0));
  }
  double sum = 0.0;
  for (int64_t key = layout.first; key < end; ++key) sum += distances.between(query, key).steps;
  return sum;
}

// The mean distance of a head that looks at every key it may see alike: what a number has to be compared
// with.
double uniform_distance(const Settings& settings, bool causal, const Distances& distances) {
  const Layout& layout = settings.layout;
  double sum = 0.0;
  for (int64_t query = layout.first; query < layout.n_token; ++query) {
    const int64_t end = causal ? query + 1 : layout.n_token;
    sum += steps_to_all(layout, query, end, distances) / static_cast<double>(end - layout.first);
  }
  return layout.pitch * sum / static_cast<double>(layout.n_token - layout.first);
}

int32_t measure(const saccade_host* host, const Settings& settings, const Distances& distances,
                Measured& measured) {
  const saccade_run& run = *host->run;
  const auto all = static_cast<double>(run.n_layer) * run.n_head;
  std::vector<float> band;
  for (int32_t layer = 0; layer < run.n_layer; ++layer)
    for (int32_t head = 0; head < run.n_head; ++head) {
      const std::string what = sentence("head %d.%d", layer, head);
      host->progress(host, static_cast<double>(measured.heads) / all, what.c_str());
      HeadDistance sums(settings.layout, distances);
      if (const int32_t status = measure_head(host, layer, head, band, sums)) return status;
      const HeadDistance::Summary summary = sums.summary();
      measured.means.push_back(static_cast<float>(summary.mean));
      measured.errors.push_back(summary.standard_error);
      measured.queries.insert(measured.queries.end(), sums.queries().begin(), sums.queries().end());
      const std::vector<float> shares = sums.histogram();
      measured.histogram.insert(measured.histogram.end(), shares.begin(), shares.end());
      ++measured.heads;
    }
  return SACCADE_OK;
}

// With a pitch the user's own unit, which has no name here.
const char* unit_of(const Layout& layout) {
  if (layout.pitch != 1.0) return "";
  return layout.width > 0 ? "patches" : "tokens";
}

int32_t hand_fields(const saccade_host* host, const Settings& settings, const Bins& bins, Measured measured) {
  const saccade_run& run = *host->run;
  const auto heads = static_cast<size_t>(run.n_layer) * static_cast<size_t>(run.n_head);
  measured.means.resize(heads, NAN);  // after a cancel: heads that were not reached
  measured.queries.resize(heads * static_cast<size_t>(run.n_token), NAN);
  measured.histogram.resize(heads * static_cast<size_t>(bins.size()), NAN);
  const std::vector<std::string> labels = bins.labels(settings.layout.pitch);
  std::vector<const char*> texts;
  for (const std::string& label : labels) texts.push_back(label.c_str());
  const saccade_axis layer{"layer", run.n_layer, nullptr}, head{"head", run.n_head, nullptr};
  const std::vector<saccade_axis> per_head{layer, head};
  const std::vector<saccade_axis> per_query{layer, head, {"query", run.n_token, run.token_texts}};
  const std::vector<saccade_axis> per_bin{layer, head, {"distance", bins.size(), texts.data()}};
  const char* unit = unit_of(settings.layout);
  const auto hand = [&](const char* name, const char* measured_in, const std::vector<saccade_axis>& axes,
                        const std::vector<float>& values) {
    saccade_field field{};
    field.size = sizeof field;
    field.rank = static_cast<int32_t>(axes.size());
    field.name = name;
    field.unit = measured_in;
    field.axes = axes.data();
    field.values = values.data();
    field.count = static_cast<int64_t>(values.size());
    return host->add_field(host, &field);
  };
  if (hand("mean_distance", unit, per_head, measured.means) ||
      hand("query_distance", unit, per_query, measured.queries) ||
      hand("histogram", nullptr, per_bin, measured.histogram))
    return SACCADE_FAILED;
  return SACCADE_OK;
}

int32_t hand_table(const saccade_host* host, const Measured& measured, double uniform) {
  std::vector<std::string> names;
  for (int64_t i = 0; i < measured.heads; ++i)
    names.push_back(
        sentence("%d.%d", static_cast<int>(i / host->run->n_head), static_cast<int>(i % host->run->n_head)));
  std::vector<saccade_cell> cells;
  for (size_t i = 0; i < names.size(); ++i) {
    const double mean = measured.means[i];
    cells.push_back({SACCADE_TEXT, 0, names[i].c_str(), 0, 0.0});
    for (const double number : {mean, measured.errors[i], uniform, mean / uniform})
      cells.push_back({SACCADE_NUMBER, 0, nullptr, 0, number});
  }
  saccade_table table{};
  table.size = sizeof table;
  table.columns = 5;
  table.name = "heads";
  table.rows = measured.heads;
  table.cells = cells.data();
  return host->add_table(host, &table);
}

int32_t say(const saccade_host* host, const Measured& measured, double uniform, const std::string& unit) {
  size_t near = 0, far = 0;
  int unmeasured = 0;
  for (size_t i = 0; i < measured.means.size(); ++i) {
    if (std::isnan(measured.means[i])) ++unmeasured;
    if (!(measured.means[near] <= measured.means[i])) near = i;
    if (!(measured.means[far] >= measured.means[i])) far = i;
  }
  const int heads = host->run->n_head;
  const auto name = [heads](size_t i) {
    return sentence("%d.%d", static_cast<int>(i) / heads, static_cast<int>(i) % heads);
  };
  std::vector<std::string> sentences;
  if (!measured.means.empty() && !std::isnan(measured.means[near]))
    sentences.push_back(
        sentence("Head %s looks farthest, %.3g +- %.2g%s on average over its queries (standard error), head "
                 "%s nearest, "
                 "%.3g +- %.2g; a head that looked at every key alike would have %.3g.",
                 name(far).c_str(), measured.means[far], measured.errors[far],
                 unit.empty() ? "" : (" " + unit).c_str(), name(near).c_str(), measured.means[near],
                 measured.errors[near], uniform));
  if (unmeasured > 0)
    sentences.push_back(
        sentence("%d heads have no distance: all their weight lies on tokens before the first.", unmeasured));
  for (const std::string& text : sentences)
    if (const int32_t status = host->add_finding(host, text.c_str())) return status;
  return SACCADE_OK;
}

int32_t compute_all(const saccade_host* host) {
  Settings settings;
  if (const int32_t status = read_settings(host, settings)) return status;
  const Bins bins = settings.doubling ? Bins::doubling(settings.bins)
                                      : Bins::equal(settings.bins, settings.layout.largest_steps());
  const Distances distances(settings.layout, bins);
  Measured measured;
  const int32_t status = measure(host, settings, distances, measured);
  if (status == SACCADE_FAILED || measured.heads == 0) return status;
  const double uniform = uniform_distance(settings, host->run->causal != 0, distances);
  if (hand_fields(host, settings, bins, measured) || hand_table(host, measured, uniform) ||
      say(host, measured, uniform, unit_of(settings.layout)))
    return SACCADE_FAILED;
  return status;
}

int32_t compute(const saccade_host* host) {
  try {
    return compute_all(host);
  } catch (const std::exception& error) {
    host->fail(host, error.what());
  }
  return SACCADE_FAILED;
}

}  // namespace

const saccade_plugin* saccade_plugin_entry(uint32_t host_api, const char* id) {
  static const saccade_plugin plugin{sizeof(saccade_plugin), SACCADE_PLUGIN_API, "attention-distance",
                                     &compute};
  return host_api == SACCADE_PLUGIN_API && std::string(id) == plugin.id ? &plugin : nullptr;
}
