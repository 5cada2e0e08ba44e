#include "analysis/methods/var.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <numeric>

namespace saccade::var {
namespace {

constexpr float massive_at_least = 100.0F, massive_times_median = 1000.0F;
constexpr size_t fallback_dimensions = 2;

// Decoders whose sink dimensions are published, by their shape.
struct Known {
  const char* name;
  int32_t n_layer, d_model, n_head, n_kv_head, d_mlp;
  std::array<int64_t, 2> dimensions;
};
constexpr std::array known_models{Known{"LLaMA-2-7B", 32, 4096, 32, 32, 11008, {1415, 2533}},
                                  Known{"LLaMA-2-13B", 40, 5120, 40, 40, 13824, {2100, 4743}},
                                  Known{"Qwen2-VL-7B", 28, 3584, 28, 4, 18944, {458, 2570}}};

const Known* known_by(const ModelSpec& spec) {
  const auto found = std::find_if(known_models.begin(), known_models.end(), [&](const Known& known) {
    return known.n_layer == spec.n_layer && known.d_model == spec.d_model && known.n_head == spec.n_head &&
           known.n_kv_head == spec.n_kv_head && known.d_mlp == spec.d_mlp;
  });
  return found == known_models.end() ? nullptr : &*found;
}

float median_size(const HostTensor& x) {
  std::vector<float> sizes(static_cast<size_t>(x.size()));
  std::transform(x.values().begin(), x.values().end(), sizes.begin(), [](float v) { return std::abs(v); });
  const auto middle = sizes.begin() + static_cast<ptrdiff_t>(sizes.size() / 2);
  std::nth_element(sizes.begin(), middle, sizes.end());
  return *middle;
}

double root_mean_square(std::span<const float> x) {
  double squares = 0.0;
  for (const float value : x) squares += static_cast<double>(value) * value;
  return std::sqrt(squares / static_cast<double>(x.size()) + 1e-6);
}

// The first token's massive activations in layers >= first, and the mean of its |x_d| / rms.
Dimensions found_in(const Capture& capture, size_t first) {
  const auto width = static_cast<size_t>(capture.spec.d_model);
  std::vector<bool> massive(width, false);
  std::vector<double> size(width, 0.0);
  for (size_t l = first; l < capture.layers.size(); ++l) {
    const HostTensor& resid = capture.layers[l]->resid_pre;
    const std::span<const float> x = resid.slice(0);
    const double rms = root_mean_square(x);
    const float least = std::max(massive_at_least, massive_times_median * median_size(resid));
    for (size_t d = 0; d < width; ++d) {
      if (std::abs(x[d]) >= least) massive[d] = true;
      size[d] += std::abs(x[d]) / rms;
    }
  }
  Dimensions dimensions;
  for (size_t d = 0; d < width; ++d)
    if (massive[d]) dimensions.indices.push_back(static_cast<int64_t>(d));
  dimensions.source = "massive activations of the first token in this run (not verified)";
  if (!dimensions.indices.empty()) return dimensions;
  std::vector<int64_t> order(width);
  std::iota(order.begin(), order.end(), int64_t{0});
  std::stable_sort(order.begin(), order.end(), [&](int64_t a, int64_t b) {
    return size[static_cast<size_t>(a)] > size[static_cast<size_t>(b)];
  });
  order.resize(std::min(fallback_dimensions, width));
  std::sort(order.begin(), order.end());
  return {std::move(order),
          "the largest of the first token in this run, which has no massive activations (not verified)",
          false};
}

bool to_number(std::string_view text, int64_t& value) {
  const auto [end, code] = std::from_chars(text.data(), text.data() + text.size(), value);
  return code == std::errc() && end == text.data() + text.size() && value >= 0;
}

// Numbers and ranges A-B between commas; false where the text is something else.
bool to_numbers(std::string_view text, std::vector<int64_t>& numbers) {
  constexpr int64_t longest = 1 << 20;
  while (true) {
    const size_t comma = std::min(text.find(','), text.size());
    const std::string_view item = text.substr(0, comma);
    const size_t dash = item.find('-');
    int64_t first = 0, last = 0;
    if (!to_number(item.substr(0, dash), first)) return false;
    last = first;
    if (dash != std::string_view::npos && !to_number(item.substr(dash + 1), last)) return false;
    if (last < first || last - first > longest) return false;
    for (int64_t n = first; n <= last; ++n) numbers.push_back(n);
    if (comma == text.size()) return true;
    text.remove_prefix(comma + 1);
  }
}

std::vector<int64_t> sorted(std::vector<int64_t> numbers) {
  std::sort(numbers.begin(), numbers.end());
  numbers.erase(std::unique(numbers.begin(), numbers.end()), numbers.end());
  return numbers;
}

PositionSet positions(const std::vector<int64_t>& all) {
  std::vector<PositionRange> ranges;
  for (const int64_t at : all) ranges.push_back({at, at + 1});
  return PositionSet(std::move(ranges));
}

}  // namespace

double phi(std::span<const float> x, std::span<const int64_t> dimensions) {
  double largest = 0.0;
  for (const int64_t d : dimensions)
    largest = std::max(largest, std::abs(static_cast<double>(x[static_cast<size_t>(d)])));
  return largest / root_mean_square(x);
}

std::vector<ParameterInfo> parameters() {
  return {
      {"tau", "Sink threshold", "A token is a sink of a layer where phi is at least this.", 20.0, 0.0, 1e4},
      {"rho", "Rho",
       "Rows change where so much of their visual weight is on no sink (code: at most so "
       "much on sinks).",
       0.5, 0.0, 1.0},
      {"p", "p", "What sinks lose of their weight (code: what they keep).", 0.6, 0.0, 1.0},
      {"least_mass", "Least visual weight", "Rows with less on the picture stay.", 0.2, 0.0, 1.0},
      choice("mode", "Mode", "paper, or code-compat: as the authors' code computes.",
             {"paper", "code-compat"}),
      {"dimensions", "Sink dimensions", "Like 1415,2533; auto: published ones, or found in this run.",
       "auto"},
      {"layers", "Layers",
       "Like 2-30; auto: all but the first two and the last (code-compat: with the "
       "last).",
       "auto"}};
}

Result<Settings> read_settings(const nlohmann::json& parameters, const ModelSpec& spec) {
  Settings settings;
  settings.tau = parameters["tau"].get<double>();
  settings.rho = parameters["rho"].get<double>();
  settings.p = parameters["p"].get<double>();
  settings.least_mass = parameters["least_mass"].get<double>();
  settings.code_compat = parameters["mode"].get<std::string>() == "code-compat";
  settings.layers = parameters["layers"].get<std::string>();
  const auto dimensions = parameters["dimensions"].get<std::string>();
  if (dimensions == "auto") return settings;
  if (!to_numbers(dimensions, settings.dimensions) ||
      std::any_of(settings.dimensions.begin(), settings.dimensions.end(),
                  [&](int64_t d) { return d >= spec.d_model; }))
    return make_error(
        ErrorCode::invalid_argument,
        fmt::format("dimensions: expected auto or numbers such as 1415,2533 from 0 to {}, found "
                    "'{}'",
                    spec.d_model - 1, dimensions));
  settings.dimensions = sorted(std::move(settings.dimensions));
  return settings;
}

Result<std::vector<int32_t>> layers_named(const std::string& text, const ModelSpec& spec) {
  std::vector<int64_t> numbers;
  if (!to_numbers(text, numbers) || *std::max_element(numbers.begin(), numbers.end()) >= spec.n_layer)
    return make_error(ErrorCode::invalid_argument,
                      fmt::format("layers: expected auto or layers such as 1,5-7 from 0 to {}, found '{}'",
                                  spec.n_layer - 1, text));
  const std::vector<int64_t> unique = sorted(std::move(numbers));
  return std::vector<int32_t>(unique.begin(), unique.end());
}

Result<std::vector<int32_t>> layers_of(const Settings& settings, const ModelSpec& spec) {
  if (settings.layers != "auto") return layers_named(settings.layers, spec);
  std::vector<int32_t> layers;
  for (int32_t l = 2; l < spec.n_layer - (settings.code_compat ? 0 : 1); ++l) layers.push_back(l);
  return layers;
}

Result<Dimensions> dimensions_of(const Capture& capture, const Settings& settings) {
  for (const auto& layer : capture.layers)
    if (layer->resid_pre.empty())
      return make_error(ErrorCode::invalid_argument,
                        "sinks are found from the residuals that enter every layer, and the run did not keep "
                        "them; run again with residuals captured");
  if (capture.layers.empty() || capture.n_token() == 0)
    return make_error(ErrorCode::invalid_argument, "sinks are found in a run with captured layers");
  if (!settings.dimensions.empty()) return Dimensions{settings.dimensions, "as given", true};
  if (const Known* known = known_by(capture.spec))
    return Dimensions{{known->dimensions.begin(), known->dimensions.end()},
                      fmt::format("published for {}, whose shape this decoder has", known->name),
                      true};
  return found_in(capture, std::min<size_t>(2, capture.layers.size() - 1));
}

std::vector<LayerSinks> sinks_of(const Capture& capture, const Dimensions& dimensions, double tau) {
  const std::vector<TokenRegion> regions =
      regions_of(capture.n_token(), capture.images, capture.generated_from);
  std::vector<LayerSinks> all;
  for (size_t l = 0; l < capture.layers.size(); ++l) {
    LayerSinks layer;
    layer.layer = static_cast<int32_t>(l);
    for (int64_t t = 0; t < capture.n_token(); ++t) {
      const double strength = phi(capture.layers[l]->resid_pre.slice(t), dimensions.indices);
      layer.phi.push_back(static_cast<float>(strength));
      if (strength < tau) continue;
      (regions[static_cast<size_t>(t)] == TokenRegion::img ? layer.visual : layer.text).push_back(t);
    }
    all.push_back(std::move(layer));
  }
  return all;
}

std::optional<Edit> edit_of(const LayerSinks& sinks, const std::vector<ImageRegion>& images,
                            const Settings& settings) {
  if (sinks.empty()) return std::nullopt;
  std::vector<int64_t> receivers, givers = sinks.text;
  givers.insert(givers.end(), sinks.visual.begin(), sinks.visual.end());
  for (const ImageRegion& image : images)
    for (int64_t t = image.first_patch(); t < image.end(); ++t)
      if (!std::binary_search(sinks.visual.begin(), sinks.visual.end(), t)) receivers.push_back(t);
  if (receivers.empty()) return std::nullopt;
  Edit edit;
  edit.verb = EditVerb::redistribute;
  edit.target = HeadTarget{{{{sinks.layer, sinks.layer}}}, {}};
  edit.by = settings.kept();
  edit.query = PositionSet({}, {{TokenRegion::txt}, {TokenRegion::gen}});
  edit.key = positions(givers);
  edit.to = positions(receivers);
  edit.within = PositionSet({}, {{TokenRegion::img}});
  edit.least_mass = settings.least_mass;
  edit.least_share = settings.least_share();
  return edit;
}

Result<std::vector<Edit>> edits_of(const Capture& capture, const Settings& settings) {
  SACCADE_TRY(const Dimensions dimensions, dimensions_of(capture, settings));
  SACCADE_TRY(const std::vector<int32_t> layers, layers_of(settings, capture.spec));
  const std::vector<LayerSinks> sinks = sinks_of(capture, dimensions, settings.tau);
  std::vector<Edit> edits;
  for (const int32_t layer : layers)
    if (auto edit = edit_of(sinks[static_cast<size_t>(layer)], capture.images, settings))
      edits.push_back(std::move(*edit));
  return edits;
}

}  // namespace saccade::var
