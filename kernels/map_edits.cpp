#include "kernels/map_edits.h"

#include <cassert>

namespace saccade {

int64_t size_of(const KeySet& keys) {
  int64_t size = 0;
  for (const KeyRange& range : keys) size += range.end - range.begin;
  return size;
}

int64_t index_in(const KeySet& keys, int64_t key) {
  int64_t before = 0;
  for (const KeyRange& range : keys) {
    if (key >= range.begin && key < range.end) return before + key - range.begin;
    before += range.end - range.begin;
  }
  assert(false && "the key is not in the set");
  return -1;
}

}  // namespace saccade
