// Refuses a template that names a filter or test that does not exist. Private header.
#pragma once

#include "core/tokens/jinja/ast.h"

namespace saccade::jinja {

// Those under an `if` (block or expression) are left to the moment they are reached, as jinja2 does.
Result<void> check_names(const Block& block);

}  // namespace saccade::jinja
