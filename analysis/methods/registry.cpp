#include "analysis/methods/registry.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>

namespace saccade {
namespace {

// A new method is one line here.
constexpr std::array makers{
    // clang-format off
    &make_ablation_sweep,
    &make_activation_patching,
    &make_agreement,
    &make_attribution_patching,
    &make_fit_offsets,
    &make_head_hunter,
    &make_head_table,
    &make_logit_attribution,
    &make_moa_influence,
    &make_sinks,
    // clang-format on
};

}  // namespace

std::span<const std::unique_ptr<AnalysisMethod>> methods() {
  static const std::vector<std::unique_ptr<AnalysisMethod>> all = [] {
    std::vector<std::unique_ptr<AnalysisMethod>> made;
    made.reserve(makers.size());
    for (const auto make : makers) made.push_back(make());
    std::sort(made.begin(), made.end(),
              [](const auto& a, const auto& b) { return a->info().id < b->info().id; });
    return made;
  }();
  return all;
}

Result<const AnalysisMethod*> find_method(std::string_view id) {
  std::string known;
  for (const auto& method : methods()) {
    if (method->info().id == id) return method.get();
    known += (known.empty() ? "" : ", ") + method->info().id;
  }
  return make_error(ErrorCode::not_found,
                    fmt::format("there is no method '{}'; the methods are {}", id, known));
}

}  // namespace saccade
