// Cutting a piece at matches, by the five behaviours of a tokenizer.json. Thread: any.
#pragma once

#include <vector>

#include "core/tokens/aligned_text.h"
#include "core/tokens/pre_tokenizer.h"
#include "core/tokens/regex.h"

namespace saccade::tokens {

// Appends the parts of `piece` to `out`; matches are in bytes of the piece. `invert`: what is between the
// matches counts as the match. Empty parts are left out.
void split_at_matches(const Piece& piece, const std::vector<Match>& matches, SplitBehavior behavior,
                      bool invert, std::vector<Piece>& out);

}  // namespace saccade::tokens
