// Result<T>: what a fallible function returns. It lives in kernels/ because that is the lowest layer.
//
// An Error says what went wrong in one sentence (file, item, expected, found) and carries the chain of
// contexts it passed through, outermost last. User data never aborts the program; assertions are for bugs.
#pragma once

#include <cassert>
#include <optional>
#include <string>
#include <utility>
#include <variant>
#include <vector>

namespace saccade {

enum class ErrorCode {
  invalid_argument,  // a request that makes no sense: a head that does not exist, an empty prompt
  not_found,         // a file, a tensor, a name
  bad_format,        // a file whose content contradicts itself or its format
  unsupported,       // understood, but this program cannot do it
  io,                // the system refused: disk full, permission, short read
  out_of_memory,     // the forecast or the allocation failed
  cancelled,         // the caller asked to stop
  internal,          // a library we call reported something we do not expect
};

struct Error {
  ErrorCode code = ErrorCode::internal;
  std::string message;
  std::vector<std::string> context;  // innermost first

  // "outer: inner: message", one line.
  [[nodiscard]] std::string to_string() const;
  // Adds the step that was being done, e.g. "opening /models/gpt2".
  Error with(std::string step) && {
    context.push_back(std::move(step));
    return std::move(*this);
  }
};

template <class T>
class [[nodiscard]] Result {
 public:
  Result(T value) : state_(std::move(value)) {}      // NOLINT(google-explicit-constructor)
  Result(Error error) : state_(std::move(error)) {}  // NOLINT(google-explicit-constructor)

  [[nodiscard]] bool ok() const { return std::holds_alternative<T>(state_); }
  explicit operator bool() const { return ok(); }

  [[nodiscard]] T& value() & { return std::get<T>(state_); }
  [[nodiscard]] const T& value() const& { return std::get<T>(state_); }
  [[nodiscard]] T&& value() && { return std::get<T>(std::move(state_)); }
  [[nodiscard]] Error& error() & { return std::get<Error>(state_); }
  [[nodiscard]] const Error& error() const& { return std::get<Error>(state_); }
  [[nodiscard]] Error&& error() && { return std::get<Error>(std::move(state_)); }

  T& operator*() & { return value(); }
  const T& operator*() const& { return value(); }
  T* operator->() { return &value(); }
  const T* operator->() const { return &value(); }

 private:
  std::variant<T, Error> state_;
};

template <>
class [[nodiscard]] Result<void> {
 public:
  Result() = default;
  Result(Error error) : error_(std::move(error)) {}  // NOLINT(google-explicit-constructor)

  [[nodiscard]] bool ok() const { return !error_.has_value(); }
  explicit operator bool() const { return ok(); }
  [[nodiscard]] const Error& error() const& { return *error_; }
  [[nodiscard]] Error&& error() && { return std::move(*error_); }

 private:
  std::optional<Error> error_;
};

[[nodiscard]] inline Error make_error(ErrorCode code, std::string message) {
  return Error{code, std::move(message), {}};
}
[[nodiscard]] const char* to_string(ErrorCode code);

}  // namespace saccade

// SACCADE_TRY(auto x, f()): x = value of f(), or return its error from the enclosing function.
#define SACCADE_CONCAT_(a, b) a##b
#define SACCADE_CONCAT(a, b) SACCADE_CONCAT_(a, b)
// NOLINTBEGIN(bugprone-macro-parentheses): a declaration cannot stand in parentheses.
#define SACCADE_TRY(declaration, expression)                                                                \
  auto SACCADE_CONCAT(result_, __LINE__) = (expression);                                                    \
  if (!SACCADE_CONCAT(result_, __LINE__).ok()) return std::move(SACCADE_CONCAT(result_, __LINE__)).error(); \
  declaration = std::move(SACCADE_CONCAT(result_, __LINE__)).value()
// NOLINTEND(bugprone-macro-parentheses)
// SACCADE_CHECK(f()): the same for Result<void>.
#define SACCADE_CHECK(expression)                                   \
  do {                                                              \
    auto check_result = (expression);                               \
    if (!check_result.ok()) return std::move(check_result).error(); \
  } while (false)
