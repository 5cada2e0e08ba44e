// Why a hook site cannot be edited, in words that parsing and checking share. Private to core/run.
#pragma once

#include <string>

#include "core/run/hook_site.h"

namespace saccade {

// "blocks.3.attn.hook_q cannot be edited, only recorded; editable are embed, resid_pre, ..."
[[nodiscard]] std::string refusal_of(SiteRef site);

}  // namespace saccade
