#include "analysis/methods/registry.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>

namespace saccade {
namespace {

using Maker = std::unique_ptr<AnalysisMethod> (*)();

// A new method is one line here.
constexpr std::array<Maker, 5> makers{
    make_ablation_sweep, make_activation_patching, make_head_table, make_logit_attribution, make_sinks,
};

}  // namespace

std::span<const std::unique_ptr<AnalysisMethod>> methods() {
  static const std::vector<std::unique_ptr<AnalysisMethod>> all = [] {
    std::vector<std::unique_ptr<AnalysisMethod>> made;
    made.reserve(makers.size());
    for (Maker make : makers) made.push_back(make());
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
