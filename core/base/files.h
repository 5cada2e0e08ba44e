// Files as the rest of core wants them: read-only mappings, whole small files, and writes that are never
// torn. Thread: any. Errors name the file, what was expected and what the system said.
#pragma once

#include <cstddef>
#include <filesystem>
#include <functional>
#include <memory>
#include <span>
#include <string>

#include "kernels/base/result.h"

namespace saccade {

// A file mapped read-only and shared; pages are read when touched. Immutable.
class MappedFile {
 public:
  static Result<std::shared_ptr<const MappedFile>> open(const std::filesystem::path& path);
  ~MappedFile();
  MappedFile(const MappedFile&) = delete;
  MappedFile& operator=(const MappedFile&) = delete;

  [[nodiscard]] std::span<const std::byte> bytes() const { return bytes_; }
  [[nodiscard]] const std::filesystem::path& path() const { return path_; }
  // Gives the pages back to the system: they stop counting as resident and are read again when touched. For
  // whoever looked at scattered places (the system maps neighbours along with every touched page).
  void release_pages() const { release_pages(0, bytes_.size()); }
  void release_pages(size_t begin, size_t size) const;  // those that lie wholly inside

 private:
  MappedFile() = default;
  std::filesystem::path path_;
  std::span<const std::byte> bytes_;
};

// Refuses files over `limit` bytes (configs and tokenizers are small; a lying path must not fill memory).
Result<std::string> read_text_file(const std::filesystem::path& path, size_t limit = size_t{256} << 20);

// Calls write(temporary path beside `path`, its own per thread), flushes the file to disk, renames it over
// `path`. When write or the system fails, the temporary is removed and the old file is untouched.
Result<void> write_atomically(const std::filesystem::path& path,
                              const std::function<Result<void>(const std::filesystem::path&)>& write);
Result<void> write_text_file(const std::filesystem::path& path, std::string_view text);  // atomic

}  // namespace saccade
