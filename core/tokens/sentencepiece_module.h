// The SentencePiece library behind a table of functions, in a module of its own.
//
// Debian builds the library with its own copy of protocol buffers, and LibTorch with the system's; both
// export the same names, and a program that links both ends before main. So the library is linked to the
// module saccade_sentencepiece alone (sentencepiece_module.cpp), which is loaded with a scope of its own
// (sentencepiece_library.h). Only plain data crosses this line, and nothing throws. A private header.
#pragma once

#include <cstddef>
#include <cstdint>

extern "C" {

struct SaccadeText {
  const char* data;
  size_t size;
};

// A piece of an encoded text and the bytes of the text it stands for.
struct SaccadePiece {
  int32_t id;
  uint32_t begin, end;
};

struct SaccadeSentencePiece {
  uint32_t version;  // saccade_sentencepiece_version of the module
  // Each `report` is called at most once, before the call returns, with what `context` the caller gave.
  using Report = void (*)(void* context, SaccadeText message);

  // Null, and a report, for a model that the library refuses. The model is copied.
  void* (*open)(SaccadeText model, Report failed, void* context);
  void (*close)(void* processor);
  // -1: the model has none.
  int32_t (*bos)(const void* processor);
  int32_t (*eos)(const void* processor);
  int32_t (*size)(const void* processor);
  // Every piece in order; false, and a report, when the library fails.
  bool (*encode)(const void* processor, SaccadeText text, void (*piece)(void* context, SaccadePiece),
                 Report failed, void* context);
  // The text of ids that are all within the vocabulary.
  bool (*decode)(const void* processor, const int32_t* ids, size_t count, Report text, Report failed,
                 void* context);
};

constexpr uint32_t saccade_sentencepiece_version = 1;

}  // extern "C"
