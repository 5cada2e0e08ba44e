// VAR, visual attention redistribution (Kang et al., ICLR 2025, arXiv 2503.03321): which tokens are sinks by
// their hidden states, and the edit that gives what heads spend on them to the picture. Pure; thread: any.
//
//   phi(x) = max_{d in D} |x_d| / sqrt(mean(x^2) + 1e-6), x the residual that enters a layer, D the sink
//   dimensions; a token is a sink of a layer where phi >= tau.
//   Row i of a head, B = its weight on the picture, r = the part of B that is on visual tokens that are no
//   sinks: rows with B >= 0.2 and r >= rho change. Sinks keep 1 - p of their weight; what they lose goes to
//   the visual tokens that are no sinks, in proportion.
// The authors' code differs, and `code_compat` follows it: sinks keep p; a row is taken where the sinks'
// share of B is at most rho (r >= 1 - rho); the last layer counts. It also adds 1e-6 per visual token to B,
// which is left out here.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "analysis/method.h"
#include "core/run/edit.h"

namespace saccade::var {

[[nodiscard]] double phi(std::span<const float> x, std::span<const int64_t> dimensions);

struct Dimensions {
  std::vector<int64_t> indices;  // D, ascending
  std::string source;            // how they are known, for people
  bool verified = false;         // from the paper or its code; false: found from this run
};

struct Settings {
  std::vector<int64_t> dimensions;  // empty: known by the model's shape, or found
  double tau = 20.0, rho = 0.5, p = 0.6, least_mass = 0.2;
  bool code_compat = false;
  std::string layers = "auto";  // auto: from 2 to the last but one (code_compat: the last)

  [[nodiscard]] double kept() const { return code_compat ? p : 1.0 - p; }
  [[nodiscard]] double least_share() const { return code_compat ? 1.0 - rho : rho; }
};
[[nodiscard]] std::vector<ParameterInfo> parameters();
// Errors: dimensions that are no numbers or that the model does not have.
[[nodiscard]] Result<Settings> read_settings(const nlohmann::json& parameters, const ModelSpec& spec);

// "1,5-7" or "auto" as layers, ascending. Errors name the text and the model's layers.
[[nodiscard]] Result<std::vector<int32_t>> layers_named(const std::string& text, const ModelSpec& spec);
[[nodiscard]] Result<std::vector<int32_t>> layers_of(const Settings& settings, const ModelSpec& spec);

// D of the model: as set, else the published ones where the decoder has the shape of a published model, else
// where the first token of this run has massive activations (at least 100 and 1,000 times the median of the
// layer; Sun et al. 2024), else its two largest dimensions on average. Needs resid_pre.
[[nodiscard]] Result<Dimensions> dimensions_of(const Capture& capture, const Settings& settings);

struct LayerSinks {
  int32_t layer = 0;
  std::vector<float> phi;                                      // [token]
  std::vector<int64_t> text, visual;                           // sinks, ascending
  [[nodiscard]] bool empty() const { return visual.empty(); }  // then VAR leaves the layer alone
};
// Of every layer of the run, [layer].
[[nodiscard]] std::vector<LayerSinks> sinks_of(const Capture& capture, const Dimensions& dimensions,
                                               double tau);

// The edit of a layer, all heads, for rows of text behind the picture and generated ones; no value where
// there is no visual sink or nothing that could receive.
[[nodiscard]] std::optional<Edit> edit_of(const LayerSinks& sinks, const std::vector<ImageRegion>& images,
                                          const Settings& settings);
// Of all layers of settings, in order.
[[nodiscard]] Result<std::vector<Edit>> edits_of(const Capture& capture, const Settings& settings);

}  // namespace saccade::var
