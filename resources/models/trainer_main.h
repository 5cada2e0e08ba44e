// What a trainer's main does once its options are declared: reads them, makes the demo, says how it ended.
#pragma once

#include <CLI/CLI.hpp>
#include <cstdio>

#include "kernels/base/result.h"

namespace saccade {

// 0 done, 1 failed with the reason on stderr, 2 wrong usage. make_demo() -> Result<void>.
template <class MakeDemo>
int trainer_main(CLI::App& app, int argc, char** argv, const char* program, MakeDemo make_demo) {
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& e) {
    return app.exit(e) == 0 ? 0 : 2;
  }
  if (const Result<void> done = make_demo(); !done.ok()) {
    std::fprintf(stderr, "%s: %s\n", program, done.error().to_string().c_str());
    return 1;
  }
  return 0;
}

}  // namespace saccade
