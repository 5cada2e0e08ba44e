#include "kernels/base/result.h"

namespace saccade {

std::string Error::to_string() const {
  std::string text;
  for (auto step = context.rbegin(); step != context.rend(); ++step) text += *step + ": ";
  return text + message;
}

const char* to_string(ErrorCode code) {
  switch (code) {
    case ErrorCode::invalid_argument:
      return "invalid argument";
    case ErrorCode::not_found:
      return "not found";
    case ErrorCode::bad_format:
      return "bad format";
    case ErrorCode::unsupported:
      return "unsupported";
    case ErrorCode::io:
      return "input/output";
    case ErrorCode::out_of_memory:
      return "out of memory";
    case ErrorCode::cancelled:
      return "cancelled";
    case ErrorCode::internal:
      return "internal";
  }
  return "unknown";
}

}  // namespace saccade
