// Strong indices and head names. Layers, heads and tokens are zero-based everywhere.
#pragma once

#include <compare>
#include <cstdint>
#include <string>
#include <string_view>

#include "kernels/base/result.h"

namespace saccade {

template <class Tag>
struct Index {
  int32_t value = 0;
  constexpr auto operator<=>(const Index&) const = default;  // NOLINT(modernize-use-nullptr): a false alarm
};
using LayerIndex = Index<struct LayerTag>;
using HeadIndex = Index<struct HeadTag>;
using TokenIndex = Index<struct TokenTag>;

struct HeadId {
  LayerIndex layer;
  HeadIndex head;
  constexpr auto operator<=>(const HeadId&) const = default;  // NOLINT(modernize-use-nullptr): a false alarm
};

// "9.9"; parse accepts "9.9" and "L9H9" (any case). Existence is checked against a model elsewhere.
[[nodiscard]] std::string to_string(HeadId head);
[[nodiscard]] Result<HeadId> parse_head(std::string_view text);

}  // namespace saccade
