#include "plugins/host/capture_views.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <string_view>

#include "plugins/host/plugin_text.h"

namespace saccade::plugins {
namespace {

struct LayerView {
  std::string_view name;
  HostTensor (*of)(const LayerCapture& layer);
};

// [head, query] positions as float32, which holds every whole number up to 2^24.
HostTensor max_key_of(const LayerCapture& layer) {
  const HeadStatistics& s = layer.statistics;
  if (s.max_key.empty() || s.max_weight.empty()) return {};
  HostTensor keys(s.max_weight.shape(), false);
  std::transform(s.max_key.begin(), s.max_key.end(), keys.mutable_values().begin(),
                 [](int32_t key) { return static_cast<float>(key); });
  return keys;
}

constexpr std::array<LayerView, 12> layer_views{{
    {"q", [](const LayerCapture& l) { return l.q_values(); }},
    {"k", [](const LayerCapture& l) { return l.k_values(); }},
    {"lse", [](const LayerCapture& l) { return l.lse; }},
    {"resid_pre", [](const LayerCapture& l) { return l.resid_pre; }},
    {"entropy", [](const LayerCapture& l) { return l.statistics.entropy; }},
    {"max_weight", [](const LayerCapture& l) { return l.statistics.max_weight; }},
    {"max_key", max_key_of},
    {"sink_mass", [](const LayerCapture& l) { return l.statistics.sink_mass; }},
    {"local_mass", [](const LayerCapture& l) { return l.statistics.local_mass; }},
    {"mean_distance", [](const LayerCapture& l) { return l.statistics.mean_distance; }},
    {"received", [](const LayerCapture& l) { return l.statistics.received; }},
    {"received_max", [](const LayerCapture& l) { return l.statistics.received_max; }},
}};

HostTensor losses_of(const Capture& capture) {
  HostTensor losses({static_cast<int64_t>(capture.loss.size())}, false);
  std::copy(capture.loss.begin(), capture.loss.end(), losses.mutable_values().begin());
  return losses;
}

Result<HostTensor> find(const Capture& capture, const std::string& name, int32_t layer) {
  for (const LayerView& view : layer_views) {
    if (view.name != name) continue;
    const auto layers = static_cast<int32_t>(capture.layers.size());
    if (layer < 0 || layer >= layers)
      return make_error(ErrorCode::invalid_argument,
                        fmt::format("{} of layer {}: the run has layers 0 to {}", name, layer, layers - 1));
    const auto& kept = capture.layers[static_cast<size_t>(layer)];
    return kept ? view.of(*kept) : HostTensor();
  }
  if (name == "final_resid") return capture.final_resid;
  if (name == "last_logits") return capture.last_logits;
  if (name == "loss") return losses_of(capture);
  SACCADE_TRY(const SiteRef site, parse_site(name));
  const auto found = capture.sites.find(site);
  return found == capture.sites.end() ? HostTensor() : found->second;
}

}  // namespace

Result<HostTensor> numbers_of(const Capture& capture, const std::string& name, int32_t layer) {
  SACCADE_TRY(HostTensor numbers, find(capture, name, layer));
  if (numbers.empty())
    return make_error(ErrorCode::not_found, fmt::format("the run kept no {}", shown(name)));
  return numbers;
}

}  // namespace saccade::plugins
