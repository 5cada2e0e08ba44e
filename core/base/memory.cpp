#include "core/base/memory.h"

#include <fmt/format.h>
#include <sys/resource.h>
#include <unistd.h>

#include <fstream>

namespace saccade {

int64_t resident_bytes() {
  std::ifstream statm("/proc/self/statm");
  int64_t total = 0, resident = 0;
  statm >> total >> resident;
  return resident * ::sysconf(_SC_PAGESIZE);
}

namespace {

// A row of one of the system's tables of "Key:  123 kB", in bytes; -1 when it is not there.
int64_t row_of(const char* table, std::string_view key) {
  std::ifstream rows(table);
  std::string name, rest;
  while (rows >> name) {
    if (name == key) {
      int64_t kib = -1;
      return rows >> kib ? kib * 1024 : -1;
    }
    std::getline(rows, rest);
  }
  return -1;
}

}  // namespace

int64_t peak_resident_bytes() {
  // getrusage's figure may be that of the process which started this one.
  if (const int64_t bytes = row_of("/proc/self/status", "VmHWM:"); bytes >= 0) return bytes;
  struct rusage usage {};
  ::getrusage(RUSAGE_SELF, &usage);
  return static_cast<int64_t>(usage.ru_maxrss) * 1024;
}

int64_t available_bytes() {
  if (const int64_t bytes = row_of("/proc/meminfo", "MemAvailable:"); bytes >= 0) return bytes;
  return ::sysconf(_SC_AVPHYS_PAGES) * ::sysconf(_SC_PAGESIZE);
}

std::string format_bytes(int64_t bytes) {
  constexpr const char* units[] = {"B", "kB", "MB", "GB", "TB"};
  auto value = static_cast<double>(bytes);
  int unit = 0;
  while (value >= 999.5 && unit < 4) {
    value /= 1000.0;
    ++unit;
  }
  if (unit == 0) return fmt::format("{} B", bytes);
  const int decimals = value < 9.995 ? 2 : value < 99.95 ? 1 : 0;
  return fmt::format("{:.{}f} {}", value, decimals, units[unit]);
}

}  // namespace saccade
