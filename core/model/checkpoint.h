// Checkpoint: named tensors of a Hugging Face folder, memory-mapped, in the dtype they have on disk.
//
// Reads model.safetensors or pytorch_model.bin, or either's index with its shards; PyTorch's files are
// parsed, never run (pickle_reader.h). A tensor is a view into a mapping that lives as long as the
// Checkpoint; only tensors whose numbers are not aligned in the file (old writers did not pad the header) are
// copied to where they are. The header is checked before any tensor is handed out: length against file size,
// JSON, dtypes, shape * width == byte range, ranges inside the file, no overlap, no hole, no duplicate names.
// Thread: any, immutable.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/files.h"
#include "kernels/base/result.h"

namespace saccade {

// From q4_0 on: blocks of a few bits a number (GGUF), widened when used; see quantised.h.
enum class DType {
  f32,
  f16,
  bf16,
  f64,
  i64,
  i32,
  i16,
  i8,
  u8,
  boolean,
  q4_0,
  q4_1,
  q5_0,
  q5_1,
  q8_0,
  q2_k,
  q3_k,
  q4_k,
  q5_k,
  q6_k
};
struct BlockSize {
  int64_t numbers = 1, bytes = 1;
};
[[nodiscard]] BlockSize block_of(DType dtype);
[[nodiscard]] inline bool is_quantised(DType dtype) { return block_of(dtype).numbers > 1; }
[[nodiscard]] int64_t width_of(
    DType dtype);  // bytes of one number; of one in blocks 1, as they need no alignment
[[nodiscard]] inline int64_t bytes_of(DType dtype, int64_t elements) {
  return elements / block_of(dtype).numbers * block_of(dtype).bytes;
}
[[nodiscard]] const char* to_string(DType dtype);

struct TensorView {
  std::string name;
  DType dtype = DType::f32;
  std::vector<int64_t> shape;
  const std::byte* data = nullptr;

  [[nodiscard]] int64_t elements() const;
  [[nodiscard]] int64_t bytes() const { return bytes_of(dtype, elements()); }
};

class Checkpoint {
 public:
  // A folder, or a single .safetensors, .bin, .pt, .pth or .gguf file: its first bytes say what it is.
  static Result<std::shared_ptr<const Checkpoint>> open(const std::filesystem::path& path);

  [[nodiscard]] const TensorView* find(std::string_view name) const;  // null when absent
  [[nodiscard]] const std::map<std::string, TensorView, std::less<>>& tensors() const { return tensors_; }
  // Gives the pages of one mapped tensor back to the system; see MappedFile::release_pages().
  void release(const TensorView& tensor) const;
  [[nodiscard]] int64_t file_bytes() const { return file_bytes_; }
  // What could not stay mapped because it was not aligned; 0 for files of current writers.
  [[nodiscard]] int64_t copied_bytes() const { return copied_bytes_; }
  // 32 hex digits over the headers and a few kilobytes of every tensor: cheap, and another fine-tune differs.
  // A change of single numbers inside a tensor may go unnoticed.
  [[nodiscard]] const std::string& digest() const { return digest_; }

 private:
  std::map<std::string, TensorView, std::less<>> tensors_;
  std::vector<std::shared_ptr<const MappedFile>> files_;
  std::vector<std::shared_ptr<const std::byte[]>> copies_;
  int64_t file_bytes_ = 0, copied_bytes_ = 0;
  std::string digest_;
};

}  // namespace saccade
