// Makes a VectorFile of numbers at hand, and writes one. write_vectors: the engine thread only (HDF5).
#pragma once

#include "core/capture/vector_file.h"

namespace saccade {

// In memory: the same digest as once written and read. Values must be finite.
[[nodiscard]] std::shared_ptr<const VectorFile> make_vectors(
    std::map<std::string, std::vector<float>> vectors);
// Writes a new file of float32 datasets, one per vector, their axis called `axis`; whole or not at all. A
// file of that name is replaced.
Result<void> write_vectors(const VectorFile& vectors, const std::string& axis,
                           const std::filesystem::path& path);

}  // namespace saccade
