// What is known of a checkpoint before it is used.
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "core/model/model.h"
#include "core/run/run_request.h"

namespace saccade {

// A checkpoint that was looked at: its headers are read, none of its weights.
struct FoundModel {
  std::shared_ptr<const Model> model;
  std::string special_tokens;  // its vocabulary's, as special_tokens_text() writes them
  int64_t n_token = 0;         // of the prompt that is there now, as this model counts; 0: it cannot read it
  MemoryForecast forecast;     // for so many tokens, or as many as it has positions
};

}  // namespace saccade
