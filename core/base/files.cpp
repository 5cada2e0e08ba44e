#include "core/base/files.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <fstream>
#include <system_error>

namespace saccade {
namespace {

std::string system_message(int code) { return std::generic_category().message(code); }

Error io_error(const std::filesystem::path& path, const std::string& what, int code) {
  const ErrorCode kind = code == ENOENT ? ErrorCode::not_found : ErrorCode::io;
  return make_error(kind, fmt::format("{}: {}: {}", path.string(), what, system_message(code)));
}

class Descriptor {
 public:
  explicit Descriptor(int fd) : fd_(fd) {}
  ~Descriptor() {
    if (fd_ >= 0) ::close(fd_);
  }
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
  [[nodiscard]] int get() const { return fd_; }

 private:
  int fd_;
};

Result<int64_t> regular_size(int fd, const std::filesystem::path& path) {
  struct stat status {};
  if (::fstat(fd, &status) != 0) return io_error(path, "cannot look at it", errno);
  if (!S_ISREG(status.st_mode))
    return make_error(ErrorCode::io, fmt::format("{}: expected a regular file", path.string()));
  return static_cast<int64_t>(status.st_size);
}

// Without O_NONBLOCK a pipe that nobody writes to would keep us waiting.
int open_to_read(const std::filesystem::path& path) {
  return ::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK);
}

Result<void> flush_to_disk(const std::filesystem::path& path) {
  const Descriptor file(open_to_read(path));
  if (file.get() < 0) return io_error(path, "cannot reopen it", errno);
  if (::fsync(file.get()) != 0) return io_error(path, "cannot flush it to disk", errno);
  return {};
}

}  // namespace

Result<std::shared_ptr<const MappedFile>> MappedFile::open(const std::filesystem::path& path) {
  const Descriptor file(open_to_read(path));
  if (file.get() < 0) return io_error(path, "cannot open it", errno);
  SACCADE_TRY(const int64_t size, regular_size(file.get(), path));
  std::shared_ptr<MappedFile> mapped(new MappedFile());
  mapped->path_ = path;
  if (size > 0) {
    void* address = ::mmap(nullptr, static_cast<size_t>(size), PROT_READ, MAP_SHARED, file.get(), 0);
    if (address == MAP_FAILED) return io_error(path, "cannot map it", errno);
    mapped->bytes_ = {static_cast<const std::byte*>(address), static_cast<size_t>(size)};
  }
  return std::shared_ptr<const MappedFile>(std::move(mapped));
}

MappedFile::~MappedFile() {
  if (!bytes_.empty()) ::munmap(const_cast<std::byte*>(bytes_.data()), bytes_.size());
}

void MappedFile::release_pages(size_t begin, size_t size) const {
  const auto page = static_cast<size_t>(::sysconf(_SC_PAGESIZE));
  const size_t first = (begin + page - 1) / page * page;
  const bool to_the_end = begin + size >= bytes_.size();
  const size_t last = to_the_end ? bytes_.size() : (begin + size) / page * page;
  if (last > first) ::madvise(const_cast<std::byte*>(bytes_.data()) + first, last - first, MADV_DONTNEED);
}

Result<std::string> read_text_file(const std::filesystem::path& path, size_t limit) {
  const Descriptor file(open_to_read(path));
  if (file.get() < 0) return io_error(path, "cannot open it", errno);
  SACCADE_TRY(const int64_t size, regular_size(file.get(), path));
  if (static_cast<size_t>(size) > limit)
    return make_error(ErrorCode::bad_format,
                      fmt::format("{}: expected at most {} bytes, found {}", path.string(), limit, size));
  std::string text(static_cast<size_t>(size), '\0');
  size_t done = 0;
  while (done < text.size()) {
    const ssize_t got = ::read(file.get(), text.data() + done, text.size() - done);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return io_error(path, "cannot read it", errno);
    if (got == 0) break;
    done += static_cast<size_t>(got);
  }
  text.resize(done);
  return text;
}

Result<void> write_atomically(const std::filesystem::path& path,
                              const std::function<Result<void>(const std::filesystem::path&)>& write) {
  std::filesystem::path temporary = path;
  temporary += fmt::format(".{}.tmp", ::gettid());
  const auto remove = [&] {
    std::error_code ignored;
    std::filesystem::remove(temporary, ignored);
  };
  Result<void> written = write(temporary);
  if (written.ok()) written = flush_to_disk(temporary);
  if (!written.ok()) {
    remove();
    return std::move(written).error().with("writing " + path.string());
  }
  std::error_code failed;
  std::filesystem::rename(temporary, path, failed);
  if (!failed) return {};
  remove();
  return make_error(ErrorCode::io,
                    fmt::format("{}: cannot put the new file in place: {}", path.string(), failed.message()));
}

Result<void> write_text_file(const std::filesystem::path& path, std::string_view text) {
  return write_atomically(path, [&](const std::filesystem::path& temporary) -> Result<void> {
    const Descriptor file(::open(temporary.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644));
    if (file.get() < 0) return io_error(temporary, "cannot make it", errno);
    size_t done = 0;
    while (done < text.size()) {
      const ssize_t put = ::write(file.get(), text.data() + done, text.size() - done);
      if (put < 0 && errno == EINTR) continue;
      if (put < 0) return io_error(temporary, "cannot write to it", errno);
      done += static_cast<size_t>(put);
    }
    return {};
  });
}

}  // namespace saccade
