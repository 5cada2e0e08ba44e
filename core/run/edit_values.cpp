#include "core/run/edit_values.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <numeric>

namespace saccade {
namespace {

Error bad(const Edit& edit, const std::string& what) {
  return make_error(ErrorCode::invalid_argument, fmt::format("edit '{}': {}", to_text(edit), what));
}

std::string names_in(const VectorFile& file) {
  constexpr size_t most = 8;
  std::string names;
  for (const auto& [name, values] : file.vectors) {
    if (std::count(names.begin(), names.end(), ',') + 1 >= static_cast<ptrdiff_t>(most))
      return names + ", ...";
    names += (names.empty() ? "" : ", ") + name;
  }
  return names;
}

}  // namespace

Result<HeadOffset> head_offset(const VectorFile& file, const Edit& edit, HeadId head, int64_t d_head) {
  HeadOffset offset;
  const std::string group = fmt::format("head_offsets/{}/{}/", head.layer.value, head.head.value);
  for (const auto& [name, vector] : {std::pair("a", &offset.a), std::pair("v", &offset.v)}) {
    *vector = file.find(group + name);
    if (*vector && static_cast<int64_t>((*vector)->size()) != d_head)
      return bad(edit, fmt::format("{}{} of '{}' has {} numbers, heads of this model have {}", group, name,
                                   edit.from, (*vector)->size(), d_head));
  }
  return offset;
}

Result<const std::vector<float>*> steering_vector(const VectorFile& file, const Edit& edit, int64_t width) {
  const std::string site = full_name(std::get<SiteRef>(edit.target));
  std::string name = edit.dataset;
  if (name.empty()) name = file.find(site) || file.vectors.size() != 1 ? site : file.vectors.begin()->first;
  const std::vector<float>* vector = file.find(name);
  if (!vector)
    return bad(edit, fmt::format("'{}' has no vector '{}'; dataset= takes one of {}", edit.from, name,
                                 names_in(file)));
  if (static_cast<int64_t>(vector->size()) != width)
    return bad(edit, fmt::format("'{}' of '{}' has {} numbers, {} has {}", name, edit.from, vector->size(),
                                 site, width));
  return vector;
}

std::vector<float> gates_of(std::span<const float> norms, int64_t keep, bool soft) {
  const auto n = static_cast<int64_t>(norms.size());
  std::vector<float> gates(norms.size(), 1.0f);
  if (keep >= n && !soft) return gates;
  const double mean = std::accumulate(norms.begin(), norms.end(), 0.0) / static_cast<double>(n);
  double squares = 0.0;
  for (const float norm : norms) squares += (norm - mean) * (norm - mean);
  const double deviation = n > 1 ? std::sqrt(squares / static_cast<double>(n - 1)) : 0.0;
  const double highest = *std::max_element(norms.begin(), norms.end());
  std::vector<double> share;
  for (const float norm : norms)
    share.push_back(deviation > 0.0 ? std::exp((norm - highest) / deviation) : 1.0);
  std::vector<int64_t> order(norms.size());
  std::iota(order.begin(), order.end(), int64_t{0});
  std::stable_sort(order.begin(), order.end(), [&](int64_t a, int64_t b) {
    return norms[static_cast<size_t>(a)] > norms[static_cast<size_t>(b)];
  });
  double kept = 0.0;
  for (int64_t i = 0; i < std::min(keep, n); ++i)
    kept += share[static_cast<size_t>(order[static_cast<size_t>(i)])];
  for (int64_t i = 0; i < n; ++i) {
    const auto head = static_cast<size_t>(order[static_cast<size_t>(i)]);
    gates[head] = i >= keep ? 0.0f
                  : soft    ? static_cast<float>(share[head] / kept * static_cast<double>(keep))
                            : 1.0f;
  }
  return gates;
}

}  // namespace saccade
