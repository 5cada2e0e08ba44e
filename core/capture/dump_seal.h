// The seal of a dump: a checksum of the whole file after its last byte, so that damage is noticed before
// HDF5 reads the file. HDF5 itself ignores what follows its end, and cuts it off when it changes the file: a
// dump that other tools edited has no seal and is read without one. Private to core/capture.
#pragma once

#include <filesystem>

#include "core/base/job.h"

namespace saccade {

// Appends the seal to a file that HDF5 has closed.
Result<void> seal(const std::filesystem::path& path, const JobContext& job);
// Refuses what is no HDF5 file, and a sealed file whose bytes are not those that were sealed.
Result<void> check_seal(const std::filesystem::path& path);

}  // namespace saccade
