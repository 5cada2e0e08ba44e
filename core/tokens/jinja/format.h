// "%s" % value and "{}".format(value), as far as chat templates take them. Private header.
#pragma once

#include "core/tokens/jinja/machine.h"
#include "core/tokens/jinja/value.h"

namespace saccade::jinja {

// `values` is a tuple, a dict, or one value. Conversions s, r, d, i, u, x, X, o, f, F, e, E, g, G, % with
// flags, width and precision; others are unsupported.
Result<Value> format_percent(Machine& machine, const Value& text, const Value& values);
// str.format: fields by position or name, !s and !r, and [[fill]align][sign][0][width][,][.precision][type]
// for texts (s) and numbers (d, x, X, o, b, f, F, e, E, g, G, %).
Result<Value> format_braces(Machine& machine, const Value& text, const Arguments& arguments);

}  // namespace saccade::jinja
