#include "core/tokens/sentencepiece_library.h"

#include <dlfcn.h>
#include <fmt/format.h>

#include <filesystem>

#ifdef SACCADE_SENTENCEPIECE_LINKED
// A program without LibTorch, such as a fuzz target, has the module's code in itself.
extern "C" const SaccadeSentencePiece* saccade_sentencepiece();
#endif

namespace saccade::tokens {
namespace {

#ifndef SACCADE_SENTENCEPIECE_LINKED
// The sanitizers cannot follow a module with a scope of its own.
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
constexpr bool sanitized = true;
#else
constexpr bool sanitized = false;
#endif

std::filesystem::path module_path() {
  const std::filesystem::path built = SACCADE_SENTENCEPIECE_MODULE;
  std::error_code failed;
  const std::filesystem::path program = std::filesystem::read_symlink("/proc/self/exe", failed);
  if (failed) return built;
  const std::filesystem::path beside = program.parent_path().parent_path() / "lib" / built.filename();
  return std::filesystem::exists(beside, failed) ? beside : built;
}

// The module stays loaded: the library leaves things behind that outlive a model.
Result<const SaccadeSentencePiece*> load_module() {
  if (sanitized) {
    return make_error(
        ErrorCode::unsupported,
        "SentencePiece models cannot be opened in a build with sanitizers, which do not allow the "
        "library a scope of its own");
  }
  const std::filesystem::path path = module_path();
  // NOLINTNEXTLINE(concurrency-mt-unsafe): glibc keeps the message of dlerror() per thread
  const auto why = [] { return std::string(dlerror()); };
  void* module = dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL | RTLD_DEEPBIND | RTLD_NODELETE);
  if (module == nullptr) {
    return make_error(ErrorCode::not_found,
                      fmt::format("SentencePiece models need the module {}, which cannot be loaded: {}",
                                  path.filename().string(), why()));
  }
  void* found = dlsym(module, "saccade_sentencepiece");
  if (found == nullptr)
    return make_error(ErrorCode::unsupported, fmt::format("{} is no module of this program", path.string()));
  const auto* functions = reinterpret_cast<const SaccadeSentencePiece* (*)()>(found)();
  if (functions->version != saccade_sentencepiece_version) {
    return make_error(ErrorCode::unsupported, fmt::format("{} has version {}, expected {}", path.string(),
                                                          functions->version, saccade_sentencepiece_version));
  }
  return functions;
}
#else
Result<const SaccadeSentencePiece*> load_module() { return saccade_sentencepiece(); }
#endif

// What a call of the module leaves.
struct Outcome {
  std::string text, error;
  std::vector<SaccadePiece> pieces;

  static void put_text(void* context, SaccadeText text) {
    static_cast<Outcome*>(context)->text.assign(text.data, text.size);
  }
  static void put_error(void* context, SaccadeText message) {
    static_cast<Outcome*>(context)->error.assign(message.data, message.size);
  }
  static void put_piece(void* context, SaccadePiece piece) {
    static_cast<Outcome*>(context)->pieces.push_back(piece);
  }
  [[nodiscard]] Error failed(ErrorCode code, const char* step) const {
    return make_error(code, fmt::format("SentencePiece could not {}: {}", step, error));
  }
};

}  // namespace

Result<std::unique_ptr<const SentencePieceLibrary>> SentencePieceLibrary::open(std::string_view model) {
  SACCADE_TRY(const SaccadeSentencePiece* functions, load_module());
  Outcome outcome;
  void* processor = functions->open({model.data(), model.size()}, Outcome::put_error, &outcome);
  if (processor == nullptr) return outcome.failed(ErrorCode::bad_format, "read the model");
  return std::unique_ptr<const SentencePieceLibrary>(new SentencePieceLibrary(functions, processor));
}

SentencePieceLibrary::~SentencePieceLibrary() { functions_->close(processor_); }

Result<std::vector<SaccadePiece>> SentencePieceLibrary::encode(std::string_view text) const {
  Outcome outcome;
  outcome.pieces.reserve(text.size() / 3 + 4);
  if (!functions_->encode(processor_, {text.data(), text.size()}, Outcome::put_piece, Outcome::put_error,
                          &outcome))
    return outcome.failed(ErrorCode::internal, "encode the text");
  return std::move(outcome.pieces);
}

Result<std::string> SentencePieceLibrary::decode(std::span<const int32_t> ids) const {
  Outcome outcome;
  if (!functions_->decode(processor_, ids.data(), ids.size(), Outcome::put_text, Outcome::put_error,
                          &outcome))
    return outcome.failed(ErrorCode::internal, "decode the tokens");
  return std::move(outcome.text);
}

}  // namespace saccade::tokens
