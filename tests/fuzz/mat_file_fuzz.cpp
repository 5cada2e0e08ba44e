// MATLAB's files: arrays in arrays, packed or not, and the fixations made of them.
#include "analysis/scanpath/mat_file.h"
#include "analysis/scanpath/osie_file.h"
#include "tests/fuzz/fuzz_input.h"

int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::span<const std::byte> bytes{reinterpret_cast<const std::byte*>(data), size};
  (void)saccade::read_mat_file(bytes);
  (void)saccade::parse_osie_file(bytes);
  return 0;
}
