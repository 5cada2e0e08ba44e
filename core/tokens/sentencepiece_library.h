// A model of the SentencePiece library, reached through the module of sentencepiece_module.h.
//
// The module is looked for in ../lib beside the program, then where it was built, and loaded when a model is
// opened. Give it only files that SentencePieceProto has checked. Immutable; thread: any. A private header.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "core/tokens/sentencepiece_module.h"
#include "kernels/base/result.h"

namespace saccade::tokens {

class SentencePieceLibrary {
 public:
  // not_found, unsupported: the module is not there, cannot be loaded, or is of another version; bad_format:
  // the library refuses the model.
  static Result<std::unique_ptr<const SentencePieceLibrary>> open(std::string_view model);
  ~SentencePieceLibrary();
  SentencePieceLibrary(const SentencePieceLibrary&) = delete;
  SentencePieceLibrary& operator=(const SentencePieceLibrary&) = delete;

  [[nodiscard]] int32_t bos() const { return functions_->bos(processor_); }  // -1: none
  [[nodiscard]] int32_t eos() const { return functions_->eos(processor_); }
  [[nodiscard]] int32_t size() const { return functions_->size(processor_); }
  // Pieces with their bytes of `text`, as the library gives them; internal when it fails.
  [[nodiscard]] Result<std::vector<SaccadePiece>> encode(std::string_view text) const;
  [[nodiscard]] Result<std::string> decode(std::span<const int32_t> ids) const;

 private:
  SentencePieceLibrary(const SaccadeSentencePiece* functions, void* processor)
      : functions_(functions), processor_(processor) {}
  const SaccadeSentencePiece* functions_;
  void* processor_;
};

}  // namespace saccade::tokens
