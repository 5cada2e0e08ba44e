// What this process and machine have in main memory, in bytes. Thread: any.
#pragma once

#include <cstdint>
#include <string>

namespace saccade {

[[nodiscard]] int64_t resident_bytes();       // this process now (RSS)
[[nodiscard]] int64_t peak_resident_bytes();  // this process's highest so far
[[nodiscard]] int64_t available_bytes();      // what the machine could still give, caches included
// "1.24 GB", decimal units, three digits.
[[nodiscard]] std::string format_bytes(int64_t bytes);

}  // namespace saccade
