// What a map of many tokens feels like in the window, measured: a synthetic capture is opened, looked at
// whole, panned and zoomed along a fixed path, and looked into at random places.
#pragma once

#include <QString>

#include "app/shell/main_window.h"

namespace saccade {

struct MapBenchOptions {
  int64_t n_token = 32768;
  int threads = 0;
  QString screenshot;  // empty = none: the whole map, once it is exact
};

// Prints its figures; returns the exit status of the program. Thread: the GUI thread, its event loop not yet
// running.
int bench_map(MainWindow& window, const MapBenchOptions& options);

}  // namespace saccade
