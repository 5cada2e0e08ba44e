#include "core/tokens/sentencepiece_library.h"

#include <fmt/format.h>

#include "core/base/module.h"

#ifdef SACCADE_SENTENCEPIECE_LINKED
// A program without LibTorch, such as a fuzz target, has the module's code in itself.
extern "C" const SaccadeSentencePiece* saccade_sentencepiece();
#endif

namespace saccade::tokens {
namespace {

#ifndef SACCADE_SENTENCEPIECE_LINKED
Result<const SaccadeSentencePiece*> load_module() {
  SACCADE_TRY(void* found, symbol_of({SACCADE_SENTENCEPIECE_MODULE, "saccade_sentencepiece",
                                      "SentencePiece models", true}));
  const auto* functions = reinterpret_cast<const SaccadeSentencePiece* (*)()>(found)();
  if (functions->version != saccade_sentencepiece_version) {
    return make_error(ErrorCode::unsupported,
                      fmt::format("the module saccade_sentencepiece has version {}, expected {}",
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
