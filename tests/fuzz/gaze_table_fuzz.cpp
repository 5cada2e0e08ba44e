// Tables of fixations and of word boxes, and what is written back: it must read the same.
#include <cstdlib>

#include "analysis/scanpath/fixation_report.h"
#include "analysis/scanpath/reading.h"
#include "analysis/scanpath/write_scanpath.h"
#include "tests/fuzz/fuzz_input.h"

int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view text = saccade::fuzz::text_of(data, size);
  (void)saccade::parse_word_areas(text);
  const auto set = saccade::parse_fixation_report(text, {});
  if (!set.ok()) return 0;
  const auto back = saccade::parse_fixation_report(saccade::scanpaths_csv(set->paths), {});
  if (!back.ok() || back->fixation_count() != set->fixation_count()) std::abort();
  return 0;
}
