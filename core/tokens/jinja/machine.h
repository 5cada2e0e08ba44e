// What a running template may use up, and what it may ask of its surroundings. Private header.
//
// Every loop step is counted, and every text or container that an operation reads or makes is charged by its
// size, so that a hostile template ends with an error instead of filling the time or the memory.
#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <string>

#include "core/tokens/jinja/value.h"

namespace saccade::jinja {

// namespace(...): the only thing a template can change. Prints and compares as an object.
class Namespace : public Object {
 public:
  [[nodiscard]] std::string_view type_name() const override { return "TemplateNamespace"; }
  [[nodiscard]] bool can_be_held() const override { return true; }
  Result<std::optional<Value>> attribute(Machine& machine, std::string_view name) override;
  // Error for a name that begins with an underscore.
  Result<void> set(const std::string& name, Value value);
  void clear() { attributes_.clear(); }

 private:
  std::map<std::string, Value, std::less<>> attributes_;
};

class Machine {
 public:
  static constexpr int64_t max_steps = 1'000'000;
  static constexpr int64_t max_work = int64_t{512} << 20;  // bytes of text, and items, read or made
  static constexpr size_t work_of_one = 16;                // what any expression or statement is charged
  static constexpr size_t max_namespaces = 10'000;
  static constexpr int max_depth = 400;  // expressions, statements and macro calls inside each other

  explicit Machine(std::optional<std::string> date) : date_(std::move(date)) {}
  Machine(const Machine&) = delete;
  Machine& operator=(const Machine&) = delete;
  ~Machine() {
    for (Namespace& space : spaces_) space.clear();
  }

  Result<void> step();               // one pass of a loop
  Result<void> work(size_t amount);  // reading or making so much
  Result<void> enter();              // one level deeper; leave() when it succeeded
  void leave() { --depth_; }
  // Lives as long as the machine: namespaces may hold each other.
  Result<Namespace*> make_namespace();
  [[nodiscard]] const std::optional<std::string>& date() const { return date_; }

 private:
  int64_t steps_ = 0, work_ = 0;
  int depth_ = 0;
  std::deque<Namespace> spaces_;
  std::optional<std::string> date_;
};

// A level of nesting for as long as it lives, where enter() succeeded.
class Level {
 public:
  explicit Level(Machine& machine) : machine_(machine), entered_(machine.enter()) {}
  ~Level() {
    if (entered_.ok()) machine_.leave();
  }
  Level(const Level&) = delete;
  Level& operator=(const Level&) = delete;
  [[nodiscard]] const Result<void>& entered() const { return entered_; }

 private:
  Machine& machine_;
  Result<void> entered_;
};

}  // namespace saccade::jinja
