// The module of sentencepiece_module.h: the one file that sees the SentencePiece library.
#include "core/tokens/sentencepiece_module.h"

#include <sentencepiece_processor.h>

#include <exception>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace {

using sentencepiece::ImmutableSentencePieceText;
using sentencepiece::SentencePieceProcessor;
using sentencepiece::util::Status;

SaccadeText as_text(const std::string& text) { return {text.data(), text.size()}; }

// Runs a call of the library; what it returns or throws is reported. True: all is well.
template <class Call>
bool guarded(SaccadeSentencePiece::Report failed, void* context, const Call& call) {
  try {
    const Status status = call();
    if (status.ok()) return true;
    failed(context, as_text(status.ToString()));
  } catch (const std::exception& thrown) {
    failed(context, as_text(std::string(thrown.what())));
  } catch (...) {
    failed(context, as_text("something unknown was thrown"));
  }
  return false;
}

const SentencePieceProcessor& model_of(const void* processor) {
  return *static_cast<const SentencePieceProcessor*>(processor);
}

void* open(SaccadeText model, SaccadeSentencePiece::Report failed, void* context) {
  std::unique_ptr<SentencePieceProcessor> processor;
  const bool done = guarded(failed, context, [&] {
    processor = std::make_unique<SentencePieceProcessor>();
    return processor->LoadFromSerializedProto(std::string_view(model.data, model.size));
  });
  return done ? processor.release() : nullptr;
}

void close(void* processor) { delete static_cast<SentencePieceProcessor*>(processor); }

int32_t bos(const void* processor) { return model_of(processor).bos_id(); }
int32_t eos(const void* processor) { return model_of(processor).eos_id(); }
int32_t size(const void* processor) { return model_of(processor).GetPieceSize(); }

bool encode(const void* processor, SaccadeText text, void (*piece)(void*, SaccadePiece),
            SaccadeSentencePiece::Report failed, void* context) {
  return guarded(failed, context, [&] {
    ImmutableSentencePieceText encoded;
    Status status =
        model_of(processor).Encode(std::string_view(text.data, text.size), encoded.mutable_proto());
    if (!status.ok()) return status;
    const size_t count = encoded.pieces_size();
    for (size_t i = 0; i < count; ++i) {
      const auto one = encoded.pieces(static_cast<int>(i));
      piece(context, {static_cast<int32_t>(one.id()), one.begin(), one.end()});
    }
    return status;
  });
}

bool decode(const void* processor, const int32_t* ids, size_t count, SaccadeSentencePiece::Report text,
            SaccadeSentencePiece::Report failed, void* context) {
  return guarded(failed, context, [&] {
    std::string decoded;
    Status status = model_of(processor).Decode(std::vector<int>(ids, ids + count), &decoded);
    if (status.ok()) text(context, as_text(decoded));
    return status;
  });
}

}  // namespace

extern "C" __attribute__((visibility("default"))) const SaccadeSentencePiece* saccade_sentencepiece() {
  static const SaccadeSentencePiece table{
      saccade_sentencepiece_version, open, close, bos, eos, size, encode, decode};
  return &table;
}
