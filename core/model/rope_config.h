// What many families' config.json say in the same words: rotary positions, windows per layer, ALiBi. Private
// to core/model. Errors name the key, what was expected and what was found.
#pragma once

#include <functional>

#include "core/model/config_reader.h"

namespace saccade {

struct RotaryDefaults {
  double base = 10000.0;
  double part = 1.0;  // of each head that is rotated
};

// Both spellings are on disk: rope_theta + rope_scaling{type | rope_type}, and rope_parameters{rope_theta,
// rope_type}; as in Transformers, a rope_theta inside wins over one outside. Also partial_rotary_factor or
// rotary_pct, and for every kind of scaling its own keys. `kind_of_layer` names the part of rope_parameters
// that holds for one kind of layer ("full_attention"); "" = there are no parts.
// d_head and n_context must be filled in. Linear, dynamic, yarn (arXiv 2309.00071), llama3, longrope (arXiv
// 2402.13753).
Result<RotarySpec> read_rotary(const ConfigReader& config, const ModelSpec& spec,
                               const RotaryDefaults& defaults = {}, const std::string& kind_of_layer = "");

// "sliding_attention" or "full_attention" for every layer, from layer_types; where that is not given, from
// `is_sliding`.
Result<std::vector<bool>> read_sliding_layers(const ConfigReader& config, int32_t n_layer,
                                              const std::function<bool(int32_t layer)>& is_sliding);
// The window of every layer: `sliding_window` keys where sliding, all elsewhere. Empty when the key is
// absent.
Result<std::vector<int32_t>> read_windows(const ConfigReader& config, const std::vector<bool>& sliding);

// 2^(-8 i / n) for n heads, a power of two; further heads take every other slope of twice as many (Press et
// al. 2022, arXiv 2108.12409).
[[nodiscard]] std::vector<float> alibi_slopes(int32_t n_head);

}  // namespace saccade
