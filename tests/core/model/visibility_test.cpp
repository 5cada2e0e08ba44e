#include "core/model/visibility.h"

#include <gtest/gtest.h>

namespace saccade {
namespace {

// A slow reading of kernels/attention.h.
bool sees(const ModelSpec& spec, int64_t query, int64_t key) {
  if (query < spec.prefix && key < spec.prefix) return true;
  return (!spec.causal || key <= query) && (spec.window_of(0) == 0 || query - key < spec.window_of(0));
}

TEST(Visibility, counts_what_a_slow_reading_of_the_mask_counts) {
  constexpr int64_t n = 12;
  for (const bool causal : {true, false})
    for (const int32_t window : {0, 1, 4, 20})
      for (const int32_t prefix : {0, 1, 5, 12}) {
        ModelSpec spec;
        spec.causal = causal;
        spec.windows = {window};
        spec.prefix = prefix;
        for (int64_t i = 0; i < n; ++i) {
          int64_t seen = 0, seen_by = 0;
          const SeenKeys keys = seen_keys(spec, 0, i, n);
          for (int64_t j = 0; j < n; ++j) {
            EXPECT_EQ(sees(spec, i, j), j >= keys.begin && j < keys.end) << i << " " << j;
            seen += sees(spec, i, j) ? 1 : 0;
            seen_by += sees(spec, j, i) ? 1 : 0;
          }
          EXPECT_EQ(keys.end - keys.begin, seen);
          EXPECT_EQ(queries_that_see(spec, 0, i, n), seen_by)
              << "causal " << causal << " window " << window << " prefix " << prefix << " key " << i;
        }
      }
}

TEST(Visibility, takes_the_whole_prompt_for_the_prefix_and_nothing_that_was_generated) {
  ModelSpec spec;
  EXPECT_EQ(prefix_of(spec, 9, 4), 0);
  spec.prefix = -1;
  EXPECT_EQ(prefix_of(spec, 9, 4), 4);
  EXPECT_EQ(prefix_of(spec, 9, -1), 9);
  EXPECT_FALSE(spec.looks_back());
  EXPECT_FALSE(spec.predicts_next_token());
}

}  // namespace
}  // namespace saccade
