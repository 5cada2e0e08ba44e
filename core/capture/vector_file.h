// VectorFile: the vectors of an HDF5 file, by the names of their datasets: steering vectors, head offsets.
// Immutable once read. read_vectors: the engine thread only (the system's HDF5 is not thread-safe).
#pragma once

#include <filesystem>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "kernels/base/result.h"

namespace saccade {

struct VectorFile {
  std::string digest;                                 // of names and numbers
  std::map<std::string, std::vector<float>> vectors;  // "head_offsets/5/1/v"

  [[nodiscard]] const std::vector<float>* find(const std::string& name) const;
};

// Every dataset of real numbers with one axis, or with one row: float16, float32 or float64, kept as float32.
// Other datasets are passed over. Errors name the file; a file without a vector is one, and so is a vector
// with a number that is not finite.
Result<std::shared_ptr<const VectorFile>> read_vectors(const std::filesystem::path& path);

}  // namespace saccade
