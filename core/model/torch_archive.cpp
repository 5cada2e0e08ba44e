#include "core/model/torch_archive.h"

#include <fmt/format.h>

#include <algorithm>
#include <optional>
#include <set>

#include "core/model/byte_reader.h"

namespace saccade {
namespace {

using Bytes = std::span<const std::byte>;
constexpr uint32_t local_mark = 0x04034b50, central_mark = 0x02014b50, end_mark = 0x06054b50,
                   end64_mark = 0x06064b50, locator_mark = 0x07064b50;
constexpr uint32_t in_zip64 = 0xffffffff;

Error bad(const std::string& what) { return make_error(ErrorCode::bad_format, "zip archive: " + what); }

struct Directory {
  uint64_t offset = 0, size = 0, entries = 0;
};

// The end record stands last, before a comment of at most 65,535 bytes.
std::optional<uint64_t> find_end(Bytes file) {
  constexpr uint64_t record = 22, longest_comment = 65535;
  if (file.size() < record) return std::nullopt;
  const uint64_t last = file.size() - record;
  const uint64_t first = last > longest_comment ? last - longest_comment : 0;
  for (uint64_t at = last + 1; at-- > first;)
    if (ByteReader(file, at).number<uint32_t>() == end_mark) return at;
  return std::nullopt;
}

Result<Directory> find_directory(Bytes file) {
  const std::optional<uint64_t> end = find_end(file);
  if (!end) return bad("no central directory: truncated");
  ByteReader record(file, *end + 10);
  Directory directory;
  directory.entries = record.number<uint16_t>();
  directory.size = record.number<uint32_t>();
  directory.offset = record.number<uint32_t>();
  const bool large =
      directory.entries == 0xffff || directory.size == in_zip64 || directory.offset == in_zip64;
  if (large) {
    if (*end < 20) return bad("the 64-bit directory is missing");
    ByteReader locator(file, *end - 20);
    if (locator.number<uint32_t>() != locator_mark) return bad("the 64-bit directory is missing");
    locator.skip(4);
    ByteReader record64(file, locator.number<uint64_t>());
    if (record64.number<uint32_t>() != end64_mark || record64.failed())
      return bad("the 64-bit directory is not where the file says");
    record64.skip(28);
    directory.entries = record64.number<uint64_t>();
    directory.size = record64.number<uint64_t>();
    directory.offset = record64.number<uint64_t>();
    if (record64.failed()) return bad("the 64-bit directory is truncated");
  }
  if (directory.offset > file.size() || directory.size > file.size() - directory.offset)
    return bad(fmt::format("the central directory of {} bytes at {} is outside the {} bytes of the file",
                           directory.size, directory.offset, file.size()));
  if (directory.entries > directory.size / 46)
    return bad(
        fmt::format("{} members do not fit a directory of {} bytes", directory.entries, directory.size));
  return directory;
}

struct Entry {
  std::string name;
  uint16_t flags = 0, method = 0;
  uint64_t stored = 0, size = 0, local = 0;  // `local`: where its local header stands
};

// Sizes and offsets of 4 GiB and more stand in the extra field with id 1, in this order, only those needed.
bool read_zip64(Bytes extra, Entry& entry) {
  ByteReader reader(extra);
  while (reader.left() >= 4) {
    const auto id = reader.number<uint16_t>();
    const auto length = reader.number<uint16_t>();
    ByteReader field(reader.take(length));
    if (id != 1) continue;
    for (uint64_t* value : {&entry.size, &entry.stored, &entry.local})
      if (*value == in_zip64) *value = field.number<uint64_t>();
    return !field.failed();
  }
  return entry.size != in_zip64 && entry.stored != in_zip64 && entry.local != in_zip64;
}

Result<Entry> read_entry(ByteReader& directory) {
  if (directory.number<uint32_t>() != central_mark) return bad("the central directory is damaged");
  Entry entry;
  directory.skip(4);
  entry.flags = directory.number<uint16_t>();
  entry.method = directory.number<uint16_t>();
  directory.skip(8);
  entry.stored = directory.number<uint32_t>();
  entry.size = directory.number<uint32_t>();
  const auto name = directory.number<uint16_t>();
  const auto extra = directory.number<uint16_t>();
  const auto comment = directory.number<uint16_t>();
  directory.skip(8);
  entry.local = directory.number<uint32_t>();
  entry.name = directory.text(name);
  const Bytes extra_bytes = directory.take(extra);
  directory.skip(comment);
  if (directory.failed()) return bad("the central directory is truncated");
  if (!read_zip64(extra_bytes, entry))
    return bad(fmt::format("'{}': its 64-bit sizes are missing", entry.name));
  return entry;
}

Result<ArchiveMember> open_member(Bytes file, const Entry& entry) {
  if ((entry.flags & 1U) != 0) return bad(fmt::format("'{}' is encrypted", entry.name));
  if (entry.method != 0 || entry.stored != entry.size)
    return bad(
        fmt::format("'{}' is compressed (method {}), expected stored as it is", entry.name, entry.method));
  ByteReader local(file, entry.local);
  if (local.number<uint32_t>() != local_mark || local.failed())
    return bad(fmt::format("'{}' is not where the directory says, at {}", entry.name, entry.local));
  local.skip(22);
  const auto name = local.number<uint16_t>();
  const auto extra = local.number<uint16_t>();
  local.skip(uint64_t{name} + extra);
  const Bytes bytes = local.take(entry.size);
  if (local.failed())
    return bad(fmt::format("'{}' has {} bytes, which go beyond the end of the file: truncated", entry.name,
                           entry.size));
  return ArchiveMember{entry.name, bytes};
}

}  // namespace

bool is_zip(Bytes file) { return file.size() >= 4 && ByteReader(file).number<uint32_t>() == local_mark; }

Result<std::vector<ArchiveMember>> read_archive(Bytes file) {
  SACCADE_TRY(const Directory place, find_directory(file));
  ByteReader directory(file.subspan(static_cast<size_t>(place.offset), static_cast<size_t>(place.size)));
  std::vector<ArchiveMember> members;
  std::set<std::string> names;
  for (uint64_t i = 0; i < place.entries; ++i) {
    SACCADE_TRY(const Entry entry, read_entry(directory));
    if (!names.insert(entry.name).second) return bad(fmt::format("two members are called '{}'", entry.name));
    SACCADE_TRY(ArchiveMember member, open_member(file, entry));
    members.push_back(std::move(member));
  }
  return members;
}

}  // namespace saccade
