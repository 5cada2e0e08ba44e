#include "core/capture/dump_seal.h"

#include <fmt/format.h>

#include <cerrno>
#include <cstring>
#include <fstream>

#include "core/base/digest.h"
#include "core/base/files.h"

namespace saccade {
namespace {

constexpr std::string_view signature("\x89HDF\r\n\x1a\n", 8);
constexpr std::string_view mark = "SACCADE1";  // then 32 hex digits of Digest
constexpr size_t seal_bytes = mark.size() + 32;
constexpr size_t step = size_t{64} << 20;  // well under 100 ms between two looks at the job

Result<std::string> digest_of(std::span<const std::byte> bytes, const JobContext& job) {
  Digest digest;
  for (size_t at = 0; at < bytes.size(); at += step) {
    SACCADE_CHECK(job.check());
    digest.add(bytes.subspan(at, std::min(step, bytes.size() - at)));
  }
  return digest.hex();
}

}  // namespace

Result<void> seal(const std::filesystem::path& path, const JobContext& job) {
  std::string hex;
  {
    SACCADE_TRY(const auto file, MappedFile::open(path));
    SACCADE_TRY(hex, digest_of(file->bytes(), job));
  }
  std::ofstream file(path, std::ios::binary | std::ios::app);
  file << mark << hex;
  file.close();
  if (file.fail())
    return make_error(ErrorCode::io, fmt::format("cannot append the checksum: {}", std::strerror(errno)));
  return {};
}

Result<void> check_seal(const std::filesystem::path& path) {
  SACCADE_TRY(const auto file, MappedFile::open(path));
  const std::span<const std::byte> bytes = file->bytes();
  const std::string_view text(reinterpret_cast<const char*>(bytes.data()), bytes.size());
  if (!text.starts_with(signature))
    return make_error(ErrorCode::bad_format,
                      fmt::format("{}: expected an HDF5 file, found something else", path.string()));
  if (text.size() < seal_bytes || text.substr(text.size() - seal_bytes, mark.size()) != mark) return {};
  SACCADE_TRY(const std::string hex, digest_of(bytes.first(bytes.size() - seal_bytes), {}));
  if (text.substr(text.size() - hex.size()) != hex)
    return make_error(
        ErrorCode::bad_format,
        fmt::format("{}: the file is damaged: its bytes do not give the checksum at its end", path.string()));
  return {};
}

}  // namespace saccade
