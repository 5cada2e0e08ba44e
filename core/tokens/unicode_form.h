// The Unicode normal forms with source ranges kept (Unicode Standard Annex 15). Thread: any.
#pragma once

#include "core/tokens/aligned_text.h"

namespace saccade::tokens {

// Rewrites the piece that is open in `out`, to its end: NFD, NFC, NFKD or NFKC. A composed character keeps
// the range of the first character it was made of, as the `tokenizers` package has it.
void rewrite_unicode_form(Rewriter& out, bool compatibility, bool composed);

}  // namespace saccade::tokens
