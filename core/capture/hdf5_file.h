// The one adapter to HDF5: files, datasets, attributes and dimension scales as Results, closed by scope.
// Private to core/capture; no HDF5 header shows through.
//
// Thread: one at a time, the engine thread (the system's HDF5 is not thread-safe). HDF5's own printing is
// off; what it says becomes part of the Error.
#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "kernels/base/result.h"

namespace saccade::h5 {

// Owns one HDF5 identifier (hid_t is an int64_t).
class Handle {
 public:
  using Close = int (*)(int64_t);
  Handle() = default;
  Handle(int64_t id, Close close) : id_(id), close_(close) {}
  Handle(Handle&& other) noexcept;
  Handle& operator=(Handle&& other) noexcept;
  ~Handle() { reset(); }
  [[nodiscard]] int64_t id() const { return id_; }
  [[nodiscard]] bool valid() const { return id_ >= 0; }
  // Closes now; false when HDF5 could not (a flush that failed).
  bool reset();

 private:
  int64_t id_ = -1;
  Close close_ = nullptr;
};

enum class Number { float32, float16, float64, int32, int64, uint8 };
[[nodiscard]] std::string_view name_of(Number number);
[[nodiscard]] int64_t bytes_of(Number number);

// Before the first call of HDF5 in a process, and harmless when repeated: turns its printing off, and its
// clean-up at exit, which crashes on a file that a full disk kept from being closed (1.10). We close ours.
void prepare();
// What HDF5 last complained about, in its innermost words; clears it.
[[nodiscard]] std::string take_complaint();
// A number type in the file's byte order (little endian). float16 is IEEE 754 binary16.
[[nodiscard]] Handle type_of(Number number);

// One dataset: its name and axes. Text that is not valid UTF-8, or holds a NUL, is written escaped (see
// core/capture/encoding.h).
struct DatasetSpec {
  std::string name;
  std::vector<std::string_view> axes;
  std::vector<int64_t> shape;
  Number number = Number::float32;
  // Empty: contiguous. Otherwise the chunk's shape: chunks are shuffled and deflated, and a chunk that is
  // never written reads as `fill`.
  std::vector<int64_t> chunk;
  float fill = 0.0F;
};

class Writer {
 public:
  static Result<Writer> create(const std::filesystem::path& path);

  Result<void> attribute(const std::string& name, std::string_view text);
  Result<void> attribute(const std::string& name, int64_t number);
  Result<void> attribute(const std::string& name, double number);
  // Makes the dataset with its axis labels and dimension scales; finish() must follow.
  Result<Handle> dataset(const DatasetSpec& spec);
  // Makes and fills one; `values` are in memory as spec.number says.
  Result<void> numbers(const DatasetSpec& spec, const void* values);
  // Fills a block of one that dataset() made.
  Result<void> block(const Handle& dataset, const DatasetSpec& spec, std::span<const int64_t> offset,
                     std::span<const int64_t> count, const void* values);
  // Closes a dataset; HDF5 holds chunks back until then, so this is where a full disk may show.
  Result<void> finish(Handle dataset, const std::string& name);
  // Also writes NAME_escaped [axis], uint8, when `flags` or when a text had to be escaped.
  Result<void> strings(const std::string& name, std::string_view axis, std::span<const std::string> texts,
                       bool flags);
  // Reports what could not be flushed.
  Result<void> close();

 private:
  struct Scale {
    Handle dataset;
    int64_t length = 0;
  };
  Result<void> attach(const Handle& dataset, const DatasetSpec& spec);
  Result<const Scale*> scale(std::string_view axis, int64_t length);

  Handle file_;
  std::map<std::string, Scale, std::less<>> scales_;
};

struct Found {
  std::vector<int64_t> shape;
  std::string number;  // "float32", "float16", "float64", "int32", "int64", "uint8", "string", or "other"
  std::vector<std::string> axes;
  int64_t stored_bytes = 0;
  bool is_scale = false;
};

class Reader {
 public:
  // The file must exist, be HDF5 and have the root attributes.
  static Result<Reader> open(const std::filesystem::path& path);

  [[nodiscard]] bool has_attribute(const std::string& name) const;
  [[nodiscard]] Result<std::string> text(const std::string& attribute) const;
  [[nodiscard]] Result<int64_t> integer(const std::string& attribute) const;
  [[nodiscard]] Result<double> real(const std::string& attribute) const;

  // False for what is not there, for links that leave the file, and for anything but a dataset.
  [[nodiscard]] bool has(const std::string& name) const;
  [[nodiscard]] Result<Found> describe(const std::string& name) const;
  // Every dataset, by name.
  [[nodiscard]] Result<std::vector<std::string>> names() const;
  // Fills `values`, which has room for `shape`; the dataset must have that shape, that number type and as
  // many bytes as it says.
  Result<void> numbers(const std::string& name, Number number, std::span<const int64_t> shape,
                       void* values) const;
  // All numbers of a dataset of any real type, as float32.
  [[nodiscard]] Result<std::vector<float>> reals(const std::string& name) const;
  // Refuses another shape or type, and shapes that the stored bytes or the machine's memory do not bear out.
  Result<void> check(const std::string& name, Number number, std::span<const int64_t> shape) const;
  [[nodiscard]] Result<std::vector<std::string>> strings(const std::string& name) const;

 private:
  [[nodiscard]] Result<Handle> open_dataset(const std::string& name) const;
  Handle file_;
};

}  // namespace saccade::h5
