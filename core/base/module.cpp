#include "core/base/module.h"

#include <dlfcn.h>
#include <fmt/format.h>

namespace saccade {
namespace {

// The sanitizers cannot follow a module with a scope of its own.
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
constexpr bool sanitized = true;
#else
constexpr bool sanitized = false;
#endif

std::filesystem::path place_of(const std::filesystem::path& built) {
  std::error_code failed;
  const std::filesystem::path program = std::filesystem::read_symlink("/proc/self/exe", failed);
  if (failed) return built;
  const std::filesystem::path beside = program.parent_path().parent_path() / "lib" / built.filename();
  return std::filesystem::exists(beside, failed) ? beside : built;
}

// NOLINTNEXTLINE(concurrency-mt-unsafe): glibc keeps the message of dlerror() per thread
std::string why() { return dlerror(); }

}  // namespace

Result<void*> symbol_of(const ModuleWanted& wanted) {
  if (sanitized && wanted.own_scope)
    return make_error(
        ErrorCode::unsupported,
        fmt::format("{} cannot be opened in a build with sanitizers, which do not allow a library a "
                    "scope of its own",
                    wanted.purpose));
  const std::filesystem::path path = place_of(wanted.built);
  const int scope = RTLD_NOW | RTLD_LOCAL | RTLD_NODELETE | (wanted.own_scope ? RTLD_DEEPBIND : 0);
  void* module = dlopen(path.c_str(), scope);
  if (module == nullptr)
    return make_error(ErrorCode::not_found, fmt::format("{} need the module {}, which cannot be loaded: {}",
                                                        wanted.purpose, path.filename().string(), why()));
  void* found = dlsym(module, wanted.symbol);
  if (found == nullptr)
    return make_error(ErrorCode::unsupported, fmt::format("{} is no module of this program", path.string()));
  return found;
}

}  // namespace saccade
