// Regions of the tokens in edits: their names, and what they are in a given prompt. Pure; thread: any.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "core/run/edit.h"

namespace saccade {

// "sys", "img", "img2", "txt", "gen"; no value for anything else.
[[nodiscard]] std::optional<RegionName> region_named(std::string_view text);
[[nodiscard]] std::string to_string(const RegionName& region);

// The positions that a region has there. gen goes on to the end, decoded tokens included: behind the tokens
// where none of them was generated. Empty where there are none (sys before a picture that comes first).
// Errors: img and sys without a picture, a picture that there is not.
[[nodiscard]] Result<PositionSet> positions_of(const RegionName& region, const TokenPlaces& places);
// The same for a whole set: numbers alone.
[[nodiscard]] Result<PositionSet> with_numbers(const PositionSet& set, const TokenPlaces& places);
// The edit with numbers in the place of names. Errors name the edit.
[[nodiscard]] Result<Edit> with_numbers(const Edit& edit, const TokenPlaces& places);
[[nodiscard]] bool names_regions(const Edit& edit);

}  // namespace saccade
