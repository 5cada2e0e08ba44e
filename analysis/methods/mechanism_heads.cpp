#include "analysis/methods/mechanism_heads.h"

#include <fmt/format.h>

#include <algorithm>

#include "analysis/methods/head_scores/map_pass.h"
#include "core/capture/attention_map.h"

namespace saccade::mechanisms {
namespace {

// [position, d] of one head out of [position, head, d].
Matrix head_rows(const HostTensor& all, int64_t head) {
  const auto& shape = all.shape();
  Matrix rows(shape[0], shape[2]);
  for (int64_t t = 0; t < shape[0]; ++t)
    for (int64_t x = 0; x < shape[2]; ++x) rows.at(t, x) = all.data()[(t * shape[1] + head) * shape[2] + x];
  return rows;
}

std::optional<PlacedGrid> picture_of(const Capture& capture) {
  if (capture.images.empty()) return std::nullopt;
  const ImageRegion& region = capture.images[0];
  return PlacedGrid{region.first_patch(), {region.grid_height, region.grid_width}};
}

// Edits of all heads of a mechanism that positions decide: "*.*" where heads do not differ.
Result<std::vector<std::string>> static_edits(const MechanismInfo& mechanism, const Constants& c,
                                              const Capture& capture) {
  std::vector<std::vector<std::string>> of_head;
  const ModelSpec& spec = capture.spec;
  for (int32_t h = 0; h < spec.n_head; ++h) {
    // Windows differ from layer to layer, what a mechanism hides does not: layer 0 stands for all.
    HeadView view = positions_only(capture, {LayerIndex{0}, HeadIndex{h}});
    view.visible = spec.causal ? KeyMask::causal(view.n()) : KeyMask::everything(view.n(), view.n());
    for (int64_t i = 0; spec.causal && i < spec.prefix; ++i) view.visible.show(i, {0, spec.prefix});
    SACCADE_TRY(const Imposed imposed, impose(mechanism, view, c));
    of_head.push_back(edits_of(mechanism, c, view, imposed, "*.@"));
  }
  const bool same =
      std::all_of(of_head.begin(), of_head.end(), [&](const auto& one) { return one == of_head[0]; });
  std::vector<std::string> edits;
  for (int32_t h = 0; h < (same ? 1 : spec.n_head); ++h)
    for (std::string text : of_head[static_cast<size_t>(h)]) {
      text.replace(text.find('@'), 1, same ? "*" : std::to_string(h));
      edits.push_back(std::move(text));
    }
  return edits;
}

bool has_static_edits(const MechanismInfo& mechanism) {
  return (!mechanism.by_content || mechanism.name == "sharpen") && !mechanism.widens;
}

}  // namespace

Result<void> check_run(const Capture* capture) {
  if (capture == nullptr || capture->layers.empty() || !capture->layers[0]->keeps_attention())
    return make_error(ErrorCode::invalid_argument,
                      "mechanism needs a run with captured attention; run again with attention captured");
  if (capture->n_token() > most_tokens)
    return make_error(ErrorCode::invalid_argument,
                      fmt::format("mechanism holds whole maps: at most {} tokens, this run has {}",
                                  most_tokens, capture->n_token()));
  return {};
}

HeadView positions_only(const Capture& capture, HeadId head) {
  HeadView view;
  view.layer = head.layer.value;
  view.head = head.head.value;
  view.heads = capture.spec.n_head;
  view.causal = capture.spec.looks_back();
  view.scale = capture.spec.attention_scale_of(head.layer.value);
  view.picture = picture_of(capture);
  const int64_t n = capture.n_token();
  view.visible = KeyMask(n, n);
  for (int64_t i = 0; i < n; ++i) {
    const auto span = head_scores::visible_span(capture.spec, head.layer.value, i, n);
    view.visible.show(i, {span.begin, span.end});
  }
  return view;
}

Result<HeadView> view_of(const std::shared_ptr<const Capture>& capture, HeadId head,
                         const KernelSet& kernels) {
  HeadView view = positions_only(*capture, head);
  const LayerCapture& layer = *capture->layers[static_cast<size_t>(head.layer.value)];
  const int64_t n = capture->n_token(), kv = capture->spec.kv_head_of(head.head.value);
  view.q = head_rows(layer.q_values(), head.head.value);
  view.k = head_rows(layer.k_values(), kv);
  if (const auto v = capture->sites.find({HookSite::v, head.layer.value}); v != capture->sites.end())
    view.v = head_rows(v->second, kv);
  SACCADE_TRY(const AttentionMap map, AttentionMap::of(capture, head, kernels));
  std::vector<float> rows(static_cast<size_t>(n * n));
  SACCADE_CHECK(map.rows(0, n, n, rows));
  view.weights = Matrix(n, n);
  std::copy(rows.begin(), rows.end(), view.weights.values.begin());
  // What edits of this run hide stays hidden.
  if (!layer.knockouts.empty() || !layer.plans.empty())
    for (int64_t i = 0; i < n; ++i)
      for (int64_t j = 0; j < n; ++j)
        if (view.weights.at(i, j) == 0.0) view.visible.hide(i, j);
  return view;
}

std::vector<std::string> edits_of(const MechanismInfo& mechanism, const Constants& c, const HeadView& view,
                                  const Imposed& imposed, const std::string& heads) {
  if (mechanism.name == "sharpen") return {fmt::format("sharpen {} by={}", heads, c.power)};
  if (mechanism.widens || !imposed.mask) return {};
  if (mechanism.name == "stream")
    return {fmt::format("stream {} sink={} recent={}", heads, c.sink, c.window)};
  return knockouts(*imposed.mask, view.visible, heads);
}

Result<std::vector<std::string>> edits_for_all(const MechanismInfo& mechanism, const Constants& c,
                                               const Capture& capture) {
  if (!has_static_edits(mechanism)) return std::vector<std::string>();
  if (mechanism.name == "sharpen") return std::vector<std::string>{fmt::format("sharpen *.* by={}", c.power)};
  return static_edits(mechanism, c, capture);
}

}  // namespace saccade::mechanisms
