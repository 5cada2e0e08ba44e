// Why an edit cannot be, in words that parsing and checking share. Private to core/run.
#pragma once

#include <string>

#include "core/run/edit.h"

namespace saccade {

// "blocks.3.attn.hook_q cannot be edited, only recorded; editable are embed, resid_pre, ..."
[[nodiscard]] std::string refusal_of(SiteRef site);
// What is wrong with an edit whatever the model and the prompt; empty when nothing is.
[[nodiscard]] std::string fault_of(const Edit& edit);

}  // namespace saccade
