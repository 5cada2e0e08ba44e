#include "plugins/host/plugin_library.h"

#include <dlfcn.h>
#include <elf.h>
#include <fmt/format.h>

#include <cstring>
#include <vector>

#include "core/base/files.h"
#include "plugins/host/plugin_text.h"

namespace saccade::plugins {
namespace {

using Entry = decltype(&saccade_plugin_entry);

// Whether every segment lies in the file. The loader maps a library that was copied half way without
// complaint, and the program dies when it touches what is not there.
Result<void> check_whole(const std::filesystem::path& library) {
  SACCADE_TRY(const auto file, MappedFile::open(library));
  const auto bytes = file->bytes();
  const auto refuse = [&](const char* why) {
    return make_error(ErrorCode::bad_format, fmt::format("{} {}", library.filename().string(), why));
  };
  Elf64_Ehdr header;
  if (bytes.size() < sizeof header || std::memcmp(bytes.data(), ELFMAG, SELFMAG) != 0)
    return refuse("is no ELF library");
  std::memcpy(&header, bytes.data(), sizeof header);
  if (header.e_ident[EI_CLASS] != ELFCLASS64 || header.e_type != ET_DYN)
    return refuse("is no 64-bit shared library");
  const size_t table = size_t{header.e_phnum} * sizeof(Elf64_Phdr);
  if (header.e_phentsize != sizeof(Elf64_Phdr) || header.e_phoff > bytes.size() ||
      table > bytes.size() - header.e_phoff)
    return refuse("is cut off: its table of segments is not all there");
  for (size_t i = 0; i < header.e_phnum; ++i) {
    Elf64_Phdr segment;
    std::memcpy(&segment, bytes.data() + header.e_phoff + i * sizeof segment, sizeof segment);
    if (segment.p_type == PT_LOAD &&
        (segment.p_offset > bytes.size() || segment.p_filesz > bytes.size() - segment.p_offset))
      return refuse("is cut off: a segment ends behind the end of the file");
  }
  return {};
}

Result<const saccade_plugin*> ask(Entry entry, const std::string& id) {
  try {
    return entry(SACCADE_PLUGIN_API, id.c_str());
  } catch (...) {
    return make_error(ErrorCode::bad_format, "its entry threw an exception");
  }
}

Result<void> check_plugin(const saccade_plugin* plugin, const std::string& id) {
  if (!plugin)
    return make_error(ErrorCode::unsupported,
                      fmt::format("its library serves no method '{}' for version {} of the plugin interface",
                                  id, SACCADE_PLUGIN_API));
  if (plugin->api != SACCADE_PLUGIN_API)
    return make_error(
        ErrorCode::unsupported,
        fmt::format("its library is made for version {} of the plugin interface, this program has version {}",
                    plugin->api, SACCADE_PLUGIN_API));
  if (plugin->size < sizeof(saccade_plugin))
    return make_error(ErrorCode::bad_format,
                      fmt::format("its library describes itself with {} bytes, version {} has {}",
                                  plugin->size, SACCADE_PLUGIN_API, sizeof(saccade_plugin)));
  const Result<std::string> found = read_c_text(plugin->id, longest_name);
  if (!found.ok()) return make_error(ErrorCode::bad_format, "the id in its library " + found.error().message);
  if (*found != id)
    return make_error(ErrorCode::bad_format,
                      fmt::format("its library calls itself '{}', the manifest '{}'", shown(*found), id));
  if (!plugin->compute) return make_error(ErrorCode::bad_format, "its library has no compute function");
  return {};
}

}  // namespace

Result<const saccade_plugin*> load_plugin(const std::filesystem::path& library, const std::string& id) {
  SACCADE_CHECK(check_whole(library));
  void* handle = ::dlopen(library.c_str(), RTLD_NOW | RTLD_LOCAL | RTLD_NODELETE);
  if (!handle) {
    const char* why = ::dlerror();
    return make_error(ErrorCode::bad_format,
                      fmt::format("its library cannot be loaded: {}", why ? why : "?"));
  }
  const auto entry = reinterpret_cast<Entry>(::dlsym(handle, SACCADE_PLUGIN_ENTRY));
  if (!entry)
    return make_error(ErrorCode::bad_format,
                      fmt::format("its library has no function '{}'", SACCADE_PLUGIN_ENTRY));
  SACCADE_TRY(const saccade_plugin* plugin, ask(entry, id));
  SACCADE_CHECK(check_plugin(plugin, id));
  return plugin;
}

}  // namespace saccade::plugins
