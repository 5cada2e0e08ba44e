#include "core/model/checkpoint.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstdlib>
#include <cstring>

#include "core/base/digest.h"
#include "core/base/memory.h"
#include "core/model/checkpoint_files.h"
#include "core/model/gguf_file.h"
#include "core/model/safetensors_header.h"
#include "core/model/torch_file.h"

namespace saccade {

int64_t width_of(DType dtype) {
  switch (dtype) {
    case DType::f64:
    case DType::i64:
      return 8;
    case DType::f32:
    case DType::i32:
      return 4;
    case DType::f16:
    case DType::bf16:
    case DType::i16:
      return 2;
    case DType::i8:
    case DType::u8:
    case DType::boolean:
    case DType::q4_0:
    case DType::q4_1:
    case DType::q5_0:
    case DType::q5_1:
    case DType::q8_0:
    case DType::q2_k:
    case DType::q3_k:
    case DType::q4_k:
    case DType::q5_k:
    case DType::q6_k:
      return 1;
  }
  return 0;
}

BlockSize block_of(DType dtype) {
  switch (dtype) {
    case DType::q4_0:
      return {32, 18};
    case DType::q4_1:
      return {32, 20};
    case DType::q5_0:
      return {32, 22};
    case DType::q5_1:
      return {32, 24};
    case DType::q8_0:
      return {32, 34};
    case DType::q2_k:
      return {256, 84};
    case DType::q3_k:
      return {256, 110};
    case DType::q4_k:
      return {256, 144};
    case DType::q5_k:
      return {256, 176};
    case DType::q6_k:
      return {256, 210};
    case DType::f32:
    case DType::f16:
    case DType::bf16:
    case DType::f64:
    case DType::i64:
    case DType::i32:
    case DType::i16:
    case DType::i8:
    case DType::u8:
    case DType::boolean:
      break;
  }
  return {1, width_of(dtype)};
}

const char* to_string(DType dtype) {
  switch (dtype) {
    case DType::f32:
      return "float32";
    case DType::f16:
      return "float16";
    case DType::bf16:
      return "bfloat16";
    case DType::f64:
      return "float64";
    case DType::i64:
      return "int64";
    case DType::i32:
      return "int32";
    case DType::i16:
      return "int16";
    case DType::i8:
      return "int8";
    case DType::u8:
      return "uint8";
    case DType::boolean:
      return "bool";
    case DType::q4_0:
      return "Q4_0";
    case DType::q4_1:
      return "Q4_1";
    case DType::q5_0:
      return "Q5_0";
    case DType::q5_1:
      return "Q5_1";
    case DType::q8_0:
      return "Q8_0";
    case DType::q2_k:
      return "Q2_K";
    case DType::q3_k:
      return "Q3_K";
    case DType::q4_k:
      return "Q4_K";
    case DType::q5_k:
      return "Q5_K";
    case DType::q6_k:
      return "Q6_K";
  }
  return "";
}

int64_t TensorView::elements() const {
  int64_t count = 1;
  for (const int64_t extent : shape) {
    if (extent == 0) return 0;
    count *= extent;
  }
  return count;
}

namespace {

// One safetensors file: 8 bytes little-endian header length, JSON header, data.
struct Contents {
  std::span<const std::byte> header;  // with its length; of other formats, what describes the tensors
  std::vector<TensorView> tensors;
  std::vector<std::shared_ptr<const std::byte[]>> copies = {};
};

Result<Contents> read_safetensors(const MappedFile& file) {
  constexpr uint64_t header_limit = 100'000'000;  // the format's own
  const std::span<const std::byte> bytes = file.bytes();
  const auto bad = [&](const std::string& what) {
    return make_error(ErrorCode::bad_format, fmt::format("{}: {}", file.path().string(), what));
  };
  if (bytes.size() < 8)
    return bad(fmt::format("expected a safetensors file, found {} bytes, too few for its header length",
                           bytes.size()));
  uint64_t length = 0;
  std::memcpy(&length, bytes.data(), sizeof length);
  if (length > header_limit)
    return bad(
        fmt::format("the header says it is {} bytes long, at most {} are allowed", length, header_limit));
  if (length > bytes.size() - 8)
    return bad(fmt::format("the header says it is {} bytes long, the file has {} after the length: truncated",
                           length, bytes.size() - 8));
  Contents contents{bytes.first(8 + length), {}};
  const std::span<const std::byte> data = bytes.subspan(8 + length);
  auto entries = parse_safetensors_header({reinterpret_cast<const char*>(bytes.data() + 8), length});
  if (!entries.ok()) return bad(entries.error().message);
  if (const auto layout = check_layout(*entries, data.size()); !layout.ok())
    return bad(layout.error().message);
  for (HeaderEntry& entry : *entries)
    contents.tensors.push_back(
        {std::move(entry.name), entry.dtype, std::move(entry.shape), data.data() + entry.begin});
  return contents;
}

// What a file is, its first bytes say.
Result<Contents> read_contents(const MappedFile& file) {
  if (is_gguf(file.bytes())) {
    auto read = read_gguf(file.bytes());
    if (!read.ok()) {
      Error error = std::move(read).error();
      error.message = file.path().string() + ": " + error.message;
      return error;
    }
    return Contents{read->header, std::move(read->tensors)};
  }
  if (!is_torch_file(file.bytes())) return read_safetensors(file);
  auto read = read_torch_file(file.bytes());
  if (!read.ok()) {
    Error error = std::move(read).error();
    error.message = file.path().string() + ": " + error.message;
    return error;
  }
  return Contents{read->pickle, std::move(read->tensors), std::move(read->copies)};
}

bool is_aligned(const TensorView& tensor) {
  return tensor.bytes() == 0 ||
         reinterpret_cast<uintptr_t>(tensor.data) % static_cast<uint64_t>(width_of(tensor.dtype)) == 0;
}

// The format does not promise that numbers begin where the processor wants them. Such tensors are copied.
Result<std::shared_ptr<const std::byte[]>> align_tensors(const MappedFile& file,
                                                         std::vector<TensorView>& tensors, int64_t& copied) {
  constexpr int64_t boundary = 64;
  const auto room_of = [](const TensorView& tensor) {
    return (tensor.bytes() + boundary - 1) / boundary * boundary;
  };
  int64_t room = 0;
  for (const TensorView& tensor : tensors)
    if (!is_aligned(tensor)) room += room_of(tensor);
  if (room == 0) return std::shared_ptr<const std::byte[]>();
  const auto too_much = [&] {
    return make_error(
        ErrorCode::out_of_memory,
        fmt::format("{}: its numbers are not aligned in the file, so {} must be copied, and {} are free; "
                    "saving it again with a current safetensors aligns it",
                    file.path().string(), format_bytes(room), format_bytes(available_bytes())));
  };
  if (room > available_bytes()) return too_much();
  auto* place = static_cast<std::byte*>(std::aligned_alloc(boundary, static_cast<size_t>(room)));
  if (!place) return too_much();
  std::shared_ptr<const std::byte[]> owner(place,
                                           [](const std::byte* p) { std::free(const_cast<std::byte*>(p)); });
  for (TensorView& tensor : tensors) {
    if (is_aligned(tensor)) continue;
    std::memcpy(place, tensor.data, static_cast<size_t>(tensor.bytes()));
    tensor.data = place;
    place += room_of(tensor);
    copied += tensor.bytes();
    file.release_pages();
  }
  return owner;
}

// The first and the middle bytes of every tensor, in the order of their names.
void add_samples(Digest& digest, const std::map<std::string, TensorView, std::less<>>& tensors) {
  constexpr size_t sample = 4096;
  for (const auto& [name, tensor] : tensors) {
    const std::span bytes(tensor.data, static_cast<size_t>(tensor.bytes()));
    digest.add(name).add(bytes.first(std::min(sample, bytes.size())));
    digest.add(bytes.subspan(bytes.size() / 2, std::min(sample, bytes.size() - bytes.size() / 2)));
  }
}

}  // namespace

const TensorView* Checkpoint::find(std::string_view name) const {
  const auto found = tensors_.find(name);
  return found == tensors_.end() ? nullptr : &found->second;
}

Result<std::shared_ptr<const Checkpoint>> Checkpoint::open(const std::filesystem::path& path) {
  SACCADE_TRY(CheckpointFiles found, find_checkpoint_files(path));
  std::map<std::string, std::string>& file_of = found.file_of;
  auto checkpoint = std::make_shared<Checkpoint>();
  Digest digest;
  for (const std::filesystem::path& file : found.files) {
    SACCADE_TRY(const auto mapped, MappedFile::open(file));
    SACCADE_TRY(Contents contents, read_contents(*mapped));
    for (auto& copy : contents.copies) checkpoint->copies_.push_back(std::move(copy));
    SACCADE_TRY(auto copies, align_tensors(*mapped, contents.tensors, checkpoint->copied_bytes_));
    if (copies) checkpoint->copies_.push_back(std::move(copies));
    for (TensorView& tensor : contents.tensors) {
      const std::string name = tensor.name;
      if (!checkpoint->tensors_.emplace(name, std::move(tensor)).second)
        return make_error(ErrorCode::bad_format,
                          fmt::format("{}: tensor '{}' is in another shard, too", file.string(), name));
      if (const auto listed = file_of.find(name);
          listed != file_of.end() && listed->second == file.filename())
        file_of.erase(listed);
    }
    digest.add(contents.header);
    checkpoint->file_bytes_ += static_cast<int64_t>(mapped->bytes().size());
    checkpoint->files_.push_back(mapped);
  }
  if (!file_of.empty())
    return make_error(ErrorCode::bad_format,
                      fmt::format("{}: the index says tensor '{}' is in {}, it is not there",
                                  found.index.string(), file_of.begin()->first, file_of.begin()->second));
  add_samples(digest, checkpoint->tensors_);
  checkpoint->digest_ = digest.hex();
  for (const auto& file : checkpoint->files_) file->release_pages();
  return std::shared_ptr<const Checkpoint>(std::move(checkpoint));
}

void Checkpoint::release(const TensorView& tensor) const {
  for (const auto& file : files_) {
    const std::span<const std::byte> bytes = file->bytes();
    if (tensor.data >= bytes.data() && tensor.data < bytes.data() + bytes.size())
      file->release_pages(static_cast<size_t>(tensor.data - bytes.data()),
                          static_cast<size_t>(tensor.bytes()));
  }
}

}  // namespace saccade
