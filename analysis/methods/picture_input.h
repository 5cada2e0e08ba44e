// What methods about pictures in prompts share: what they refuse, and a picture's region.
#pragma once

#include <string>
#include <string_view>

#include "analysis/method.h"
#include "core/run/edit_regions.h"

namespace saccade {

// Refuses runs without a picture, saying what `method` needs and how to give it.
[[nodiscard]] Result<void> require_picture(const TokenPlaces& places, const ModelSpec& spec,
                                           std::string_view method);
// Besides, refuses pictures that no text follows (models that read pictures alone).
[[nodiscard]] Result<void> require_picture_and_text(const TokenPlaces& places, const ModelSpec& spec,
                                                    std::string_view method);
// Positions of text behind the picture and of what was generated, ascending.
[[nodiscard]] std::vector<int64_t> positions_behind_picture(const TokenPlaces& places);
// A list as a table of texts: one row per edit.
[[nodiscard]] Table edits_table(std::string name, const std::vector<Edit>& edits);
// The request as it is but with these edits after its own.
[[nodiscard]] RunRequest with_edits(RunRequest request, const std::vector<Edit>& edits);

}  // namespace saccade
