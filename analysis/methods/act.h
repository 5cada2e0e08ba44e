// ACT, attention calibration: which keys of a head are sinks, and the edit that takes weight from them.
//
// For a head, c_j = sum_i p_ij / (rows that can see j). S = {j : c_j > threshold}; position 0 is no member
// but a receiver. Per row: m = sum_S p; p := beta p in S, p := p (1 + (1 - beta) m / sum_{not S} p)
// elsewhere, which is the edit `redistribute`. The edit names positions, so it is frozen at what the prompt
// had and decoded rows follow it. Source: Yu et al. 2024 (arXiv 2406.15765) and its code: threshold 0.1, beta
// 0.4; alpha / N with alpha 5 in the paper.
#pragma once

#include <nlohmann/json.hpp>
#include <span>
#include <string>
#include <vector>

#include "analysis/method.h"
#include "core/base/ids.h"
#include "core/model/model_spec.h"

namespace saccade::act {

struct Settings {
  bool relative = false;  // threshold = alpha / tokens
  double threshold = 0.1, alpha = 5.0;
  int64_t first_keys = 1, least_rows = 1;
  double beta = 0.4;

  // Error: no more tokens than alpha.
  [[nodiscard]] Result<Settings> for_tokens(int64_t n) const;  // `threshold` as it is for n tokens
};

// rule, threshold, alpha, least_rows, beta.
[[nodiscard]] std::vector<ParameterInfo> parameters();
[[nodiscard]] Settings read_settings(const nlohmann::json& parameters);

// c_j of one head from what its columns received. Under a causal mask n - j rows see key j, fewer with a
// window.
[[nodiscard]] std::vector<double> column_means(const ModelSpec& spec, int32_t layer,
                                               std::span<const float> received);

struct HeadSinks {
  std::vector<int64_t> keys;
  double mass = 0.0, late_mass = 0.0;  // share of all rows' weight on them; on those after the start
  int64_t late = 0;
};
[[nodiscard]] HeadSinks sinks_of(const std::vector<double>& means, std::span<const float> received,
                                 const Settings& settings);

// "redistribute 5.1 key=3,7 to=rest by=0.4"; "" when no sink is left without position 0.
[[nodiscard]] std::string edit_text(HeadId head, std::span<const int64_t> sinks, double beta);

}  // namespace saccade::act
