#include "analysis/methods/vhd.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <numeric>

#include "analysis/methods/picture_input.h"
#include "analysis/methods/var.h"
#include "core/model/image_input.h"

namespace saccade::vhd {
namespace {

// The paper's 14 last of LLaVA-1.5's 32 layers, as a share of any model's.
constexpr double last_share = 14.0 / 32.0;

struct Moments {
  double mean = 0.0, sd = 0.0;
};

Moments moments(std::span<const double> values, bool sample) {
  const auto n = static_cast<double>(values.size());
  Moments m;
  m.mean = std::accumulate(values.begin(), values.end(), 0.0) / n;
  double squares = 0.0;
  for (const double value : values) squares += (value - m.mean) * (value - m.mean);
  const double divisor = sample ? n - 1.0 : n;
  m.sd = divisor > 0.0 ? std::sqrt(squares / divisor) : 0.0;
  return m;
}

}  // namespace

std::vector<ParameterInfo> parameters() {
  return {
      {"alpha", "Alpha", "What reinforced heads are multiplied by; from 4 on answers fall apart.", 2.0, 0.0,
       10.0},
      {"reinforce", "Layers",
       "To reinforce, like 1,18-31; auto: the second and the last 14 of 32 (as a "
       "share).",
       "auto"},
      choice("distance", "Distance", "plain: |A - A^T|; squared: its square.", {"plain", "squared"}),
      choice("deviation", "Deviation", "n-1: of a sample; n: of all.", {"n-1", "n"}),
      {"drop_outliers", "Drop outliers", "Heads that differ much and write much without the picture.", true}};
}

Options read_options(const nlohmann::json& parameters) {
  Options options;
  options.alpha = parameters["alpha"].get<double>();
  options.layers = parameters["reinforce"].get<std::string>();
  options.squared = parameters["distance"].get<std::string>() == "squared";
  options.sample_sd = parameters["deviation"].get<std::string>() == "n-1";
  options.drop_outliers = parameters["drop_outliers"].get<bool>();
  return options;
}

Result<std::vector<int32_t>> layers_of(const Options& options, const ModelSpec& spec) {
  if (options.layers != "auto") {
    auto named = var::layers_named(options.layers, spec);
    if (!named.ok()) return std::move(named).error().with("reinforce");
    return named;
  }
  const auto count = static_cast<int32_t>(std::lround(last_share * spec.n_layer));
  std::vector<int32_t> layers;
  for (int32_t l = 0; l < spec.n_layer; ++l)
    if (l == 1 || l >= spec.n_layer - count) layers.push_back(l);
  return layers;
}

Divergence divergence(std::span<const float> with, std::span<const float> without, int64_t heads,
                      const Options& options) {
  const auto d = static_cast<int64_t>(with.size()) / heads;
  Divergence result;
  for (int64_t h = 0; h < heads; ++h) {
    double apart = 0.0, size = 0.0, text = 0.0;
    for (int64_t c = h * d; c < (h + 1) * d; ++c) {
      const double a = with[static_cast<size_t>(c)], t = without[static_cast<size_t>(c)];
      apart += (a - t) * (a - t);
      size += a * a;
      text += t * t;
    }
    result.raw.push_back(options.squared ? apart : std::sqrt(apart));
    result.size.push_back(std::sqrt(size));
    result.text.push_back(text);
  }
  result.vhd = result.raw;
  result.outlier.assign(static_cast<size_t>(heads), false);
  if (!options.drop_outliers) return result;
  const Moments apart = moments(result.raw, options.sample_sd),
                text = moments(result.text, options.sample_sd);
  for (size_t h = 0; h < result.vhd.size(); ++h) {
    if (result.raw[h] <= apart.mean + apart.sd || result.text[h] <= text.mean + text.sd) continue;
    result.outlier[h] = true;
    result.vhd[h] = 0.0;
  }
  return result;
}

std::vector<int32_t> above_median(std::span<const double> vhd) {
  std::vector<double> sorted(vhd.begin(), vhd.end());
  std::sort(sorted.begin(), sorted.end());
  const double median = sorted[(sorted.size() - 1) / 2];
  std::vector<int32_t> heads;
  for (size_t h = 0; h < vhd.size(); ++h)
    if (vhd[h] > median) heads.push_back(static_cast<int32_t>(h));
  return heads;
}

double token_vhd(const std::vector<std::vector<double>>& vhd, int64_t k) {
  double sum = 0.0;
  for (std::vector<double> layer : vhd) {
    const auto count = std::min<int64_t>(k, std::ssize(layer));
    std::partial_sort(layer.begin(), layer.begin() + count, layer.end(), std::greater<>());
    sum += std::accumulate(layer.begin(), layer.begin() + count, 0.0);
  }
  return sum;
}

Edit reinforcement(int32_t layer, const std::vector<int32_t>& heads, double alpha) {
  Edit edit;
  edit.verb = EditVerb::scale;
  HeadTarget target{{{{layer, layer}}}, {}};
  for (const int32_t head : heads) target.heads.ranges.emplace_back(head, head);
  edit.target = std::move(target);
  edit.by = alpha;
  return edit;
}

Result<RunRequest> without_picture(const RunRequest& request, int64_t* left_out) {
  RunRequest text = request;
  SACCADE_TRY(text.tokens, without_images(request.tokens));
  const auto fixed = [](const Edit& edit) {
    return edit.query || edit.key || edit.to || edit.within ||
           (!edit.from.empty() && (edit.verb == EditVerb::replace || edit.verb == EditVerb::pattern));
  };
  const auto removed = std::erase_if(text.edits, fixed);
  if (left_out != nullptr) *left_out = static_cast<int64_t>(removed);
  return text;
}

RunRequest keeping_z(RunRequest request, const std::vector<int32_t>& layers) {
  request.capture = CapturePlan{};
  request.capture.attention = request.capture.statistics = request.capture.loss = false;
  for (const int32_t layer : layers) request.capture.sites.push_back({HookSite::z, layer});
  return request;
}

std::span<const float> z_row(const Capture& capture, int32_t layer, int64_t row) {
  const HostTensor& z = capture.sites.at({HookSite::z, layer});
  return z.slice(row < 0 ? z.shape()[0] + row : row);
}

Result<std::vector<Edit>> select_heads(Runner& runner, const RunRequest& request, const Options& options,
                                       const JobContext& job) {
  const ModelSpec& spec = runner.model().spec();
  SACCADE_CHECK(require_picture(request.tokens.places(), spec, "vhd"));
  SACCADE_TRY(const std::vector<int32_t> layers, layers_of(options, spec));
  SACCADE_TRY(const RunRequest text, without_picture(request));
  SACCADE_TRY(const auto without, runner.run(keeping_z(text, layers), nullptr, job));
  std::vector<Edit> edits;
  std::shared_ptr<const Run> base;
  for (const int32_t layer : layers) {
    SACCADE_TRY(base, runner.run(keeping_z(with_edits(request, edits), {layer}), base, job));
    const Divergence found = divergence(z_row(*base->capture, layer, -1), z_row(*without->capture, layer, -1),
                                        spec.n_head, options);
    if (const std::vector<int32_t> heads = above_median(found.vhd); !heads.empty())
      edits.push_back(reinforcement(layer, heads, options.alpha));
  }
  return edits;
}

}  // namespace saccade::vhd
