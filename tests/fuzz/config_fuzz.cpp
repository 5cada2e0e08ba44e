// Every family's reading of a config.json, and its table of tensors.
#include <nlohmann/json.hpp>

#include "core/model/family.h"
#include "tests/fuzz/fuzz_input.h"

int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using nlohmann::json;
  const json config = json::parse(saccade::fuzz::text_of(data, size), nullptr, false);
  if (!config.is_object()) return 0;
  for (const saccade::Family& family : saccade::families()) {
    const auto spec = family.read_config(config);
    if (spec.ok() && family.weight_rules(*spec).empty()) __builtin_trap();
  }
  return 0;
}
