// Where a picture of a kept result says it comes from.
#pragma once

#include "analysis/export/result_figures.h"
#include "app/shell/kept_result.h"

namespace saccade {

[[nodiscard]] inline ResultOrigin origin_of(const KeptResult& kept) {
  return {kept.method, kept.title, kept.parameters, kept.partial(), kept.run};
}

}  // namespace saccade
