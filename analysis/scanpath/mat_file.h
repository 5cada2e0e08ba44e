// A bounded reader of MATLAB's level 5 MAT-files ("MAT-File Format", The MathWorks, R2024, chapter 1):
// numeric, logical, character, cell and structure arrays, packed (zlib) or not, of either byte order; what
// else there is (objects, sparse matrices, function handles) is passed over as `other`. Files are hostile
// until read: every size is checked against the bytes that are really there, nesting and what unpacking
// yields are bounded, and nothing is reserved on a file's word. (libmatio was not taken: it trusts sizes in
// the file, and has a long list of overflows found by fuzzing, among them some of the release that Debian
// ships.) Errors: bad_format with the variable and the byte; unsupported for level 4 and for 7.3 (HDF5),
// saying what to save instead. Thread: any.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "kernels/base/result.h"

namespace saccade {

struct MatArray {
  enum class Kind { numeric, text, cell, structure, other };
  Kind kind = Kind::other;
  std::string name;                 // of a variable; empty inside others
  std::vector<int64_t> dimensions;  // at least two
  std::vector<double> numbers;      // numeric and logical: column-major; the real part
  std::string text;                 // text: UTF-8, in storage order (a row vector reads as it is)
  std::vector<MatArray> cells;      // cell: column-major; structure: [element, field]
  std::vector<std::string> fields;  // structure: the names

  [[nodiscard]] int64_t size() const;  // product of the dimensions
  // The field of an element of a structure array; null where it has no such field or element.
  [[nodiscard]] const MatArray* field(std::string_view field_name, size_t element = 0) const;
};
[[nodiscard]] const char* to_string(MatArray::Kind kind);

struct MatLimits {
  size_t unpacked_bytes = size_t{512} << 20;  // of all variables together
  int64_t arrays = 1'000'000;                 // of all variables, nested ones included
  int depth = 16;
};

// The variables of a file, in its order.
[[nodiscard]] Result<std::vector<MatArray>> read_mat_file(std::span<const std::byte> bytes,
                                                          const MatLimits& limits = {});

}  // namespace saccade
