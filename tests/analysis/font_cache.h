// Included once per test program that draws text: fontconfig keeps its cache until the process ends, which a
// leak checker would report as ours.
#pragma once

extern "C" const char* __lsan_default_suppressions() { return "leak:libfontconfig\n"; }
