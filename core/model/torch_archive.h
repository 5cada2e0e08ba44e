// The container of PyTorch's files since 1.6: a zip archive whose members are stored as they are (method 0),
// so that numbers can stay mapped. Format: PKWARE APPNOTE 6.3.10, sections 4.3 and 4.5.3. Private to
// core/model. Thread: any.
#pragma once

#include <cstddef>
#include <span>
#include <string>
#include <vector>

#include "kernels/base/result.h"

namespace saccade {

struct ArchiveMember {
  std::string name;
  std::span<const std::byte> bytes;  // inside the archive
};

[[nodiscard]] bool is_zip(std::span<const std::byte> file);
// Errors name what is damaged: no central directory, a member outside the file, compressed or encrypted ones,
// two of one name.
Result<std::vector<ArchiveMember>> read_archive(std::span<const std::byte> file);

}  // namespace saccade
