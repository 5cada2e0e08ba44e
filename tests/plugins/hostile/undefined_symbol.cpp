// A library that needs a function nobody has.
#include "saccade_plugin.h"

extern "C" int a_function_that_nobody_has();

const saccade_plugin* saccade_plugin_entry(uint32_t, const char*) {
  return a_function_that_nobody_has() ? nullptr : nullptr;
}
